"""Whether averaged probabilities label better: of flipped and turned slices, and of the models of several seeds.

    python tools/benchmarks/averaging.py cement.ome.zarr study unet_ICE+TLD_1 unet_ICE+TLD_3 --json cement.json

STUDY is the folder of a finished ``monai-app study`` of the stack. Every one of its models labels the test slices from
one pass and from the mean of the calibrated probabilities of several, all with exact tiles. The rows say by how much
the mean IoU changes, with the interval of the paired comparison that studies use (`compare`): of each variant, and over
the variants by how much they scatter. An average of models takes several trainings; the one of them that validated best
is compared with their mean likewise.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import command, learning_curve, machine, write_json

from monai_app.bundle.model import load_model
from monai_app.inference import ExactInferer, Model
from monai_app.metrics import Counts, Document, mean_iou
from monai_app.stack import Stack
from monai_app.study import Contrast, compare
from monai_app.study.comparison import t_interval
from monai_app.training.evaluation import block_counts, interval_section

Probabilities = npt.NDArray[np.float32]
"""(K, rows, columns)."""

Turn = tuple[bool, bool, bool]
"""Whether rows are flipped, whether columns are flipped, and whether both are exchanged afterwards."""

PLAIN = "one pass"
CHOSEN = "the model that validated best"
IDENTITY: Turn = (False, False, False)
FLIPS: list[Turn] = [(rows, columns, False) for rows in (False, True) for columns in (False, True)]
OF_PASSES: dict[str, list[Turn]] = {
    PLAIN: [IDENTITY],
    "columns flipped": [IDENTITY, (False, True, False)],
    "rows and columns flipped": FLIPS,
    "flips and quarter turns": [*FLIPS, *((rows, columns, True) for rows, columns, _ in FLIPS)],
}
OF_MODELS = {"models of all seeds": [IDENTITY], "models of all seeds, rows and columns flipped": FLIPS}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="the store that the study was made with")
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("variants", nargs="+", help="networks of the study, as it names them")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    stack, rows = Stack.open(str(arguments.stack)), []
    for variant in arguments.variants:
        folders = sorted((arguments.study / "runs" / stack.store_name / variant).glob("seed_*"))
        rows += rows_of(stack, variant, [each for each in folders if each.is_dir()])
    over = over_variants(rows)
    print(*rows, *over, sep="\n")
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "rows": rows, "over_variants": over})


def rows_of(stack: Stack, variant: str, runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return a row for one pass, with what the models reached on validation blocks, and one for every average."""
    counts = counts_of(stack, [load_model(run) for run in runs])
    rows = [row(variant, name, counts) for name in counts]
    rows[0]["validation"] = [max(learning_curve(run)) for run in runs]
    return rows


def counts_of(stack: Stack, models: Sequence[Model]) -> dict[str, Counts]:
    """Return average -> pixels (seeds, blocks, K, K), [true][predicted], of a variant's models, a seed each."""
    found: dict[str, list[list[Document]]] = defaultdict(lambda: [[] for _ in models])
    for z in stack.test_slices:
        of_models = [passes_of(model, stack, z) for model in models]
        for name, turns in OF_PASSES.items():
            for sections, own in zip(found[name], of_models, strict=True):
                sections.append(section_of(stack, z, [own[turn] for turn in turns]))
        for name, turns in OF_MODELS.items():
            section = section_of(stack, z, [own[turn] for own in of_models for turn in turns])
            for sections in found[name]:  # every model is compared with the same average
                sections.append(section)
    return {name: np.stack([joined(stack, each) for each in sections]) for name, sections in found.items()}


def passes_of(model: Model, stack: Stack, z: int) -> Mapping[Turn, Probabilities]:
    """Return the calibrated probabilities of a slice that was turned, turned back."""
    scaled, found = scaled_slab(model, stack, z), {}
    for turn in OF_PASSES["flips and quarter turns"]:
        logits = logits_of(model, np.ascontiguousarray(there(scaled, turn)))
        found[turn] = back((logits / model.temperature).softmax(0).numpy(), turn)
    return found


