"""Error bars of phase fractions for sampling by a finite volume, from the two-point correlation.

The variance of the fraction of a volume V is the mean of the covariance over all pairs of its points, f (1 - f) A / V
with the integral range A (Lantuejoul 1991, doi 10.1111/j.1365-2818.1991.tb03099.x; Kanit et al. 2003, doi
10.1016/S0020-7683(03)00143-4). The means of cells have the same mean covariance as the voxels in them, so a coarse grid
only makes the end of the sum over distances coarser.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from monai_app.quantities.uncertainty.cells import Counts
from monai_app.quantities.uncertainty.covariance import Floats, Lags

WINDOW = 27
"""Lags are summed until their ball holds so many integral ranges, which is a radius of three times the range's own:
what lies farther off adds noise (a window that follows the range: Madras and Sokal 1988, doi 10.1007/BF01022990)."""

MOST_PAIRS = 0.25
"""Share of the pairs of voxels that may be correlated; if more are, the volume is smaller than the range."""

LEAST_OBSERVED = 5
"""Minimum number of independent observations of a phase, and of the others, for an interval of its fraction."""

MOST_PARTS = 4
"""Number of sub-volumes along an axis."""

MOST_BEYOND = 0.3
"""Correlation along an axis at one to two times the summed distance. Of 960 Boolean models with balls as grains none
has so much; layers have 1."""

IMPROBABLE = 0.001
"""Significance level for a variance between sub-volumes."""


@dataclass(frozen=True)
class Representativity:
    """How far the fraction of a phase in this volume may be from that of the material; ``nan`` if unknown.

    Attributes:
        fraction: of the volume.
        low, high: the interval of the material's fraction.
        standard_deviation: of the fractions of volumes like this one.
        integral_range_nm3: volume that counts as one independent observation.
        observations: how many of those this volume holds.
        range_nm: distance up to which correlation was summed.
        beyond: mean correlation along z, y, x at one to two times this distance; ``nan`` if the volume is too thin.
        parts: how many sub-volumes were compared.
        variance_ratio: variance between the fractions of sub-volumes over the predicted one, about 1.
        unreliable: reasons why the interval may not contain the material's fraction.
    """

    fraction: float
    low: float = np.nan
    high: float = np.nan
    standard_deviation: float = np.nan
    integral_range_nm3: float = np.nan
    observations: float = np.nan
    range_nm: float = np.nan
    beyond: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    parts: int = 0
    variance_ratio: float = np.nan
    unreliable: tuple[str, ...] = ()


def represent(
    counts: Counts, cell_nm: tuple[float, float, float], voxel_nm3: float, *, level: float = 0.95
) -> tuple[Representativity, ...]:
    """Estimate for every phase how far its fraction in this volume may be from that of the material.

    Covariances about the mean of the same volume are too small by the variance of that mean, so the sum over the lags
    where the material is correlated is divided by the share of the other lags. The sum ends where it stops growing. The
    interval is Wilson's (1927, doi 10.1080/01621459.1927.10502953) for as many observations as there are integral
    ranges.

    Distances are summed over balls, which assumes an isotropic material; if correlation persists along an axis, as in
    layers, the result is marked as unreliable.

    Args:
        counts: (K, z, y, x) voxels of each phase in each cell; cells may be cut or empty.
        cell_nm: size of a whole cell along z, y, x.
        voxel_nm3: volume of a voxel.
        level: confidence level of the intervals.
    """
    lags = Lags(counts.sum(axis=0), cell_nm)
    return tuple(_represent(phase, lags, voxel_nm3, level) for phase in counts)


def wilson(fraction: float, observations: float, freedom: float, level: float) -> tuple[float, float]:
    """Return Wilson's interval of a fraction, with the quantile of Student's t.

    Args:
        fraction: observed, 0 to 1.
        observations: number of independent ones, not necessarily an integer.
        freedom: degrees of freedom of their variance.
        level: confidence level of the intervals.
    """
    t = stats.t.ppf((1 + level) / 2, freedom)
    middle = fraction + t**2 / 2 / observations
    reach = t * np.sqrt(fraction * (1 - fraction) / observations + t**2 / 4 / observations**2)
    return float((middle - reach) / (1 + t**2 / observations)), float((middle + reach) / (1 + t**2 / observations))


def _represent(phase: Counts, lags: Lags, voxel_nm3: float, level: float) -> Representativity:
    fraction = float(phase.sum() / lags.total)
    if fraction in (0, 1):
        return Representativity(fraction, unreliable=(f"{'no' if fraction == 0 else 'every'} voxel has this phase",))
    covariances = lags.covariances(phase)
    shares = lags.by_shell(lags.share).cumsum()
    if shares[0] > MOST_PAIRS:
        return Representativity(fraction, unreliable=(_too_small(lags),))
    last, ended = _window(shares, lags.by_shell(covariances).cumsum(), fraction)
    variance = lags.by_shell(covariances)[: last + 1].sum() / (1 - shares[last])
    # A regular pattern varies less, and not at all between its cells.
    variance = max(variance, fraction * (1 - fraction) / lags.total)
    observations = fraction * (1 - fraction) / variance
    # As the estimate of a spectrum at frequency 0 through a window of this share.
    low, high = wilson(fraction, observations, 1 / shares[last] - 1, level)
    found = Representativity(
        fraction,
        low,
        high,
        standard_deviation=float(np.sqrt(variance)),
        integral_range_nm3=float(lags.total * voxel_nm3 / observations),
        observations=float(observations),
        range_nm=last * lags.width_nm,
    )
    z, y, x = (_beyond(axis, lags, covariances, last, variance) / (fraction * (1 - fraction)) for axis in range(3))
    parts, ratio = _subvolumes(phase, lags, covariances, last, variance)
    found = replace(found, beyond=(z, y, x), parts=parts, variance_ratio=ratio)
    return replace(found, unreliable=tuple(_reasons(found, ended)))


def _too_small(lags: Lags) -> str:
    return (
        f"the volume is {np.count_nonzero(lags.weights)} cells of {lags.width_nm / 1000:.3g} um, which is too few to "
        f"estimate correlation; more than {1 / MOST_PAIRS:.0f} full ones are needed"
    )


def _window(shares: Floats, sums: Floats, fraction: float) -> tuple[int, bool]:
    """Choose the last shell up to which covariances are summed.

    Args:
        shares: of the pairs up to each shell.
        sums: of the covariances up to each shell.
        fraction: of the phase.

    Returns:
        The last shell, and whether the correlation ends there.
    """
    usable = int(np.searchsorted(shares, MOST_PAIRS, "right"))
    variances = sums[:usable] / (1 - shares[:usable])
    full = shares[:usable] * fraction * (1 - fraction) >= WINDOW * variances
    ends = np.append(np.diff(variances) <= 0, False) | full
    return int(ends.argmax()) if ends.any() else usable - 1, bool(ends.any())


def _beyond(axis: int, lags: Lags, covariances: Floats, last: int, variance: float) -> float:
    """Return the mean covariance along an axis at one to two times the summed distance; ``nan`` if there is none."""
    cells = lags.weights.shape[axis]
    distance = np.arange(cells) * lags.cell_nm[axis] / lags.width_nm
    chosen = (distance > last) & (distance <= 2 * last + 1) & (np.arange(cells) <= cells / 2)
    share = lags.along(axis, lags.share)[chosen].sum()
    if share * lags.total**2 < 0.5:  # less than a pair of voxels
        return np.nan
    return float(lags.along(axis, covariances)[chosen].sum() / share + variance)


def _subvolumes(phase: Counts, lags: Lags, covariances: Floats, last: int, variance: float) -> tuple[int, float]:
    """Compare the variance between the fractions of sub-volumes with what the covariances predict for them.

    Returns:
        The number of sub-volumes, and the ratio; ``nan`` if there are fewer than four.
    """
    reach = 2 * max(last, 1) * lags.width_nm
    sizes = zip(lags.weights.shape, lags.cell_nm, strict=True)
    parts = [min(max(int(count * size / reach), 1), MOST_PARTS) for count, size in sizes]
    z, y, x = (count // part for count, part in zip(phase.shape, parts, strict=True))
    voxels, own = (_sums(values, (z, y, x), parts) for values in (lags.weights, phase))
    held = voxels > voxels.max() / 2
    if held.sum() < 4:
        return int(held.sum()), np.nan
    near = (lags.shell <= last) & (lags.share > 0.5 / lags.total**2)
    true = covariances[near] / lags.share[near] + variance
    predicted = (true * lags.overlap((z, y, x))[near]).sum() - variance
    return int(held.sum()), float((own[held] / voxels[held]).var() / predicted)


def _sums(values: Counts, cells: tuple[int, int, int], parts: list[int]) -> npt.NDArray[np.int64]:
    """Sum boxes of cells: (boxes,)."""
    z, y, x = (count * part for count, part in zip(cells, parts, strict=True))
    boxes = values[:z, :y, :x].reshape(parts[0], cells[0], parts[1], cells[1], parts[2], cells[2])
    sums: npt.NDArray[np.int64] = boxes.sum(axis=(1, 3, 5)).ravel()
    return sums


def _reasons(found: Representativity, ended: bool) -> list[str]:
    """Return reasons why the interval may not contain the material's fraction."""
    reasons = []
    if not ended:
        reasons.append(
            f"it is still correlated at {found.range_nm / 1000:.3g} um, so the volume is smaller than the range of its "
            "correlation"
        )
    axes = [axis for axis, beyond in zip("zyx", found.beyond, strict=True) if beyond > MOST_BEYOND]
    if axes:
        reasons.append(
            f"along {' and '.join(axes)} it is still correlated beyond {found.range_nm / 1000:.3g} um, up to which "
            "correlation was summed, so the interval is too narrow"
        )
    observed = found.observations * min(found.fraction, 1 - found.fraction)
    if observed < LEAST_OBSERVED:
        reasons.append(f"the volume holds {observed:.1f} independent observations of it; {LEAST_OBSERVED} are needed")
    if found.variance_ratio * (found.parts - 1) > stats.chi2.isf(IMPROBABLE, found.parts - 1):
        reasons.append(
            f"its fractions in {found.parts} sub-volumes vary {found.variance_ratio:.1f} times as much as the "
            "correlation predicts, so it is not homogeneous throughout the volume"
        )
    return reasons
