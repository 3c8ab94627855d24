"""Pixel counts of blocks of a slice, from which a spatial bootstrap draws.

Errors of neighbouring pixels are correlated, so an interval from single pixels would be far too narrow; blocks wider
than this dependence are the units that are drawn.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
"""Numbers of pixels, (..., K, K), ``[true][predicted]``."""

BLOCKS = 9
"""Approximate number of blocks of a slice. Errors are correlated over whole grains, so blocks must be as large as can
be, and Student's t pays for their small number; intervals of 16 or more smaller blocks were too narrow
(docs/explanation/uncertainty.md)."""

LEAST_BLOCKS = 4
"""Minimum number of blocks for a reliable interval."""


@dataclass(frozen=True)
class Blocks:
    """The confusion matrices of the blocks of one slice that hold labelled pixels.

    Attributes:
        side: the longer side of a block, in pixels.
        places: (blocks, 2), first row and column.
        counts: (blocks, K, K), ``[true][predicted]``.
    """

    side: int
    places: npt.NDArray[np.int64]
    counts: Counts


def confusion_blocks(
    true: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], phases: int, number: int = BLOCKS
) -> Blocks:
    """Count the pixels of every block that are labelled and predicted.

    Args:
        true: (rows, columns), 0 unlabelled, 1..K.
        predicted: (rows, columns), 0 where nothing is predicted, 1..K.
        phases: number of phases K.
        number: approximate number of blocks of the slice.
    """
    high, wide = block_shape((true.shape[0], true.shape[1]), number)
    across = np.arange(true.shape[1]) // wide
    blocks = int(across[-1]) + 1
    rows = []
    for row in range(0, true.shape[0], high):
        band, found = true[row : row + high], predicted[row : row + high]
        counted = (band > 0) & (found > 0)
        classes = (np.broadcast_to(across, band.shape)[counted] * phases + band[counted] - 1) * phases
        rows.append(np.bincount(classes + found[counted] - 1, minlength=blocks * phases**2))
    counts = np.stack(rows).reshape(-1, phases, phases).astype(np.int64)
    places = np.indices((len(rows), blocks)).reshape(2, -1).T * (high, wide)
    there = counts.any(axis=(1, 2))
    return Blocks(max(high, wide), places[there], counts[there])


def block_shape(shape: tuple[int, int], number: int = BLOCKS) -> tuple[int, int]:
    """Return rows and columns of nearly square blocks that divide a slice (rows, columns) evenly into about so many.

    Example:
        >>> block_shape((3868, 4062))
        (1290, 1354)
        >>> block_shape((64, 2048))
        (64, 228)
    """
    rows, columns = shape

    def oddness(cut: tuple[int, int]) -> float:
        """How far the blocks are from squares, and, which counts twice, their number from the wanted one."""
        aspect = rows / cut[0] / (columns / cut[1])
        return abs(math.log(aspect)) + 2 * abs(math.log(cut[0] * cut[1] / number))

    cuts = [(down, across) for down in range(1, number + 1) for across in (number // down, -(-number // down))]
    down, across = min(cuts, key=oddness)
    return math.ceil(rows / down), math.ceil(columns / across)


def shared_blocks(slices: Iterable[tuple[float, Blocks]], phases: int) -> Counts:
    """Count the pixels of the blocks of several slices of a stack; near slices share blocks, as errors go through both.

    A block reaches as far along z as it is long, from the first slice in it on.

    Args:
        slices: z, ascending, in pixels of a slice, and the blocks of the slice; all are of one shape.
        phases: number of phases K.

    Returns:
        (blocks, K, K), ``[true][predicted]``.
    """
    shared: dict[tuple[float, ...], Counts] = {}
    first = -math.inf
    for z, blocks in slices:
        if z - first >= blocks.side:
            first = z
        for place, counts in zip(blocks.places.tolist(), blocks.counts, strict=True):
            key = (first, *place)
            shared[key] = shared.get(key, 0) + counts
    return np.array([*shared.values()], np.int64).reshape(-1, phases, phases)
