"""Writing MRC, by mrcfile."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from monai_app.errors import StackError
from monai_app.io.writers.content import Content

_TYPES = {"uint8": np.uint16, "uint16": np.uint16, "int16": np.int16}
"""MRC has no unsigned bytes on which programs agree."""

_ANGSTROMS = 10
"""In a nanometre."""


def write_mrc(path: Path, content: Content) -> None:
    """Write MRC; values of one byte take two, voxel size and origin are angstroms.

    Raises:
        StackError: there are several channels, or pixels that MRC does not have.
    """
    import mrcfile

    content.check_one_channel()
    if content.dtype.name not in _TYPES:
        raise StackError(f"pixels are {content.dtype} and must be one of {', '.join(_TYPES)}; use .nrrd")
    dtype = np.dtype(_TYPES[content.dtype.name])
    z, y, x = (length * _ANGSTROMS for length in content.size_nm)
    with mrcfile.new_mmap(path, content.shape, mrcfile.utils.mode_from_dtype(dtype), overwrite=True) as file:
        file.set_volume()
        file.voxel_size = (x, y, z)
        for axis, length in zip("zyx", content.origin_nm, strict=True):
            file.header.origin[axis] = length * _ANGSTROMS
        file.header.nlabl = 1
        file.header.label[0] = content.title[:80].encode("ascii", "replace")
        length = file.header.nbytes
    with path.open("r+b") as handle:  # pages of a mapped file would count as this process's memory
        handle.seek(length)
        statistics = _write_planes(handle, content, dtype)
    with mrcfile.mmap(path, "r+") as file:
        for name, value in statistics.items():
            file.header[name] = value


def _write_planes(handle: BinaryIO, content: Content, dtype: np.dtype[Any]) -> dict[str, float]:
    """Write the planes; what the header says of their values."""
    means, squares, lowest, highest = [], [], [], []
    for plane in content.planes:
        handle.write(np.ascontiguousarray(plane, dtype).data)
        means.append(float(plane.mean()))
        squares.append(float(np.square(plane, dtype=np.float64).mean()))
        lowest.append(float(plane.min()))
        highest.append(float(plane.max()))
    mean = float(np.mean(means))
    rms = max(0.0, float(np.mean(squares)) - mean**2) ** 0.5
    return {"dmin": min(lowest), "dmax": max(highest), "dmean": mean, "rms": rms}
