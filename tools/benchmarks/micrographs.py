"""What keeps the U-Net from learning NASA's micrographs: trainings that differ from the study's in one thing.

    python tools/benchmarks/micrographs.py nasa study WORK --data ../shared/data --try normalised half --json nasa.json

STUDY is the folder of a ``monai-app study`` of nasa.ome.zarr (``study_data.py``, ``configs/studies/nasa.yaml``). Every
trial trains as the study does, on images or with settings of its own (`TRIALS`), and is scored on the whole test
micrographs, beside the study's variants of the same seeds: by how much the mean IoU differs, with the interval of the
paired comparison that studies use (`compare`). A training that is there in WORK is not repeated.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from averaging import joined, label_section, logits_of, scaled_slab
from bias import ious
from common import app, command, learning_curve, machine, settings_options, write_json
from study_data import REAL, real
from torch.nn.functional import interpolate

from monai_app.bundle.model import load_model
from monai_app.metrics import Counts, mean_iou
from monai_app.stack import Stack
from monai_app.study import Contrast, compare, read_design, read_outcomes, runs_of

OTHERS = ["unet_SEM_1", "forest_SEM_1"]
"""Variants of the study that every trial is compared with."""

BLOCK = 128
"""Side of a validation block of the study, in pixels of the micrographs."""


@dataclass(frozen=True)
class Trial:
    """How a training differs from the study's.

    Args:
        normalised: whether each micrograph is scaled to one mean and standard deviation.
        binned: side of the squares whose mean is a pixel.
        settings: of the training, NAME=VALUE.
    """

    normalised: bool = False
    binned: int = 1
    settings: tuple[str, ...] = ()

    def image(self, grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8 | np.uint16]:
        """Return what a micrograph (rows, columns) becomes."""
        rows, columns = (side // self.binned for side in grey.shape)
        means = grey.reshape(rows, self.binned, columns, self.binned).mean(axis=(1, 3))
        if not self.normalised:
            return np.rint(means).astype(np.uint8)
        scaled = (means - means.mean()) / means.std()
        return np.clip(np.rint(32768 + 8192 * scaled), 0, 65535).astype(np.uint16)

    def labels(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return what labels (rows, columns) become."""
        return np.ascontiguousarray(labels[:: self.binned, :: self.binned])


STEADY = tuple(f"augmentation::{name}::prob=0.0" for name in ("gain", "offset", "noise"))
TRIALS = {
    "normalised": Trial(normalised=True),
    "half": Trial(binned=2),
    "quarter": Trial(binned=4),
    "steady": Trial(settings=STEADY),
    "normalised_steady": Trial(normalised=True, settings=STEADY),
    "half_steady": Trial(binned=2, settings=STEADY),
    "double": Trial(settings=("max_epochs=48",)),
}


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="the store that the study was made with")
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("work", type=Path, help="folder for images and trainings")
    parser.add_argument("--data", type=Path, required=True, help="folder with the real images")
    parser.add_argument("--try", dest="trials", nargs="+", choices=TRIALS, required=True, help="what is trained")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of each trial")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    stack, rows = Stack.open(str(arguments.stack)), []
    others = study_counts(stack, arguments.study, arguments.seeds)
    for name in arguments.trials:
        own = stack_of(TRIALS[name], arguments.work / name, arguments.data)
        runs = [trained(TRIALS[name], own, arguments.work / name, seed) for seed in arguments.seeds]
        counts = np.stack([counts_of(stack, own, run, TRIALS[name].binned) for run in runs])
        validation = [max(learning_curve(run)) for run in runs]
        rows.append({"trial": name, "seeds": arguments.seeds, "validation": validation, **row(stack, counts, others)})
        print(rows[-1], flush=True)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "rows": rows})


def study_counts(stack: Stack, study: Path, seeds: Sequence[int]) -> dict[str, Counts]:
    """Return variant -> pixels (seeds, micrographs, K, K), [true][predicted], that the study has."""
    design = read_design(study / "design.yaml").replaced(variants=OTHERS, seeds=seeds)
    outcomes = read_outcomes(runs_of(design, [stack], study))
    return {name: np.stack([each.blocks for each in outcomes if each.run.variant.name == name]) for name in OTHERS}


def stack_of(trial: Trial, work: Path, data: Path) -> Stack:
    """Return the stack of a trial's images."""
    source, name = data / REAL["nasa"][0], REAL["nasa"][0]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.tif"):
        pixels = tifffile.imread(path)
        made = trial.labels(pixels) if path.stem.endswith("_label") else trial.image(pixels)
        tifffile.imwrite(folder / path.name, made)
    return Stack.open(str(real(work, "nasa", work)))


def trained(trial: Trial, stack: Stack, work: Path, seed: int) -> Path:
    """Train as the study does but for what the trial changes; return the run folder."""
    run = work / f"seed_{seed}"
    settings = [f"validation_block={BLOCK // trial.binned}", "max_epochs=24", *trial.settings]
    app("train", stack.path, run, "--size", "small", "--seed", seed, *settings_options(settings))
    return run


def counts_of(stack: Stack, own: Stack, run: Path, binned: int) -> Counts:
    """Return the pixels (micrographs, K, K) of a training's labels, brought back to the micrographs' pixels."""
    model, sections = load_model(run), []
    for z in stack.test_slices:
        logits = logits_of(model, scaled_slab(model, own, z))[None]
        whole = interpolate(logits, scale_factor=binned, mode="bilinear")[0] if binned > 1 else logits[0]
        sections.append(label_section(stack, z, whole.numpy()))
    return joined(stack, sections)


def row(stack: Stack, counts: Counts, others: dict[str, Counts]) -> dict[str, Any]:
    """Return the scores of a trial, and what it changes against each variant of the study."""
    found: dict[str, Any] = {
        "mean_iou": [round(mean_iou(each.sum(axis=0)), 4) for each in counts],
        "iou": ious(stack, counts),
    }
    for name, theirs in others.items():
        pair = ("trial", name)
        (difference,) = compare({"trial": [counts], name: [theirs]}, [Contrast("", *pair, (pair,))])
        numbers = {each: getattr(difference, each) for each in ("value", "low", "high", "of_blocks")}
        found[name] = {key: None if math.isnan(number) else round(number, 4) for key, number in numbers.items()}
    return found


if __name__ == "__main__":
    main()
