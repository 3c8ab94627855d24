"""Pixel counts of square blocks of a slice: what a spatial bootstrap draws from.

Neighbouring pixels are right or wrong together, so an interval from single pixels would be far too narrow; blocks
wider than this dependence are the units that are drawn.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_LEAST_SIDE = 16
"""Pixels."""

_MOST_BLOCKS = 16
"""Along the shorter side of a slice: fewer and larger ones also hold what hangs together weakly over far."""

_LEAST_BLOCKS = 5

_CORRELATED = 0.05
"""Errors whose correlation is lower are taken for independent."""


@dataclass(frozen=True)
class Blocks:
    """The confusion matrices of the blocks of one slice that hold labelled pixels.

    Attributes:
        side: rows and columns of a block, in pixels; at the last rows and columns it may be cut.
        places: (blocks, 2), first row and column.
        counts: (blocks, K, K) int64, [true][predicted].
    """

    side: int
    places: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def confusion_blocks(
    true: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], phases: int, side: int
) -> Blocks:
    """Count the pixels of every block that are labelled and predicted.

    Args:
        true: (rows, columns), 0 unlabelled, 1..K.
        predicted: (rows, columns), 0 where nothing is predicted, 1..K.
        phases: number of phases K.
        side: rows and columns of a block, in pixels.
    """
    blocks = -(-true.shape[1] // side)
    across = np.arange(true.shape[1]) // side
    rows = []
    for row in range(0, true.shape[0], side):
        band, found = true[row : row + side], predicted[row : row + side]
        counted = (band > 0) & (found > 0)
        classes = (np.broadcast_to(across, band.shape)[counted] * phases + band[counted] - 1) * phases
        rows.append(np.bincount(classes + found[counted] - 1, minlength=blocks * phases**2))
    counts = np.stack(rows).reshape(-1, phases, phases).astype(np.int64)
    places = side * np.indices((len(rows), blocks)).reshape(2, -1).T
    there = counts.any(axis=(1, 2))
    return Blocks(side, places[there], counts[there])


def block_side(true: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer]) -> int:
    """Return the side of blocks that are wider than errors hang together, in pixels.

    It is twice the distance, along rows and columns, at which the correlation of errors falls below 0.05; at least 16
    pixels and a 16th of the shorter side of the slice, at most a fifth of it, which leaves 25 blocks. The shorter side
    is then parted evenly.

    Args:
        true: annotation (rows, columns), 0 unlabelled, 1..K.
        predicted: labels (rows, columns), 1..K.
    """
    labelled = true > 0
    wrong, shorter = (true != predicted) & labelled, int(min(true.shape))
    share = float(wrong.sum() / max(float(labelled.sum()), 1))
    side, most = max(shorter // _MOST_BLOCKS, _LEAST_SIDE), max(shorter // _LEAST_BLOCKS, 1)
    while side < most and _correlation(wrong, labelled, share, side // 2) >= _CORRELATED:
        side += side // 8
    return -(-shorter // max(shorter // min(side, most), 1))


def _correlation(wrong: Mask, labelled: Mask, share: float, distance: int) -> float:
    """Correlation of errors at a distance along rows and columns; 0 where there are none, or nothing else."""
    pairs = both = 0
    for here, there in ((np.s_[distance:], np.s_[:-distance]), (np.s_[:, distance:], np.s_[:, :-distance])):
        pairs += int((labelled[here] & labelled[there]).sum())
        both += int((wrong[here] & wrong[there]).sum())
    variance = share * (1 - share)
    return (both / pairs - share**2) / variance if pairs and variance > 0 else 0.0
