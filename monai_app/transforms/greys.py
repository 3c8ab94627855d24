"""Statistics of grey values: a model's scaling, and a summary that detects data from another microscope."""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from monai_app.domain.region import Rect, Span
from monai_app.domain.training_stack import QUANTILES, ChannelStats
from monai_app.stack import SlabSource, Stack

_LOOKED_AT = 8
"""Slices that stand for a stack, evenly spaced."""

_PIECES, _PIECE = 3, 512
"""Pieces along each side of a slice that stand for it, and their side in pixels; smaller slices are read whole."""


def measure_greys(stack: SlabSource, detectors: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Measure the quantiles of each detector's grey values, of evenly spaced pieces of evenly spaced slices.

    Returns:
        Per detector the `QUANTILES` quantiles in the middles of as many equal parts, ascending.
    """
    slices, rows, columns = stack.shape
    pieces = [Rect(y, x) for y, x in product(_places(rows), _places(columns))]
    chosen = sorted({(2 * number + 1) * slices // (2 * _LOOKED_AT) for number in range(_LOOKED_AT)})
    parts = (np.arange(QUANTILES) + 0.5) / QUANTILES
    greys = {}
    for detector in detectors:
        counts = np.zeros(np.iinfo(stack.dtype).max + 1, np.int64)
        for z in chosen:
            for piece in pieces:
                counts += np.bincount(stack.read_slab(z, [detector], 1, piece).ravel(), minlength=counts.size)
        below = np.cumsum(counts) / counts.sum()
        greys[detector] = tuple(float(grey) for grey in np.searchsorted(below, parts))
    return greys


def measure_scaling(slices: Iterable[tuple[Stack, int]], detectors: Sequence[str]) -> dict[str, ChannelStats]:
    """Measure mean and standard deviation of each detector's grey values over slices of stacks, in float64.

    Called once, before training; the numbers are then part of the model, so that a pixel is scaled in the same way in
    every slice and tile.

    Args:
        slices: stack and z of every slice.
        detectors: names of the detectors.
    """
    moments = {detector: np.zeros(3) for detector in detectors}
    for stack, z in slices:
        for detector in detectors:
            pixels = stack.read_slab(z, [detector], 1).astype(np.float64)
            moments[detector] += (pixels.size, pixels.sum(), np.square(pixels).sum())
    return {detector: _stats(*sums) for detector, sums in moments.items()}


def _places(side: int) -> list[Span]:
    """Return the pieces along a side, from edge to edge."""
    if side <= _PIECES * _PIECE:
        return [Span(0, side)]
    starts = (number * (side - _PIECE) // (_PIECES - 1) for number in range(_PIECES))
    return [Span(start, start + _PIECE) for start in starts]


def _stats(count: float, total: float, squares: float) -> ChannelStats:
    mean = total / count
    std = np.sqrt(max(squares / count - mean**2, 0.0))
    # A constant image would divide by zero; one grey value is the smallest step there is.
    return ChannelStats(mean=round(float(mean), 4), std=round(max(float(std), 1.0), 4))
