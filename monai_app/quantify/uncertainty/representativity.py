"""How far the phase fraction of a volume may be from that of the material, from its two-point correlation.

The variance of the fraction of a volume V is the mean of the covariance over all pairs of its points, f (1 - f) A / V with
the integral range A (Lantuejoul 1991, doi 10.1111/j.1365-2818.1991.tb03157.x; Kanit et al. 2003, doi
10.1016/S0020-7683(03)00143-4). It holds for the means of cells as it does for voxels, so a coarse grid gives it exactly.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import fft, stats

from monai_app.quantify.uncertainty.cells import Counts

Floats = npt.NDArray[np.float64]

WINDOW = 27
"""Lags are summed until their ball holds so many integral ranges: a radius of three times the range's own."""

MOST_PAIRS = 0.25
"""Share of all pairs of voxels that may be correlated; beyond it the volume tells too little of how far they are."""


@dataclass(frozen=True)
class Representativity:
    """How far the fraction of a phase in this volume may be from the material's.

    Attributes:
        fraction: of the volume.
        low, high: the interval of the material's fraction, ``nan`` where there is none.
        level: share of the intervals that hold the material's fraction.
        standard_deviation: of the fractions of volumes like this one.
        integral_range_nm3: volume that counts as one independent observation.
        observations: how many of those this volume holds.
        range_nm: distance up to which correlation was summed.
        subvolumes: into how many the volume was divided for the check, 1 where it is too small for it.
        variance_ratio: variance between their fractions over the predicted one, about 1; ``nan`` without a check.
        unreliable: reasons why the interval may not hold the material's fraction.
    """

    fraction: float
    low: float = np.nan
    high: float = np.nan
    level: float = 0.95
    standard_deviation: float = np.nan
    integral_range_nm3: float = np.nan
    observations: float = np.nan
    range_nm: float = np.nan
    subvolumes: int = 1
    variance_ratio: float = np.nan
    unreliable: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Pairs:
    """Sums over all pairs of cells by their lag, in shells of equal distance.

    Attributes:
        covariance: (shells,) of products of deviations from the volume's fraction, by the square of all voxels.
        share: (shells,) of the pairs.
        width_nm: of a shell.
    """

    covariance: Floats
    share: Floats
    width_nm: float


def represent(
    counts: Counts, cell_nm: tuple[float, float, float], voxel_nm3: float, *, level: float = 0.95
) -> tuple[Representativity, ...]:
    """Say for every phase how far its fraction in this volume may be from the material's.

    Covariances with the mean of the same volume are too small by the variance of that mean, which is why
    the sum over the lags where the material is correlated is divided by the share of the other lags.
    The interval is Wilson's (1927, doi 10.1080/01621459.1927.10502953) for as many observations as there are integral
    ranges, with the quantile of Student's t.

    Args:
        counts: (K, z, y, x) voxels of each phase in each cell; cells may be cut, masked or empty.
        cell_nm: size of a whole cell along z, y, x.
        voxel_nm3: volume of a voxel.
        level: share of the intervals that hold the material's fraction.
    """
    weights = counts.sum(axis=0)
    geometry = _Geometry(weights, cell_nm)
    return tuple(_represent(phase, geometry, voxel_nm3, level) for phase in counts)


class _Geometry:
    """The lags of the cells of a volume and their shares of all pairs of voxels.

    Args:
        weights: (z, y, x) segmented voxels of each cell.
        cell_nm: size of a cell along z, y, x.
    """

    def __init__(self, weights: Counts, cell_nm: tuple[float, float, float]) -> None:
        self.weights, self.width_nm = weights, max(cell_nm)
        self.total = int(weights.sum())
        self._padded = tuple(fft.next_fast_len(2 * count - 1, real=True) for count in weights.shape)
        steps = [_steps(count) for count in self._padded]
        squares = [(lag * size) ** 2 for lag, size in zip(steps, cell_nm, strict=True)]
        distance = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
        self._shell = np.rint(distance / self.width_nm).astype(np.int32).ravel()
        self.share = self.by_shell(weights.astype(np.float64)).cumsum()

    def by_shell(self, values: Floats) -> Floats:
        """Sum the products of the values of all pairs of cells by their distance, over the square of all voxels."""
        spectrum = fft.rfftn(values, self._padded)
        products = fft.irfftn(spectrum.real**2 + spectrum.imag**2, self._padded)
        sums: Floats = np.bincount(self._shell, products.ravel()) / self.total**2
        return sums


def _steps(count: int) -> npt.NDArray[np.int64]:
    """Lags in the order of a Fourier transform."""
    return np.fft.fftfreq(count, 1 / count).round().astype(np.int64)


def _represent(phase: Counts, geometry: _Geometry, voxel_nm3: float, level: float) -> Representativity:
    fraction = float(phase.sum() / geometry.total)
    if fraction in (0, 1):
        found = "no" if fraction == 0 else "every"
        return Representativity(fraction, level=level, unreliable=(f"{found} voxel of the volume is this phase",))
    products = geometry.by_shell(phase - fraction * geometry.weights).cumsum()
    usable = max(int(np.searchsorted(geometry.share, MOST_PAIRS, "right")), 1)
    variances = products[:usable] / (1 - geometry.share[:usable])
    observations = fraction * (1 - fraction) / variances
    # The sum may end where it grows no more, or where noise of far lags is all that would be added.
    ended = np.append(np.diff(variances) <= 0, False) | (geometry.share[:usable] * observations >= WINDOW)
    last = int(ended.argmax()) if ended.any() else usable - 1
    # The variance is that of a spectrum at 0 through a window of this share: as sure as of 1 / share observations.
    low, high = wilson(fraction, float(observations[last]), level, 1 / geometry.share[last] - 1)
    return Representativity(
        fraction, low, high, level,
        standard_deviation=float(np.sqrt(variances[last])),
        integral_range_nm3=geometry.total * voxel_nm3 / float(observations[last]),
        observations=float(observations[last]),
        range_nm=last * geometry.width_nm,
        unreliable=() if ended.any() else ("correlated",),
    )


def wilson(fraction: float, observations: float, level: float, freedom: float) -> tuple[float, float]:
    """Return Wilson's interval of a fraction, with the quantile of Student's t.

    Args:
        fraction: observed, 0 to 1.
        observations: independent ones, also a broken number.
        level: share of the intervals that hold the true fraction.
    """
    t = stats.t.ppf((1 + level) / 2, freedom)
    middle = fraction + t**2 / 2 / observations
    reach = t * np.sqrt(fraction * (1 - fraction) / observations + t**2 / 4 / observations**2)
    return float((middle - reach) / (1 + t**2 / observations)), float((middle + reach) / (1 + t**2 / observations))