def scaled_slab(model: Model, stack: Stack, z: int) -> npt.NDArray[np.float32]:
    """Return what a model takes of slice z: (S*C, rows, columns)."""
    spec = model.spec.of_stack(stack.ingested)
    slab = stack.read_slab(z, spec.detectors, spec.slices).astype(np.float32)
    scaled: npt.NDArray[np.float64] = (slab - np.reshape(spec.channel_mean, (-1, 1, 1))) / np.reshape(
        spec.channel_std, (-1, 1, 1)
    )
    return scaled.astype(np.float32)


def logits_of(model: Model, scaled: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return the logits (K, rows, columns) of a slab, from exact tiles."""
    inferer = ExactInferer((512, 512), model.spec.stride)
    with torch.no_grad():
        logits: torch.Tensor = inferer(torch.from_numpy(scaled)[None], model.network)[0]
    return logits


def there(planes: npt.NDArray[np.float32], turn: Turn) -> npt.NDArray[np.float32]:
    """Turn planes (channels, rows, columns)."""
    rows, columns, exchanged = turn
    flipped = planes[:, :: -1 if rows else 1, :: -1 if columns else 1]
    return flipped.swapaxes(1, 2) if exchanged else flipped


def back(planes: npt.NDArray[np.float32], turn: Turn) -> npt.NDArray[np.float32]:
    """Undo `there`."""
    rows, columns, exchanged = turn
    return there(planes.swapaxes(1, 2) if exchanged else planes, (rows, columns, False))


def section_of(stack: Stack, z: int, passes: Sequence[Probabilities]) -> Document:
    """Score what the mean of some probabilities labels."""
    return label_section(stack, z, np.mean(passes, axis=0))


def label_section(stack: Stack, z: int, values: npt.NDArray[np.floating]) -> Document:
    """Score labels: the phase with the greatest of some values (K, rows, columns)."""
    predicted = (values.argmax(0) + 1).astype(np.uint8)
    return interval_section(stack, z, stack.read_annotation(z), predicted, [phase.name for phase in stack.phases])


def joined(stack: Stack, sections: Sequence[Document]) -> Counts:
    """Join the blocks of the test slices as studies do; single micrographs are a block each."""
    if len(stack.gaps) == stack.shape[0] - 1:
        return np.stack([block_counts([each]).sum(axis=0) for each in sections])
    return block_counts(sections)


def row(variant: str, name: str, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Compare an average with one pass."""
    scores = [mean_iou(each.sum(axis=0)) for each in counts[name]]
    found = {"variant": variant, "average": name, "mean_iou": np.round(scores, 4).tolist()}
    if name != PLAIN:
        pair = (name, PLAIN)
        (difference,) = compare({each: [counts[each]] for each in pair}, [Contrast("", *pair, (pair,))])
        found |= {each: round(getattr(difference, each), 4) for each in ("value", "low", "high")}
        found["unreliable"] = difference.unreliable
    return found


def over_variants(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each average changes, mean over variants, with the interval of their scatter (`t_interval`)."""
    changes: dict[str, list[float]] = defaultdict(list)
    for each in rows:
        if each["average"] == PLAIN:
            models = each["mean_iou"][np.argmax(each["validation"])], np.mean(each["mean_iou"])
            changes[CHOSEN].append(models[0] - models[1])
        else:
            changes[each["average"]].append(each["value"])
    found = []
    for name, values in changes.items():
        low, high = t_interval(np.array(values), 3, 0.95)
        numbers = {"value": float(np.mean(values)), "low": low, "high": high}
        found.append({"average": name, **{key: round(number, 4) for key, number in numbers.items()}})
    return found


if __name__ == "__main__":
    main()
