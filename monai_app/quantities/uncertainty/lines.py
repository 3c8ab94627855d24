"""Two-point correlation along an axis: how often two voxels at a distance along a line have the same phase."""

import numpy as np
import numpy.typing as npt
from scipy import fft

from monai_app.quantities.uncertainty.cells import Counts

Floats = npt.NDArray[np.float64]

_AT_ONCE = 2**22
"""Voxels that are transformed at once: 0.2 GB."""


class LinePairs:
    """Counts pairs of voxels of lines by their distance.

    Voxels of value 0 take part in no pair, so each distance has as many pairs as there are of segmented voxels.

    Args:
        length: voxels of a line.
        phases: number of phases K, the values 1..K.
    """

    def __init__(self, length: int, phases: int) -> None:
        self._length = length
        self._padded = fft.next_fast_len(2 * length - 1, real=True)
        self._power = np.zeros((1 + phases, self._padded // 2 + 1))

    def add(self, lines: npt.NDArray[np.uint8]) -> None:
        """Add lines: (lines, length)."""
        for start in range(0, len(lines), max(_AT_ONCE // self._padded, 1)):
            part = lines[start : start + max(_AT_ONCE // self._padded, 1)]
            for value, power in enumerate(self._power):
                chosen = part == value if value else part > 0
                spectrum = fft.rfft(chosen.astype(np.float64), self._padded)
                power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)

    def counts(self) -> Counts:
        """Return the pairs of segmented voxels, and of those of each phase, at each distance: (1 + K, length)."""
        pairs: Counts = np.rint(fft.irfft(self._power, self._padded)[:, : self._length]).astype(np.int64)
        return pairs


def correlations(pairs: Counts, fraction: Floats) -> tuple[Floats, Floats]:
    """Return the two-point probability and the correlation of every phase at each distance.

    Args:
        pairs: (1 + K, distances), as `LinePairs` counts them.
        fraction: (K,) of the phases in all of the volume.

    Returns:
        S2 and (S2 - f^2) / (f - f^2), both (K, distances); ``nan`` without pairs, and for phases of fraction 0 or 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        probability: Floats = pairs[1:] / pairs[0]
        square = fraction[:, None] ** 2
        return probability, (probability - square) / (fraction[:, None] - square)


def first_below(correlation: Floats, level: float) -> float | None:
    """Return the distance, in voxels, at which a correlation first falls to a level.

    Between the distances at which it is known it is interpolated.

    Args:
        correlation: (distances,); ``nan`` if it is not known.
        level: below 1.

    Returns:
        None if it does not.

    Example:
        >>> first_below(np.array([1.0, 0.6, 0.2, 0.0]), 0.4)
        1.5
    """
    known = np.flatnonzero(~np.isnan(correlation))
    below = np.flatnonzero(correlation[known] <= level)
    if not len(below):
        return None
    if below[0] == 0:
        return 0.0
    start, stop = known[below[0] - 1 : below[0] + 1]
    before, there = correlation[[start, stop]]
    return float(start + (stop - start) * (before - level) / (before - there))
