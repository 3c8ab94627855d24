"""The segment names that clients send with a label map."""

from collections.abc import Mapping
from typing import Any

from monai_app.errors import AnnotationError

_REMEDY = "remove other segments (scribbles, 'background') or move them after the phases, and save the label again"

_FORM = "give a list of objects with 'name' (text) and 'idx' (integer)"


def segment_names(label_info: Any) -> dict[int, str]:
    """Return the mapping of values in the label map to segment names; empty if the client names none.

    3D Slicer numbers segments by their position among all segments in ``label_info``, but by their position among the
    saved ones in the label map. So the two certainly agree only if the numbers are 1..n.

    Args:
        label_info: ``{"name": segment, "idx": value}`` of every segment, or None.

    Raises:
        AnnotationError: the form is invalid, or the numbers are not 1..n.
    """
    if label_info is None:
        return {}
    if not isinstance(label_info, list | tuple):
        raise AnnotationError(f"label_info: {repr(label_info)[:120]} is not a list; {_FORM}, or leave it out")
    pairs: list[tuple[int, str]] = []
    for entry in label_info:
        value, name = (entry.get("idx"), entry.get("name")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(name, str) or type(value) is not int:
            raise AnnotationError(f"label_info: {repr(entry)[:120]} is not a segment; {_FORM}")
        pairs.append((value, name))
    if sorted(value for value, _ in pairs) != list(range(1, len(pairs) + 1)):
        shown = ", ".join(f"{name!r} {value}" for value, name in pairs)
        raise AnnotationError(
            f"the segments are numbered {shown} and must be 1 to {len(pairs)}: with other numbers, the values of the "
            f"label map are ambiguous; {_REMEDY}"
        )
    return dict(pairs)
