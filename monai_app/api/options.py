"""Options that `monai_app.segment` and `monai_app.segment_images` share."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from monai_app.api.given import PathLike


class SegmentOptions(TypedDict, total=False):
    """Options of `monai_app.segment` and `monai_app.segment_images`; None and a missing one mean the same.

    Attributes:
        z: slices to segment, ``"FIRST:END"`` with END excluded, or one; None means all.
        y: rows, likewise.
        x: columns, likewise.
        mask: image file, or name of a label image of the stack; only pixels above 0 are segmented.
        preview: segment only this many slices, spread over the stack.
        tile: side of a tile, or ``"ROWS,COLUMNS"``, in pixels; None chooses by the available memory.
        memory: limit per process, such as ``"2GiB"``; None means 4 GiB, or half of the free memory.
        precision: ``"bfloat16"`` is faster on some machines but changes some labels.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        workers: processes on this machine; 0 computes in this process.
        cluster: address of a Dask scheduler to compute on.
        detectors: detector of the model -> detector of the stack, or subfolder of the images, that replaces it.
        overwrite: replace existing labels of that name, or the existing folder.
    """

    z: str | None
    y: str | None
    x: str | None
    mask: PathLike | None
    preview: int | None
    tile: str | None
    memory: str | None
    precision: Literal["float32", "bfloat16"] | None
    device: str | None
    workers: int | None
    cluster: str | None
    detectors: Mapping[str, str] | None
    overwrite: bool


_AXES = {"slices": "z", "rows": "y", "columns": "x"}


def asked_settings(options: SegmentOptions, **others: object) -> dict[str, Any]:
    """Return the settings of `Applied` that a caller gives, that is, those that are not None.

    Args:
        options: the shared options.
        others: other settings, by their names, or values in place of an option's.
    """
    asked: dict[str, Any] = {**options, **others}
    region = {axis: text for axis, name in _AXES.items() if (text := asked.pop(name, None)) is not None}
    asked["region"] = region or None
    asked["stand_ins"] = dict(asked.pop("detectors", None) or {}) or None
    asked["overwrite"] = asked.get("overwrite") or None
    return {name: value for name, value in asked.items() if value is not None}
