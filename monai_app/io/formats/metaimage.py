"""The header of a MetaImage file (.mha, .mhd), ITK's own format: lines of `key = value`, then the pixels.

ITK's reader would do, but it follows any file name and writes its complaints to the terminal.
"""

from pathlib import Path

import numpy as np

from monai_app.errors import StackError
from monai_app.io.grid import Affine
from monai_app.io.volume import Header

_LONGEST = 1 << 16
"""Bytes of a header that are read."""

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}

_UNITS = {"um": "micron", "?": "unknown"}

_GEOMETRY = ("ElementSpacing", "ElementSize", "TransformMatrix", "Rotation", "Orientation")
"""Keys that say where voxels lie, some under their older names."""


def read_metaimage(path: Path) -> Header:
    """Read what a MetaImage file says of itself.

    Raises:
        StackError: it is damaged, has other than three axes, text as pixels or several values a pixel, or names pixels
            in another folder, or in several files.
    """
    entries, end = _entries(path)
    _check(entries)
    data = _pixel_file(path, entries["ElementDataFile"])
    big_endian = _flag(entries, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return Header(
        path,
        tuple(int(length) for length in entries["DimSize"].split()),
        np.dtype((">" if big_endian else "<") + _TYPES[entries["ElementType"]]),
        _affine(entries),
        _UNITS.get(unit := entries.get("DistanceUnits", "?"), unit),
        end if data is None else 0,
        "pixels" if _flag(entries, "CompressedData") else "",
        placed=any(key in entries for key in _GEOMETRY),
        data=data,
    )


def _entries(path: Path) -> tuple[dict[str, str], int]:
    """The keys and values up to ElementDataFile, which is the last one, and where they end."""
    entries: dict[str, str] = {}
    with path.open("rb") as handle:
        while handle.tell() < _LONGEST and b"=" in (line := handle.readline(_LONGEST)):
            key, _, value = line.decode("latin-1").partition("=")
            entries[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                return entries, handle.tell()
    raise StackError("it does not begin as a MetaImage file (no ElementDataFile); save or copy it again")


def _check(entries: dict[str, str]) -> None:
    lacking = [key for key in ("NDims", "DimSize", "ElementType") if key not in entries]
    if lacking:
        raise StackError(f"it is no complete MetaImage file (lacking: {', '.join(lacking)}); save it again")
    lengths = entries["DimSize"].split()
    if entries["NDims"] != "3" or len(lengths) != 3 or min(int(length) for length in lengths) < 1:
        raise StackError(f"it has axes of {entries['DimSize']} and must have x, y and z; save a volume")
    for key, only in (("ElementNumberOfChannels", "1"), ("HeaderSize", "0"), ("BinaryData", "True")):
        if entries.get(key, only).casefold() != only.casefold():
            raise StackError(f"{key} is {entries[key]} and must be {only}; save it again, as grey pixels")
    if entries["ElementType"] not in _TYPES:
        raise StackError(f"ElementType {entries['ElementType']} is none of {', '.join(_TYPES)}; convert the pixels")


def _pixel_file(path: Path, name: str) -> Path | None:
    """The file of the pixels: None if they follow the header, else one beside it."""
    if name.casefold() == "local":
        return None
    data = path.with_name(Path(name).name)
    if Path(name).name != name or not data.is_file() or data.is_symlink():
        raise StackError(
            f"it leaves its pixels to {name!r}, which is no file beside it; put it there, or save one .mha file"
        )
    return data


def _affine(entries: dict[str, str]) -> Affine:
    """From index to LPS; the matrix lists the direction of x, then of y and z."""
    spacing = _first(entries, "ElementSpacing", "ElementSize")
    directions = _first(entries, "TransformMatrix", "Rotation", "Orientation")
    origin = _first(entries, "Offset", "Position", "Origin")
    affine = np.eye(4)
    if directions:
        affine[:3, :3] = np.reshape(directions, (3, 3)).T
    affine[:3, :3] *= spacing or 1.0
    affine[:3, 3] = origin or 0.0
    return affine


def _first(entries: dict[str, str], *keys: str) -> list[float]:
    found = next((entries[key] for key in keys if key in entries), "")
    return [float(number) for number in found.split()]


def _flag(entries: dict[str, str], *keys: str) -> bool:
    return any(entries.get(key, "").casefold() in ("true", "1") for key in keys)
