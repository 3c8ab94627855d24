"""Writing MRC, by mrcfile."""

from pathlib import Path

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
        means, squares, lowest, highest = [], [], [], []
        for index, plane in enumerate(content.planes):
            file.data[index] = plane
            means.append(float(plane.mean()))
            squares.append(float(np.square(plane, dtype=np.float64).mean()))
            lowest.append(float(plane.min()))
            highest.append(float(plane.max()))
        mean = float(np.mean(means))
        file.header.dmin, file.header.dmax, file.header.dmean = min(lowest), max(highest), mean
        file.header.rms = max(0.0, float(np.mean(squares)) - mean**2) ** 0.5
