"""What the values of a client's label map mean: its segments by name, or the stack's phases."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monai_app.errors import AnnotationError
from monai_app.io import Labels
from monai_app.stack import Phase

Segments = Sequence[Mapping[str, Any]]
"""``{"name": segment, "idx": value}`` of every segment of a client."""

_REMEDY = "remove other segments (scribbles, 'background') or move them behind the phases, and save the label again"

_FORM = "give a list of objects with 'name' (text) and 'idx' (whole number)"


def to_phases(labels: Labels, phases: Sequence[Phase], segments: Segments | None) -> Labels:
    """Turn the values of a client's label map into phases.

    3D Slicer numbers segments by their position among all of them in ``label_info``, but by their position among the
    saved ones in the label map. So the two are known to agree only where the numbers are 1..n.

    Args:
        labels: any shape, 0 unlabelled.
        phases: the phases 1..K.
        segments: what the client sent as ``label_info``. Names are those of phases, in any case. None or empty: the
            values are those of phases.

    Returns:
        The same shape, 0 unlabelled, 1..K the phases; read-only.

    Raises:
        AnnotationError: the segments have another form, are no phases or are not numbered 1..n, or values have no
            meaning.
    """
    names, known = _names(segments), {phase.name.casefold(): phase.value for phase in phases}
    meaning = {value: known[name.casefold()] for value, name in names.items() if name.casefold() in known}
    if not names:
        meaning = {value: value for value in known.values()}
    table = bytearray(256)
    for value in filter(None, np.unique(labels).tolist()):
        if value not in meaning:
            what = f"segment {names[value]!r} (value {value}) is" if value in names else f"value {value} is"
            listed = ", ".join(f"{phase.value} {phase.name}" for phase in phases)
            raise AnnotationError(f"{what} no phase of the stack; its phases are {listed}: label with these alone")
        table[value] = meaning[value]
    # Not by indexing: NumPy would turn all values into 64-bit numbers at a time.
    return np.frombuffer(labels.tobytes().translate(table), np.uint8).reshape(labels.shape)


def _names(segments: Any) -> dict[int, str]:
    """Value in the label map -> the segment's name."""
    if segments is None:
        return {}
    if not isinstance(segments, list | tuple):
        raise AnnotationError(f"label_info: {repr(segments)[:120]} is no list; {_FORM}, or leave it out")
    pairs: list[tuple[int, str]] = []
    for entry in segments:
        value, name = (entry.get("idx"), entry.get("name")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(name, str) or type(value) is not int:
            raise AnnotationError(f"label_info: {repr(entry)[:120]} is no segment; {_FORM}")
        pairs.append((value, name))
    if sorted(value for value, _ in pairs) != list(range(1, len(pairs) + 1)):
        shown = ", ".join(f"{name!r} {value}" for value, name in pairs)
        raise AnnotationError(
            f"the segments are numbered {shown} and must be 1 to {len(pairs)}: other numbers do not tell which "
            f"segment a value of the label map is; {_REMEDY}"
        )
    return dict(pairs)
