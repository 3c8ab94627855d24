"""Whether regularised labels have the boundaries and components of the material, and what that does to IoU.

    pip install PyMaxflow  # under the GPL, so it is no dependency of the package
    python tools/benchmarks/label_regularisation.py STUDY STACK --json docs/results/label_regularisation.json

STUDY is the folder of the runs of a finished study on STACK, of which the annotations are complete. Each method makes
other labels of a model's calibrated probabilities, slice by slice. Its strength is chosen for each model on the
validation blocks of the training alone: of those with a mean IoU not below that of the labels as they are, the one with
boundary lengths and components nearest to the annotation's; none of them where the labels as they are come nearer. The
test slices then say what that is worth. Intervals of gains are of the area, by the block bootstrap of `evaluate`, for
the mean over seeds.

With ``--table JSON`` alone the published table is printed from a document.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from common import command, machine, write_json
from monai.transforms import NormalizeIntensity
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from monai_app.bundle.model import load_model
from monai_app.inference import ExactInferer
from monai_app.metrics import block_interval, confusion_blocks, count_pixels
from monai_app.quantities.measures.surface import specific_perimeters
from monai_app.stack import Stack
from monai_app.training import split_stacks

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.uint8]

VARIANTS = ("unet_ICE+TLD_3", "sensor3d_ICE+TLD_3")

COMMON = 0.05
"""Share of the annotated area above which a phase takes part in the choice of a strength."""

LEAST = 64
"""Pixels of a component that is kept where two methods follow each other."""


@dataclass(frozen=True)
class Counted:
    """What is counted of labels on slices.

    Attributes:
        blocks: confusion matrices of blocks, (blocks, K, K).
        lengths: of the boundaries in the annotation and in the labels, (2, K).
        components: likewise.
    """

    blocks: npt.NDArray[np.int64]
    lengths: Floats
    components: npt.NDArray[np.int64]

    @property
    def mean_iou(self) -> float:
        """Mean over the phases."""
        return float(mean_iou(self.blocks.sum(0)))

    @property
    def ratios(self) -> tuple[Floats, Floats]:
        """Predicted over annotated boundary lengths, and components: (K,) each."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.lengths[1] / self.lengths[0], self.components[1] / self.components[0]

    @property
    def deviation(self) -> float:
        """Mean size of the logarithms of the ratios, of the phases with more than `COMMON` of the area."""
        annotated = self.blocks.sum((0, 2))
        shown = annotated > COMMON * annotated.sum()
        ratios = np.concatenate([each[shown] for each in self.ratios])
        return float(np.abs(np.log(np.maximum(ratios, 1e-6))).mean())


