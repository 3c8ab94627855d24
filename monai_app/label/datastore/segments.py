"""What the values of a client's label map mean: its segments by name, or the stack's phases."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError
from monai_app.stack import Phase

Labels = npt.NDArray[np.uint8]

_STRETCH = 1 << 20

_REMEDY = "remove other segments (scribbles, 'background') or move them behind the phases, and save the label again"

_FORM = "give a list of objects with 'name' (text) and 'idx' (whole number)"


def to_phases(labels: Labels, phases: Sequence[Phase], label_info: Sequence[Mapping[str, Any]] | None) -> Labels:
    """Turn the values of a client's label map into phases.

    3D Slicer numbers segments by their position among all of them in ``label_info``, but by their position among the
    saved ones in the label map. So the two are known to agree only where the numbers are 1..n.

    Args:
        labels: any shape, 0 unlabelled.
        phases: the phases 1..K.
        label_info: ``{"name": segment, "idx": value}`` of every segment. Names are those of phases; case counts only
            where it tells two apart. None or empty: the values are those of phases.

    Returns:
        The same shape, 0 unlabelled, 1..K the phases.

    Raises:
        AnnotationError: ``label_info`` has another form, values without a meaning, segments that are no phases, numbers
            that are not 1..n.
    """
    if label_info is not None and not isinstance(label_info, list | tuple):
        raise AnnotationError(f"label_info: {repr(label_info)[:120]} is no list; {_FORM}, or leave it out")
    meaning = _by_name(label_info, phases) if label_info else {phase.value: phase.value for phase in phases}
    names = {value: name for name, value in _pairs(label_info)} if label_info else {}
    table = np.zeros(256, np.uint8)
    for value in _values(labels):
        if value not in meaning:
            known = ", ".join(f"{phase.value} {phase.name}" for phase in phases)
            what = f"segment {names[value]!r} (value {value}) is" if value in names else f"value {value} is"
            raise AnnotationError(f"{what} no phase of the stack; its phases are {known}: label with these alone")
        table[value] = meaning[value]
    found = np.empty(labels.size, np.uint8)
    for part in _parts(labels.size):
        found[part] = table[labels.ravel()[part]]
    return found.reshape(labels.shape)


def _values(labels: Labels) -> list[int]:
    """The values that occur, ascending, without 0."""
    counts = np.zeros(256, np.int64)
    for part in _parts(labels.size):
        counts += np.bincount(labels.ravel()[part], minlength=256)
    counts[0] = 0
    return np.flatnonzero(counts).tolist()


def _parts(size: int) -> list[slice]:
    """Stretches of pixels: NumPy turns indices into 64-bit numbers, which is not to happen to all of them at a time."""
    return [slice(start, start + _STRETCH) for start in range(0, size, _STRETCH)]


def _by_name(label_info: Sequence[Mapping[str, Any]], phases: Sequence[Phase]) -> dict[int, int]:
    """Value in the label map -> phase, for the segments that are phases."""
    pairs = _pairs(label_info)
    values = sorted(value for _, value in pairs)
    if values != list(range(1, len(values) + 1)):
        shown = ", ".join(f"{name!r} {value}" for name, value in pairs)
        raise AnnotationError(
            f"the segments are numbered {shown} and must be 1 to {len(values)}: other numbers do not tell which "
            f"segment a value of the label map is; {_REMEDY}"
        )
    known = {phase.name.casefold(): phase.value for phase in phases}
    return {value: known[name.casefold()] for name, value in pairs if name.casefold() in known}


def _pairs(label_info: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    pairs = []
    for entry in label_info:
        name, value = (entry.get("name"), entry.get("idx")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(value, int) or isinstance(value, bool):
            raise AnnotationError(f"label_info: {repr(entry)[:120]} is no segment; {_FORM}")
        pairs.append((name, value))
    return pairs
