"""The header of an NRRD file, parsed by pynrrd."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.grid import Affine
from monai_app.io.volume import Header

_LONGEST = 1 << 20
"""Bytes of a header that are read."""

_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "LPS": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "RAS": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "LAS": (1, -1, 1),
}


def read_nrrd(path: Path) -> Header:
    """Read what an NRRD file says of itself.

    Raises:
        StackError: it has other than three axes, an encoding or a space that is not read, or names another file as its
            data: that might be any file of the machine.
    """
    import nrrd

    with path.open("rb") as handle:
        start = handle.read(_LONGEST)
    stream = BytesIO(start)
    content = nrrd.read_header(stream)
    _check(content)
    packed = content["encoding"].casefold() in ("gzip", "gz")
    if not packed and content["encoding"].casefold() != "raw":
        raise StackError(f"encoding {content['encoding']!r} is not read; save it with encoding gzip or raw")
    return Header(
        path,
        tuple(int(size) for size in content["sizes"]),
        _dtype(content),
        _affine(content),
        _unit(content),
        stream.tell(),
        "pixels" if packed else "",
        placed="space directions" in content,
        segments=_segments(content),
    )


def _check(content: dict[str, Any]) -> None:
    lacking = [name for name in ("dimension", "type", "encoding", "sizes") if name not in content]
    if lacking or content["dimension"] != len(content["sizes"]):
        raise StackError(f"it is not a complete NRRD file (lacking: {lacking or 'sizes'}); save or copy it again")
    if len(content["sizes"]) != 3 or min(content["sizes"]) < 1:
        raise StackError(
            f"it has axes of {content['sizes'].tolist()} and must have three; save one label map without "
            "overlapping segments, or use NIfTI"
        )
    for name in ("data file", "datafile"):
        if name in content:
            raise StackError(
                f"its pixels are in another file ({content[name]!r}), which is not followed; save one .nrrd file"
            )
    for name in ("byte skip", "byteskip", "line skip", "lineskip"):
        if content.get(name, 0) != 0:
            raise StackError(f"{name!r} is {content[name]} and must be 0; save it again without")


def _segments(content: dict[str, Any]) -> dict[int, str]:
    """What a .seg.nrrd file of 3D Slicer calls its values."""
    segments: dict[int, str] = {}
    for key, name in content.items():
        if found := re.fullmatch(r"Segment(\d+)_Name", key):
            value = str(content.get(f"Segment{found[1]}_LabelValue", ""))
            if not value.isdecimal() or int(value) in segments:
                raise StackError(
                    f"segment {name!r} has the value {value!r}, which is not a separate number; save the segments as "
                    "one label map, without overlaps"
                )
            segments[int(value)] = str(name)
    return segments


def _affine(content: dict[str, Any]) -> Affine:
    """From index to LPS; a file without directions lies along the axes, as in ITK."""
    space = content.get("space", "LPS")
    if space not in _TO_LPS:
        raise StackError(f"space {space!r} is not one of {', '.join(_TO_LPS)}; save it in one of them")
    affine = np.eye(4)
    if "space directions" in content:
        affine[:3, :3] = np.asarray(content["space directions"], np.float64).T
    elif "spacings" in content:
        affine[:3, :3] = np.diag(content["spacings"])
    if "space origin" in content:
        affine[:3, 3] = content["space origin"]
    return np.asarray(np.diag((*_TO_LPS[space], 1)) @ affine, np.float64)


def _unit(content: dict[str, Any]) -> str:
    units = content.get("space units") or ["unknown"]
    if len(set(units)) > 1:
        return ", ".join(units)
    return {"um": "micron", "": "unknown"}.get(units[0], str(units[0]))


def _dtype(content: dict[str, Any]) -> np.dtype[Any]:
    from nrrd.reader import _TYPEMAP_NRRD2NUMPY as TYPES  # a table, and the only one there is

    dtype = np.dtype(str(TYPES[content["type"]]))
    return dtype if dtype.itemsize == 1 else np.dtype({"little": "<", "big": ">"}[content["endian"]] + dtype.str[1:])