def mean_iou(confusion: npt.NDArray[np.int64]) -> Floats:
    """Mean IoU of confusion matrices (..., K, K)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    either = confusion.sum(-1) + confusion.sum(-2) - hits
    return np.nanmean(np.divide(hits, either, out=np.full(hits.shape, np.nan), where=either > 0), axis=-1)


def most_probable(probabilities: Floats) -> Labels:
    """Return the labels of probabilities (K, rows, columns)."""
    return (probabilities.argmax(0) + 1).astype(np.uint8)


def filtered(probabilities: Floats, sigma: float) -> Labels:
    """Labels of probabilities that a Gaussian filtered (Hosni et al. 2013, doi 10.1109/TPAMI.2012.156)."""
    return most_probable(np.stack([gaussian_filter(each, sigma) for each in probabilities]))


def majority(probabilities: Floats, side: float) -> Labels:
    """The most frequent label in a square (mode filter: Davies 1998, doi 10.1049/ic:19980441)."""
    votes = [most_probable(probabilities) == value for value in range(1, len(probabilities) + 1)]
    return most_probable(np.stack([uniform_filter(each.astype(np.float32), int(side)) for each in votes]))


def without_small(labels: Labels, least: float) -> Labels:
    """Give pixels of small components the nearest other label.

    An area opening of every phase (Vincent 1994, doi 10.1007/978-3-662-03039-4_13).
    """
    parts = cc3d.connected_components(labels, connectivity=4)
    small = np.bincount(parts.ravel())[parts] < least
    nearest = distance_transform_edt(small, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def graph_cut(probabilities: Floats, strength: float) -> Labels:
    """Least -log probability plus ``strength`` for each pair of neighbours with different labels.

    A Potts model, minimised by alpha expansion (Boykov, Veksler and Zabih 2001, doi 10.1109/34.969114).
    """
    from maxflow.fastmin import aexpansion_grid

    costs = np.moveaxis(-np.log(np.maximum(probabilities, 1e-12)), 0, -1).astype(np.float64, order="C")
    return (aexpansion_grid(costs, strength * (1 - np.eye(len(probabilities))), max_cycles=2) + 1).astype(np.uint8)


METHODS: Mapping[str, tuple[Callable[[Floats, float], Labels], Sequence[float]]] = {
    "Gaussian filter of probabilities, sigma in px": (filtered, (1, 2, 3, 4)),
    "majority in a square, side in px": (majority, (5, 9, 13)),
    "components from this size on, px": (lambda own, least: without_small(most_probable(own), least), (16, 64, 256)),
    "graph cut, strength": (graph_cut, (0.5, 1, 2)),
    f"Gaussian filter, then components from {LEAST} px on": (
        lambda own, sigma: without_small(filtered(own, sigma), LEAST),
        (1, 2, 3, 4),
    ),
}
AS_IS = "as is"


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", help="folder of a study")
    parser.add_argument("stack", type=Path, nargs="?", help="its stack")
    parser.add_argument("--json", type=Path, help="where the document goes")
    parser.add_argument("--table", type=Path, help="a document whose table is printed; nothing is measured")
    given = parser.parse_args()
    if given.table:
        document = json.loads(given.table.read_text(encoding="utf8"))
    else:
        torch.set_num_threads(1)
        stack = Stack.open(given.stack)
        variants = {name: _variant(sorted((given.study / name).glob("seed_?")), stack) for name in VARIANTS}
        document = {"command": command(), "machine": machine(), "variants": variants}
    if given.json:
        write_json(given.json, document)
    print("\n".join(table(document)))


def _variant(runs: Sequence[Path], stack: Stack) -> dict[str, Any]:
    """Measure every method with the models of a variant, one a seed."""
    seeds = [_run(run, stack) for run in runs]
    return {
        method: _of_method([each[method] for each in seeds], [each[AS_IS] for each in seeds]) for method in seeds[0]
    }


def _run(run: Path, stack: Stack) -> dict[str, tuple[float, Counted]]:
    """Method -> strength that the validation blocks choose, and what its labels are on the test slices."""
    model = load_model(run)
    seed = int(run.name.rpartition("_")[2])
    (kept,) = split_stacks([str(stack.path)], seed=seed).validation.values()
    probable = {
        z: torch.softmax(_logits(model, stack, z) / model.temperature, 0).numpy()
        for z in (*stack.train_slices, *stack.test_slices)
    }

    def counted(make: Callable[[Floats], Labels], slices: Sequence[int]) -> Counted:
        parts = [_count(stack, z, make(probable[z]), kept.get(z)) for z in slices]
        blocks, lengths, components = zip(*parts, strict=True)
        return Counted(np.concatenate(blocks), np.sum(lengths, 0), np.sum(components, 0))

    plain = counted(most_probable, stack.train_slices)
    found = {AS_IS: (0.0, counted(most_probable, stack.test_slices))}
    for name, (make, strengths) in METHODS.items():
        validated = {each: counted(partial(_with, make, each), stack.train_slices) for each in strengths}
        allowed = {each: of.deviation for each, of in validated.items() if of.mean_iou >= plain.mean_iou}
        best = min(allowed, key=lambda each: allowed[each], default=0.0)
        chosen = partial(_with, make, best) if best and allowed[best] < plain.deviation else most_probable
        found[name] = (best if chosen is not most_probable else 0.0, counted(chosen, stack.test_slices))
    print(run, {name: strength for name, (strength, _) in found.items()}, flush=True)
    return found


def _with(make: Callable[[Floats, float], Labels], strength: float, probabilities: Floats) -> Labels:
    return make(probabilities, strength)


def _logits(model: Any, stack: Stack, z: int) -> torch.Tensor:
    spec = model.spec
    scale = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)
    slab = torch.as_tensor(scale(stack.read_slab(z, spec.detectors, spec.slices)))
    with torch.no_grad():
        logits: torch.Tensor = ExactInferer(window=(512, 512), stride=spec.stride)(slab[None], model.network)[0]
    return logits


def _count(stack: Stack, z: int, labels: Labels, kept: npt.NDArray[np.bool_] | None) -> tuple[Any, Floats, Any]:
    """Compare the labels of a slice with its annotation; of a training slice in the blocks that are kept alone."""
    true = stack.read_annotation(z)
    if kept is not None:
        true = true * kept
    phases, pixel = len(stack.phases), (stack.voxel_nm[1] / 1000, stack.voxel_nm[2] / 1000)
    both = (true, labels * (true > 0))
    lengths = [specific_perimeters(each, phases, pixel) * np.count_nonzero(true) for each in both]
    blocks = confusion_blocks(true, labels, phases).counts if kept is None else count_pixels(true, labels, phases)[None]
    return blocks, np.stack(lengths), np.stack([_components(each, phases) for each in both])


def _components(labels: Labels, phases: int) -> npt.NDArray[np.int64]:
    parts = cc3d.connected_components(labels, connectivity=4)
    values = np.zeros(int(parts.max()) + 1, np.int64)
    values[parts] = labels
    return np.bincount(values[1:], minlength=phases + 1)[1:]


def _of_method(found: Sequence[tuple[float, Counted]], plain: Sequence[tuple[float, Counted]]) -> dict[str, Any]:
    """Put the seeds together: scores of each, and the interval of the difference from the labels as they are."""
    phases = found[0][1].blocks.shape[-1]
    pairs = [np.concatenate([of.blocks, own.blocks], 1) for (_, of), (_, own) in zip(found, plain, strict=True)]
    drawn = np.concatenate(pairs, 1)  # (blocks, seeds * 2 * K, K)

    def gain(counts: npt.NDArray[np.int64]) -> Floats:
        ious = mean_iou(counts.reshape(len(counts), len(found), 2, phases, phases))
        return (ious[..., 0] - ious[..., 1]).mean(-1)

    interval = block_interval(drawn, gain)
    return {
        "strengths": [strength for strength, _ in found],
        "mean_iou": [of.mean_iou for _, of in found],
        "gain": float(gain(drawn.sum(0)[None])[0]),
        "gain_interval": [interval.low, interval.high],
        "boundary_ratios": [of.ratios[0].tolist() for _, of in found],
        "component_ratios": [of.ratios[1].tolist() for _, of in found],
    }


def table(document: Mapping[str, Any]) -> Iterator[str]:
    """The published table: means over seeds; of ratios the geometric ones, a number a phase."""
    yield "| model | labels | strengths | mean IoU | gain, 95 % interval | boundary length | components |"
    yield "|---|---|---|---|---|---|---|"
    for variant, methods in document["variants"].items():
        for name, found in methods.items():
            low, high = found["gain_interval"]
            gain = "" if name == AS_IS else f"{found['gain']:+.4f}, {low:+.4f} to {high:+.4f}"
            strengths = "" if name == AS_IS else ", ".join(f"{each:g}" if each else "-" for each in found["strengths"])
            ratios = " | ".join(_ratios(found[f"{of}_ratios"]) for of in ("boundary", "component"))
            iou = float(np.mean(found["mean_iou"]))
            yield f"| `{variant}` | {name} | {strengths} | {iou:.4f} | {gain} | {ratios} |"


def _ratios(seeds: Sequence[Sequence[float]]) -> str:
    means = np.exp(np.log(np.maximum(seeds, 1e-3)).mean(0))
    return " / ".join(f"{each:.2f}" for each in means)


if __name__ == "__main__":
    main()
