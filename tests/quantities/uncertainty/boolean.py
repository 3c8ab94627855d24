"""Overlapping balls on a grid: a Boolean model whose fraction and two-point probability are known exactly."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import distance_transform_edt

from monai_app.quantities.labels import Voxels


@dataclass(frozen=True)
class BooleanModel:
    """Balls around voxels that are drawn independently of each other; phase 1 is between them, phase 2 in them.

    Args:
        radius: of a ball, in nm.
        between: fraction of phase 1, which is (1 - p)^n for balls of n voxels and a chance p of each voxel.
        voxel_nm: voxel size z, y, x.
    """

    radius: float
    between: float
    voxel_nm: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def ball(self) -> npt.NDArray[np.bool_]:
        """The voxels of a ball, in a box with its own size around it."""
        z, y, x = (
            np.arange(-2 * reach - 1, 2 * reach + 2) * size
            for reach, size in zip(self._reach, self.voxel_nm, strict=True)
        )
        return np.asarray(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= self.radius**2)

    @property
    def _reach(self) -> list[int]:
        return [int(self.radius / size) for size in self.voxel_nm]

    def draw(self, shape: tuple[int, int, int], seed: int) -> Voxels:
        """Draw a volume, (z, y, x), cut from a larger one."""
        chance = 1 - self.between ** (1 / self.ball.sum())
        around = [count + 2 * reach for count, reach in zip(shape, self._reach, strict=True)]
        free = np.random.default_rng(seed).random(around) >= chance
        free.flat[0] = False  # outside the reach of the volume; without a centre there is no distance
        inside = distance_transform_edt(free, self.voxel_nm) <= self.radius
        z, y, x = (slice(reach, reach + count) for count, reach in zip(shape, self._reach, strict=True))
        return np.asarray(1 + inside[z, y, x], np.uint8)

    def probability(self, lag: int, axis: int) -> float:
        """Chance that two voxels so far apart along an axis are both of phase 1."""
        both = np.count_nonzero(self.ball | np.roll(self.ball, min(lag, self._reach[axis] * 2 + 1), axis))
        return float(self.between ** (both / np.count_nonzero(self.ball)))

    def variance(self, shape: tuple[int, int, int]) -> float:
        """Variance of the fraction of phase 1 in volumes of a shape."""
        n = np.count_nonzero(self.ball)
        spectrum = fft.rfftn(self.ball.astype(float), padded := [2 * count for count in self.ball.shape])
        common = np.rint(fft.irfftn(np.abs(spectrum) ** 2, padded))
        covariance = self.between ** ((2 * n - common) / n) - self.between**2
        for axis, count in enumerate(shape):
            lags = np.abs(np.fft.fftfreq(padded[axis], 1 / padded[axis]))
            weights = np.maximum(count - lags, 0) / count**2
            covariance *= np.moveaxis(weights[:, None, None], 0, axis)
        return float(covariance.sum())
