"""What is written into a file, whatever its format."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.errors import StackError
from monai_app.io.grid import Affine
from monai_app.io.recorded import NANOMETRES

MICRON = "micron"
"""The unit of what this package writes."""


@dataclass(frozen=True, eq=False)
class Content:
    """Planes of a volume, one after the other, and what they mean.

    Args:
        shape: (slices, rows, columns).
        dtype: type of the pixels.
        planes: (rows, columns) each, slice after slice, and channel after channel if there are several; read once.
        affine: 4 x 4, from the index x, y, z to LPS.
        unit: the unit of lengths that the file is to name; None for micrometres, which formats name as programs expect.
        channels: number of channels.
        phases: what the values mean; None if they are not labels.
        slice_names: of every slice; empty if they have none.
        title: what it is, for people.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    planes: Iterator[npt.NDArray[Any]]
    affine: Affine
    unit: str | None = None
    channels: int = 1
    phases: tuple[Phase, ...] | None = None
    slice_names: tuple[str, ...] = ()
    title: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.channels * self.dtype.itemsize

    @property
    def size_nm(self) -> tuple[float, float, float]:
        """Size of a voxel z, y, x in nm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0) * NANOMETRES[self.unit or MICRON]
        return float(z), float(y), float(x)

    @property
    def origin_nm(self) -> tuple[float, float, float]:
        """Centre of the first voxel z, y, x in nm."""
        x, y, z = self.affine[:3, 3] * NANOMETRES[self.unit or MICRON]
        return float(z), float(y), float(x)

    def little_endian(self) -> Iterator[memoryview]:
        """The bytes of the planes, one after the other."""
        for plane in self.planes:
            yield np.ascontiguousarray(plane, self.dtype.newbyteorder("<")).data.cast("B")

    def check_one_channel(self) -> None:
        """Check that there is one channel.

        Raises:
            StackError: there are several.
        """
        if self.channels > 1:
            raise StackError(f"only NIfTI may have detectors as a fourth axis, here {self.channels}; write a file each")
