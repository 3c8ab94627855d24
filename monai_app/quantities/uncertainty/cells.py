"""Phase counts in the cells of a coarse grid, a summary of a label image that fits in memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

MOST_CELLS = 2**20
"""Of a grid: with all its lags, a phase's correlation then takes about 0.3 GB."""


@dataclass(frozen=True)
class Grid:
    """How voxels are gathered into cells, all as nearly cubic as whole voxels allow.

    Attributes:
        shape: (slices, rows, columns) of the voxels.
        step: voxels of a cell along z, y, x; at the last ones it may be cut.
        voxel_nm: size of a voxel along z, y, x.
    """

    shape: tuple[int, int, int]
    step: tuple[int, int, int]
    voxel_nm: tuple[float, float, float]

    @property
    def cells(self) -> tuple[int, int, int]:
        """Cells along z, y, x."""
        slices, rows, columns = (-(-count // step) for count, step in zip(self.shape, self.step, strict=True))
        return slices, rows, columns

    @property
    def cell_nm(self) -> tuple[float, float, float]:
        """Size of a cell along z, y, x, nm."""
        z, y, x = (step * size for step, size in zip(self.step, self.voxel_nm, strict=True))
        return z, y, x


def choose_grid(shape: tuple[int, int, int], voxel_nm: tuple[float, float, float], most: int = MOST_CELLS) -> Grid:
    """Choose the finest cells of which there are not more than ``most``.

    Example:
        >>> choose_grid((156, 3868, 4062), (40.0, 20.0, 20.0)).step
        (9, 17, 17)
    """
    side = max(voxel_nm)
    while True:
        z, y, x = (min(max(round(side / size), 1), count) for size, count in zip(voxel_nm, shape, strict=True))
        grid = Grid(shape, (z, y, x), voxel_nm)
        if np.prod(grid.cells) <= most:
            return grid
        side *= 1.05


class CellCounts:
    """Counts the voxels of every phase in every cell, slice by slice.

    Args:
        grid: the cells.
        phases: number of phases K.

    Attributes:
        counts: (K, z, y, x) voxels of each phase in each cell.
    """

    def __init__(self, grid: Grid, phases: int) -> None:
        self.grid = grid
        self.counts: Counts = np.zeros((phases, *grid.cells), np.int64)

    def add(self, z: int, labels: npt.NDArray[np.uint8]) -> None:
        """Add slice z: (rows, columns), 0 not segmented, 1..K."""
        deep, high, wide = self.grid.step
        rows, columns = np.arange(0, labels.shape[0], high), np.arange(0, labels.shape[1], wide)
        for phase, counts in enumerate(self.counts, 1):
            along = np.add.reduceat(labels == phase, columns, axis=1, dtype=np.uint16)
            counts[z // deep] += np.add.reduceat(along, rows, axis=0, dtype=np.int64)
