"""Intervals by a spatial block bootstrap."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

REPEATS = 1000
"""Number of resamples for a standard error."""


class Interval(NamedTuple):
    """An interval, ``nan`` if there is none, and of how many blocks it was made."""

    low: float
    high: float
    level: float
    blocks: int


def block_interval(
    counts: npt.NDArray[np.int64],
    statistic: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    *,
    level: float = 0.95,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return the interval of a statistic of pixel counts, from blocks drawn with replacement.

    It reaches as far as the standard error over resamples of whole blocks (Efron 1979, doi 10.1214/aos/1176344552; in
    space: Hall 1985, doi 10.1016/0304-4149(85)90212-1), times the quantile of Student's t with one degree of freedom
    less than there are blocks. Percentiles of the resamples would be too narrow: an annotated slice has few blocks.

    Args:
        counts: (blocks, K, K), ``[true][predicted]``, of blocks that are wider than the range in which errors are
            correlated.
        statistic: takes (repeats, K, K) and gives (repeats,), ``nan`` if it is undefined.
        level: share of the intervals that hold the true value.
        seed: of the draws.
        bounds: least and greatest value that the statistic can have.
    """
    number = len(counts)
    none = Interval(np.nan, np.nan, level, number)
    if number < 2:
        return none
    estimate = statistic(counts.sum(axis=0)[np.newaxis])[0]
    if np.isnan(estimate):
        return none
    reach = stats.t.ppf((1 + level) / 2, number - 1) * standard_error(counts, statistic, seed)
    low, high = np.clip([estimate - reach, estimate + reach], *bounds).tolist()
    return Interval(low, high, level, number)


def standard_error(
    counts: npt.NDArray[Any], statistic: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the standard error of a statistic of pixel counts, from at least two blocks drawn with replacement.

    Args:
        counts: (blocks, K, K), ``[true][predicted]``.
        statistic: takes (repeats, K, K) and gives (repeats, ...), ``nan`` if it is undefined.
        seed: of the draws.

    Returns:
        (...), one of each value of the statistic.
    """
    number = len(counts)
    weights = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), REPEATS)
    values = statistic(np.einsum("rn,nij->rij", weights, counts))
    # Drawing from the blocks themselves gives a variance that is too small by (blocks - 1) / blocks.
    error: npt.NDArray[np.float64] = np.nanstd(values, axis=0) * np.sqrt(number / (number - 1))
    return error
