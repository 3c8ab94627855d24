"""Whether a bias of every phase, fitted beside the temperature, labels better.

    python tools/benchmarks/bias.py cement.ome.zarr study unet_ICE+TLD_1 sensor3d_ICE+TLD_3 --json bias.json

Crops are centred on every phase equally often, so networks meet rare phases more often than the material has them. A
bias of every phase that is added to its logits may undo that: bias-corrected temperature scaling (Alexandari, Kundaje &
Shrikumar 2020, PMLR 119:222), fitted with the greatest likelihood on a training's own validation blocks. Unlike a
temperature it changes labels.

STUDY is the folder of a ``monai-app study`` of the stack. The rows say, of every variant, by how much the bias changes
the mean IoU on the test slices, with the interval of the paired comparison that studies use (`compare`), the IoU of
every phase and the calibration error. ``of the test slices`` is a bias that was fitted on the very pixels that it is
scored on: the most likely one, which need not have the best IoU.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from averaging import PLAIN, joined, label_section, logits_of, row, scaled_slab
from common import command, machine, write_json
from torch import Tensor
from torch.nn.functional import cross_entropy

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.model import load_model
from monai_app.inference import Model
from monai_app.metrics import Document, score
from monai_app.metrics.calibration import reliability
from monai_app.stack import Stack
from monai_app.study.variants import CLEANED
from monai_app.training import split_stack

BIASED, ORACLE = "bias", "bias of the test slices"

MOST_PIXELS = 2**20
"""That a bias is fitted on, evenly spaced among those that there are."""


class Fitted(NamedTuple):
    """What logits z become softmax(z * scale + bias) with; the temperature is 1 / scale.

    Args:
        scale: of all logits.
        bias: (K,), with the mean 0.
    """

    scale: float
    bias: Tensor

    def of(self, logits: Tensor) -> Tensor:
        """Return the logits (..., K) that the softmax is taken of."""
        return logits * self.scale + self.bias


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="the store that the study was made with")
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("variants", nargs="+", help="networks of the study, as it names them")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    sample, rows = Stack.open(str(arguments.stack)), []
    for variant in arguments.variants:
        cleaned = arguments.study / "stacks" / f"{sample.store_name}_cleaned.ome.zarr"
        stack = Stack.open(str(cleaned)) if variant.endswith(CLEANED) else sample
        scored = (arguments.study / "runs" / sample.store_name / variant).glob("seed_*/eval/test/scores.json")
        rows += rows_of(stack, variant, sorted(each.parents[2] for each in scored))
        print(*rows[-3:], sep="\n", flush=True)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "rows": rows})


def rows_of(stack: Stack, variant: str, runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return a row for the labels as they are, and one for each bias."""
    sections: dict[str, list[list[Document]]] = defaultdict(list)
    found: dict[str, list[Fitted]] = defaultdict(list)
    errors: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        model = load_model(run)
        test = {z: logits_of(model, scaled_slab(model, stack, z)).movedim(0, -1) for z in stack.test_slices}
        pixels, classes = labelled(stack, test)
        fits = {
            PLAIN: Fitted(1 / model.temperature, torch.zeros(len(stack.phases))),
            BIASED: fit(*validation_pixels(model, stack, run)),
            ORACLE: fit(pixels, classes),
        }
        for name, fitted in fits.items():
            labels = [label_section(stack, z, fitted.of(each).movedim(-1, 0).numpy()) for z, each in test.items()]
            sections[name].append(labels)
            found[name].append(fitted)
            errors[name].append(reliability(fitted.of(pixels), classes).ece)
    counts = {name: np.stack([joined(stack, each) for each in own]) for name, own in sections.items()}
    rows = [row(variant, name, counts) for name in counts]
    for each in rows:
        name = each["average"]
        each["iou"] = ious(stack, counts[name])
        each["calibration_error"] = np.round(errors[name], 4).tolist()
        each["bias"] = [np.round(fitted.bias.double().numpy(), 2).tolist() for fitted in found[name]]
        each["temperature"] = [round(1 / fitted.scale, 3) for fitted in found[name]]
    return rows


def validation_pixels(model: Model, stack: Stack, run: Path) -> tuple[Tensor, Tensor]:
    """Return the logits and classes of the pixels that a training validated on."""
    settings = read_config(run / "configs" / "train.yaml")
    split = split_stack(
        stack,
        settings["validation_fraction"],
        settings["validation_block"],
        settings["seed"],
        settings.get("validation_pixels"),  # versions before this knew no limit
    )
    slices = {z: logits_of(model, scaled_slab(model, stack, z)).movedim(0, -1) for z in split.z}
    return labelled(stack, slices, split.validation)


def labelled(
    stack: Stack, logits: Mapping[int, Tensor], kept: Mapping[int, np.ndarray] | None = None
) -> tuple[Tensor, Tensor]:
    """Return the logits (pixels, K) and classes (pixels,) of the labelled pixels of slices, or of those kept.

    Args:
        stack: with the annotations.
        logits: z -> (rows, columns, K).
        kept: z -> a boolean mask (rows, columns).
    """
    pixels, classes = [], []
    for z, each in logits.items():
        true = stack.read_annotation(z)
        chosen = (true > 0) & (True if kept is None else kept[z])
        pixels.append(each[torch.from_numpy(chosen)])
        classes.append(torch.from_numpy(true[chosen].astype(np.int64) - 1))
    return torch.cat(pixels), torch.cat(classes)


def fit(logits: Tensor, classes: Tensor) -> Fitted:
    """Return the scale and the bias of the greatest likelihood, which is concave in both.

    Args:
        logits: (pixels, K).
        classes: (pixels,), 0..K-1.
    """
    step = max(1, len(classes) // MOST_PIXELS)
    wide, true = logits[::step].double(), classes[::step]
    values = torch.cat([torch.ones(1), torch.zeros(wide.shape[1])]).double().requires_grad_()
    optimizer = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = cross_entropy(wide * values[0] + values[1:], true)
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale, bias = values.detach()[0], values.detach()[1:]
    return Fitted(float(scale), (bias - bias.mean()).float())


def ious(stack: Stack, counts: np.ndarray) -> dict[str, float]:
    """Return phase -> IoU, the mean of the seeds, of (seeds, blocks, K, K) pixels."""
    names = [phase.name for phase in stack.phases]
    scored = [score(each, names).phases for each in counts.sum(axis=1)]
    return {
        name: round(float(np.mean([each.iou for each in own])), 4)
        for name, own in zip(names, zip(*scored, strict=True), strict=True)
    }


if __name__ == "__main__":
    main()
