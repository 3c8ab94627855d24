"""Pixel counts of square blocks of a slice: what a spatial bootstrap draws from.

Neighbouring pixels are right or wrong together, so an interval from single pixels would be far too narrow; blocks
wider than this dependence are the units that are drawn.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
    rows, columns = np.nonzero((true > 0) & (predicted > 0))
    across = -(-true.shape[1] // side)
    blocks, own = np.unique(rows // side * across + columns // side, return_inverse=True)
    pairs = (true[rows, columns].astype(np.int64) - 1) * phases + predicted[rows, columns] - 1
    counts = np.bincount(own * phases**2 + pairs, minlength=len(blocks) * phases**2)
    places = np.stack([blocks // across, blocks % across], -1).astype(np.int64) * side
    return Blocks(side, places, counts.reshape(len(blocks), phases, phases).astype(np.int64))
