"""Covariances of a phase over all pairs of cells of a volume, by their lag."""

import numpy as np
import numpy.typing as npt
from scipy import fft

from monai_app.quantities.uncertainty.cells import Counts

Floats = npt.NDArray[np.float64]


class Lags:
    """The lags of all pairs of cells, in shells of equal distance; pairs count as the voxels in them.

    Args:
        weights: (z, y, x) segmented voxels of each cell, 0 where nothing is segmented.
        cell_nm: size of a cell along z, y, x.

    Attributes:
        total: segmented voxels.
        width_nm: of a shell.
        shell: of each lag, flat; the first one has the pairs of cells with themselves.
        share: of each lag, flat: its part of all pairs.
    """

    def __init__(self, weights: Counts, cell_nm: tuple[float, float, float]) -> None:
        self.weights, self.cell_nm, self.width_nm = weights, cell_nm, max(cell_nm)
        self.total = int(weights.sum())
        self._padded = tuple(fft.next_fast_len(2 * count - 1, real=True) for count in weights.shape)
        self._steps = [np.abs(np.fft.fftfreq(count, 1 / count).round()) for count in self._padded]
        z, y, x = ((steps * size) ** 2 for steps, size in zip(self._steps, cell_nm, strict=True))
        distance = np.sqrt(z[:, None, None] + y[:, None] + x)
        self.shell = np.rint(distance / self.width_nm).astype(np.int32).ravel()
        self.share = self._products(weights.astype(np.float64))

    def covariances(self, phase: Counts) -> Floats:
        """Sum, for each lag, the products of the deviations of both cells from the mean fraction of the volume.

        Args:
            phase: (z, y, x) voxels of the phase in each cell.

        Returns:
            Flat; divided by the square of all voxels, so that all of them would sum to a variance.
        """
        return self._products(phase - phase.sum() / self.total * self.weights)

    def by_shell(self, values: Floats) -> Floats:
        """Sum the values of all lags in each shell."""
        return np.bincount(self.shell, values).astype(np.float64)

    def along(self, axis: int, values: Floats) -> Floats:
        """Return the values of the lags 0, 1, 2, ... cells along an axis: (cells,)."""
        line: Floats = np.moveaxis(values.reshape(self._padded), axis, 0)[: self.weights.shape[axis], 0, 0]
        return line

    def overlap(self, cells: tuple[int, int, int]) -> Floats:
        """Return the share of the pairs of a full box of cells that each lag has, flat."""
        z, y, x = (np.maximum(count - steps, 0) / count**2 for count, steps in zip(cells, self._steps, strict=True))
        shares: Floats = (z[:, None, None] * y[:, None] * x).ravel()
        return shares

    def _products(self, values: Floats) -> Floats:
        spectrum = fft.rfftn(values, self._padded)
        products: Floats = fft.irfftn(spectrum.real**2 + spectrum.imag**2, self._padded).ravel() / self.total**2
        return products
