"""The header of an MRC file, parsed by mrcfile; rows are taken as they are stored."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.base import Request
from monai_app.io.recorded import UNKNOWN, Recorded, Size, positive
from monai_app.io.volume import Header, VolumePlanes, open_volume

_LENGTH = 1024
"""Bytes of the header, without the extended one."""

_IMOD = (152, 1146047817)
"""Byte at which IMOD writes its mark, and the mark."""

_SIGNED = 1
"""Bit of the flags after the mark: bytes are signed."""

_ANGSTROM_NM = 0.1
"""An angstrom, nm."""


def open_mrc(path: Path, request: Request) -> VolumePlanes:
    """Check the header of an MRC file.

    Raises:
        StackError: see `open_volume`; its axes are not columns, rows and slices.
    """
    planes = open_volume(_read, path, request)
    return replace(planes, recorded=Recorded(_size(_parsed(path)), origin="its header"))


def _read(path: Path) -> Header:
    header = _parsed(path)
    order = tuple(int(header[name]) for name in ("mapc", "mapr", "maps"))
    if order not in ((1, 2, 3), (0, 0, 0)):
        raise StackError(f"its axes are stored in the order {order} and must be columns, rows, slices (1, 2, 3)")
    shape = tuple(int(header[name]) for name in ("nx", "ny", "nz"))
    if min(shape) < 1 or int(header.nsymbt) < 0:
        raise StackError(f"its header gives {shape} columns, rows and slices: it is damaged; copy it again")
    return Header(path, shape, _dtype(header), np.eye(4), offset=_LENGTH + int(header.nsymbt), placed=False)


def _parsed(path: Path) -> Any:
    import mrcfile

    with mrcfile.open(path, header_only=True) as file:
        return file.header.copy()


def _dtype(header: Any) -> np.dtype[Any]:
    from mrcfile.utils import data_dtype_from_header

    dtype = np.dtype(data_dtype_from_header(header))
    place, mark = _IMOD
    words = np.frombuffer(header.tobytes(), header.mode.dtype, 2, place)
    unsigned = dtype == np.int8 and words[0] == mark and not words[1] & _SIGNED
    return np.dtype(np.uint8) if unsigned else dtype


def _size(header: Any) -> Size:
    """The size of a voxel in nm, where the header's cell has as many intervals as there are voxels.

    A size of 1 angstrom is what programs write that know none.
    """
    cell, counts = header.cella, {"z": ("mz", "nz"), "y": ("my", "ny"), "x": ("mx", "nx")}
    lengths = []
    for axis, (intervals, voxels) in counts.items():
        whole, parts = positive(float(cell[axis])), int(header[intervals])
        known = whole is not None and parts == int(header[voxels]) and whole != parts
        lengths.append(whole * _ANGSTROM_NM / parts if whole is not None and known else None)
    z, y, x = lengths
    return UNKNOWN if y is None or x is None else (z, y, x)
