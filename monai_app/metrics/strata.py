"""Error rates by the strength of something, such as an artefact."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monai_app.metrics.blocks import LEAST_BLOCKS
from monai_app.metrics.bootstrap import block_interval

STRATA = 4
"""Groups of blocks, from the weakest to the strongest quarter."""


class Stratum(NamedTuple):
    """Blocks in which something is about equally strong.

    Attributes:
        weakest: least strength of these blocks.
        strongest: greatest.
        blocks: how many they are.
        error_rate: share of their labelled pixels that are wrong.
        error_rate_low: lower end of its 95 % interval, from a bootstrap over the blocks; ``nan`` of fewer than 4.
        error_rate_high: upper end.
    """

    weakest: float
    strongest: float
    blocks: int
    error_rate: float
    error_rate_low: float
    error_rate_high: float


def error_by_strength(
    strength: npt.NDArray[np.float64], labelled: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]
) -> list[Stratum]:
    """Divide blocks by the quartiles of a strength, and return the error rate of each part.

    Where many blocks have one strength, such as no curtains at all, there are fewer parts.

    Args:
        strength: of each block.
        labelled: labelled pixels of each block, at least 1.
        wrong: those of them that are wrong.

    Example:
        >>> [row.error_rate for row in error_by_strength(np.arange(4.0), np.full(4, 10), np.array([1, 2, 3, 4]))]
        [0.1, 0.2, 0.3, 0.4]
    """
    edges = np.unique(np.quantile(strength, np.linspace(0, 1, STRATA + 1)[1:-1]))
    group = np.searchsorted(edges, strength, side="left")
    return [_stratum(strength[own], labelled[own], wrong[own]) for own in (group == n for n in np.unique(group))]


def _stratum(
    strength: npt.NDArray[np.float64], labelled: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]
) -> Stratum:
    rate = float(wrong.sum() / labelled.sum())
    low, high = np.nan, np.nan
    if len(strength) >= LEAST_BLOCKS:
        counts = np.zeros((len(strength), 2, 2), np.int64)  # right and wrong, in the form of a confusion matrix
        counts[:, 0, 0], counts[:, 0, 1] = labelled - wrong, wrong
        low, high, *_ = block_interval(counts, lambda drawn: drawn[:, 0, 1] / drawn[:, 0].sum(axis=1), bounds=(0, 1))
    return Stratum(float(strength.min()), float(strength.max()), len(strength), rate, low, high)
