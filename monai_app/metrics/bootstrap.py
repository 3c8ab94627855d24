"""Intervals by a spatial block bootstrap."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REPEATS = 1000
"""Resamples that an interval is taken from."""


class Interval(NamedTuple):
    """An interval, ``nan`` where there is none, and of how many blocks it was made."""

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
) -> Interval:
    """Return the interval of a statistic of pixel counts, from blocks drawn with replacement.

    Percentiles of the statistic over resamples of whole blocks (Efron 1979, doi 10.1214/aos/1176344552; in space: Hall 1985,
    doi 10.1016/0304-4149(85)90212-1).

    Args:
        counts: (blocks, K, K), [true][predicted], of blocks that are wider than errors and structures hang together.
        statistic: takes (repeats, K, K) and gives (repeats,), ``nan`` where it is undefined.
        level: share of the values that lie inside.
        seed: of the draws.
    """
    number = len(counts)
    if number < 2:
        return Interval(np.nan, np.nan, level, number)
    weights = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), REPEATS)
    values = statistic(np.einsum("rn,nij->rij", weights, counts))
    if np.isnan(values).all():
        return Interval(np.nan, np.nan, level, number)
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, number)
