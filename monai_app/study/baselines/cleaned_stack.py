"""Cleaned copies of stacks, on which baselines, and networks too, are trained."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from monai_app.files import work_folder, write_json
from monai_app.progress import Progress, Task, silent
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.study.baselines.cleaning import STEPS, Cleaning, choices, clean
from monai_app.study.baselines.forest import Forest
from monai_app.study.baselines.method import Examples

_SEED = 0
"""Of the forest that chooses, and of the blocks that validate."""

_LEAST_SAMPLES = 5
"""Of a leaf of this forest."""

_TREES, _SAMPLES = 20, 4000
"""Of it: it is trained some twenty times."""


def cleaned_stack(
    stack: Stack, target: Path, validation: tuple[float, int], progress: Task = lambda name: nullcontext(silent)
) -> Stack:
    """Return the cleaned copy of a stack; it is made where it does not exist, or is of another stack.

    How strongly each detector is cleaned is chosen by what helps a random forest on this detector most: step after
    step, each strength is tried, and the one with the greatest mean IoU on the validation blocks of the training slices
    is kept. Test slices are not looked at. All that was tried stands beside the store, in ``<name>.json``.

    Args:
        stack: the stack.
        target: store of the copy, ``<name>.ome.zarr``.
        validation: which share of the labelled area validates, and the side of its blocks in pixels.
        progress: makes what shows the progress of a step.

    Raises:
        ConfigError: algotom is not installed.
        BusyError: another process makes it.
        StackError: a slice is damaged.
    """
    record = _record(target)
    done = json.loads(record.read_text(encoding="utf8")) if target.is_dir() and record.is_file() else {}
    if done.get("stack_identity") == stack.identity:
        return Stack.open(target)
    with progress("choose how to clean") as shown:
        chosen = _choose_all(stack, validation, shown)
    images = target.with_name(target.name.removesuffix(".ome.zarr") + "_images")
    with work_folder(images, f"{target} is being made by another process; wait for it") as folder:
        with progress("clean") as shown:
            description = _write(stack, {name: best for name, (best, _) in chosen.items()}, folder, shown)
        made = ingest(SampleDescription.model_validate(description, context=folder), target, overwrite=True)
    cleanings = {
        name: {
            "chosen": asdict(best),
            "tried": [{**asdict(each), "mean_iou": score} for each, score in tried],
        }
        for name, (best, tried) in chosen.items()
    }
    write_json(record, {"stack_identity": stack.identity, "detectors": cleanings})
    return made


def cleaning_of(copy: Stack) -> dict[str, Cleaning]:
    """Return how each detector of a cleaned copy was cleaned."""
    record = json.loads(_record(copy.path).read_text(encoding="utf8"))
    return {name: Cleaning(**own["chosen"]) for name, own in record["detectors"].items()}


def _record(copy: Path) -> Path:
    return copy.with_name(copy.name.removesuffix(".ome.zarr") + ".json")


def _choose_all(
    stack: Stack, validation: tuple[float, int], progress: Progress
) -> dict[str, tuple[Cleaning, list[tuple[Cleaning, float]]]]:
    found = {}
    progress(0, len(stack.detectors))
    for number, name in enumerate(stack.detectors, 1):
        found[name] = _choose(Examples.of(stack, [name], 1, _SEED, validation))
        progress(number, len(stack.detectors))
    return found


def _choose(examples: Examples) -> tuple[Cleaning, list[tuple[Cleaning, float]]]:
    """Return the best cleaning of a detector, and all that were tried with their mean IoU."""
    best, tried = Cleaning(), dict[Cleaning, float]()
    for step in STEPS:
        for cleaning in choices(best, step):
            if cleaning not in tried:
                tried[cleaning] = _score(examples, cleaning)
        best = max(choices(best, step), key=tried.__getitem__)
    return best, [*tried.items()]


def _score(examples: Examples, cleaning: Cleaning) -> float:
    slabs = {z: clean(slab[0], cleaning)[np.newaxis] for z, slab in examples.slabs.items()}
    cleaned = Examples(slabs, examples.labels, examples.split, examples.phases)
    fitted = cleaned.fit(Forest(1, _SEED, _TREES, _SAMPLES), {"least_samples": _LEAST_SAMPLES})
    return cleaned.validate(fitted)


def _write(stack: Stack, chosen: Mapping[str, Cleaning], folder: Path, progress: Progress) -> dict[str, Any]:
    """Write the cleaned images and the annotations as TIFFs, and return their description."""
    for name in chosen:
        (folder / "images" / name).mkdir(parents=True)
    progress(0, stack.shape[0])
    for z in range(stack.shape[0]):
        for name, cleaning in chosen.items():
            (plane,) = stack.read_slab(z, [name], 1)
            tifffile.imwrite(folder / "images" / name / _file(z), clean(plane, cleaning))
        progress(z + 1, stack.shape[0])
    (folder / "annotations").mkdir()
    for z in stack.roles:
        tifffile.imwrite(folder / "annotations" / _file(z), stack.read_annotation(z))
    voxel = dict(zip("zyx", stack.voxel_nm, strict=True))
    return {
        "name": f"{stack.name} cleaned",
        "voxel_nm": voxel,
        "numbers": {"gaps": "ignore"},
        "breaks": list(stack.gaps),
        "detectors": {name: str(folder / "images" / name) for name in chosen},
        "phases": [{"value": each.value, "name": each.name, "colour": each.colour} for each in stack.phases],
        "annotations": {
            "source": str(folder / "annotations"),
            "mapping": {each.value: each.name for each in stack.phases},
            "unlabelled": [0],
            "train": list(stack.train_slices),
            "test": list(stack.test_slices),
        },
    }


def _file(z: int) -> str:
    """Name of a slice's files: those of single micrographs may have no number that orders them."""
    return f"slice_{z:05d}.tif"
