"""Whether a stack holds what its sample's files hold, pixel for pixel."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.progress import Progress, counted, silent
from monai_app.stack.discovery import read_description
from monai_app.stack.ingestion.inputs import Inputs
from monai_app.stack.ingestion.sample import Sample, check_sample
from monai_app.stack.metadata import read_metadata
from monai_app.stack.store import Stack
from monai_app.stack.verification import Findings


def compare_with_source(path: Path, description: Path, progress: Progress = silent) -> Findings:
    """Read a stack and the files of its sample, and compare them.

    Args:
        path: the stack.
        description: the description of the sample, or its folder.
        progress: called with the slices compared and in total.

    Returns:
        Every difference as a fault: of each detector the first slice that differs and how many do. A note says whether
        the files are, byte for byte, those that were ingested.

    Raises:
        ConfigError: the description cannot be used.
        StackError: the stack or the files cannot be read.
        AnnotationError: the annotations do not fit.
    """
    stack = Stack.open(path)
    sample = replace(check_sample(read_description(description)), alignment=stack.alignment)
    differ = {what: both for what, both in _meaning(stack, sample).items() if both[0] != both[1]}
    texts = [
        f"{path}: {what}: {ours} in the stack and {theirs} by {description}" for what, (ours, theirs) in differ.items()
    ]
    found = Findings(texts)
    if not differ.keys() & {"detectors", "shape", "dtype"}:
        inputs = Inputs(sample.sources)
        found.faults += _different_images(stack, sample, progress) + _different_annotations(stack, sample)
        found.notes.append(_note(path, inputs.hashes()))
    return found


def _meaning(stack: Stack, sample: Sample) -> dict[str, tuple[Any, Any]]:
    """What both say beside pixels."""
    kept = [z for z in sample.annotations.slices if z not in stack.edits]
    roles = {z: "train" if z in sample.annotations.train else "test" for z in kept}
    voxel_nm = tuple(float(f"{length:.9g}") for length in sample.voxel_nm)
    return {
        "detectors": (stack.detectors, tuple(sample.detectors)),
        "shape": (stack.shape, (sample.slices, *sample.plane_shape)),
        "dtype": (stack.dtype.name, sample.dtype.name),
        "voxel_nm": (tuple(float(f"{length:.9g}") for length in stack.voxel_nm), voxel_nm),
        "slice_names": (stack.slice_names, sample.index.names),
        "gaps": (stack.gaps, sample.gaps),
        "phases": (_names(stack.phases), _names(sample.description.phases)),
        "annotated slices": ({z: role for z, role in stack.roles.items() if z not in stack.edits}, roles),
    }


def _names(phases: Sequence[Phase]) -> dict[int, str]:
    return {phase.value: phase.name for phase in phases}


def _different_images(stack: Stack, sample: Sample, progress: Progress) -> list[str]:
    first: dict[str, str] = {}
    slices = dict.fromkeys(sample.detectors, 0)
    readers = {name: source.planes() for name, source in sample.detectors.items()}
    progress(0, sample.slices)
    for z in range(sample.slices):
        stored = stack.read_slab(z, stack.detectors, 1)
        for channel, (name, reader) in enumerate(readers.items()):
            if text := _difference(stored[channel], sample.placed(name, z, next(reader))):
                slices[name] += 1
                first.setdefault(name, f"{stack.path}: {name}, slice {z} ({stack.slice_names[z]}): {text}")
        progress(z + 1, sample.slices)
    return [f"{text}; {slices[name]} of {sample.slices} slices differ" for name, text in first.items()]


def _different_annotations(stack: Stack, sample: Sample) -> list[str]:
    """Those that were changed since are left out."""
    for z in sample.annotations.slices:
        if z not in stack.edits and (text := _difference(stack.read_annotation(z), sample.annotation(z))):
            return [f"{stack.path}: annotation of slice {z} ({stack.slice_names[z]}): {text}"]
    return []


def _difference(stored: npt.NDArray[Any], source: npt.NDArray[Any]) -> str:
    """How many pixels differ, and the first one; empty if none does."""
    differ = np.argwhere(stored != source)
    if not len(differ):
        return ""
    row, column = differ[0]
    return (
        f"{len(differ)} of {counted(stored.size, 'pixel')} differ, the first at row {row}, column {column}: "
        f"{stored[row, column]} in the stack and {source[row, column]} in the file"
    )


def _note(path: Path, now: dict[str, str]) -> str:
    recorded = read_metadata(path).inputs
    if not recorded:
        return "what files it was made of was not recorded, as it is of stacks of earlier versions"
    changed = [name for name in {**recorded, **now} if recorded.get(name) != now.get(name)]
    if changed:
        rest = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return f"files are not, byte for byte, those that were ingested: {changed[0]}{rest}"
    return f"the files are those that were ingested (SHA-256 of {len(now)})"
