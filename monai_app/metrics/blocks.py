"""Pixel counts of square blocks of a slice: what a spatial bootstrap draws from.

Neighbouring pixels are right or wrong together, so an interval from single pixels would be far too narrow; blocks
wider than this dependence are the units that are drawn.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BLOCKS = 9
"""About so many blocks a slice is divided into. Errors hang together over whole grains, so blocks must be as large as
can be, and Student's t pays for their small number; intervals of 16 or more smaller blocks were too narrow
(docs/uncertainty.md)."""

LEAST_BLOCKS = 4
"""Blocks that an interval that can be relied on is made of."""


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


def block_side(shape: tuple[int, ...], number: int = BLOCKS) -> int:
    """Return the side in pixels of square blocks of which a slice (rows, columns) holds about so many.

    Example:
        >>> block_side((3868, 4062))
        1354
    """
    across = max(round((number * shape[1] / shape[0]) ** 0.5), 1)
    return -(-shape[1] // across)
