"""Reduce the labels of a slice, as if a person had labelled less of it."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from monai_app.domain.region import Rect
from monai_app.metrics.blocks import block_shape
from monai_app.study.labels.amount import Amount

Labels = npt.NDArray[np.uint8]
"""(rows, columns), 0 unlabelled, 1..K."""

_BLOCKS = 100
"""Blocks that a slice is cut into, so that one is about one percent."""

_LENGTH = 48
"""Rows and columns that a stroke stays in."""

_BEND = 8.0
"""Standard deviation of the Gaussian that smooths noise, in pixels: how much strokes are bent."""

_HALF_WIDTH = 1.5
"""Pixels on either side of the middle of a stroke, which makes it three pixels wide."""


def draw(labels: Labels, amount: Amount, rng: np.random.Generator) -> Labels:
    """Return the labels of a slice that an amount leaves; of one generator's state, smaller shares are part of larger.

    Args:
        labels: of the slice, (rows, columns).
        amount: how much of them.
        rng: decides where.
    """
    if amount.share is None:
        return labels
    return (_blocks if amount.way == "blocks" else _scribbles)(labels, amount.share / 100, rng)


def _blocks(labels: Labels, share: float, rng: np.random.Generator) -> Labels:
    """Leave so many of the blocks that hold labels."""
    blocks = Rect.whole(labels.shape).split(*block_shape((labels.shape[0], labels.shape[1]), _BLOCKS))
    labelled = [rect for rect in blocks if labels[rect.index].any()]
    left = np.zeros_like(labels)
    for number in rng.permutation(len(labelled))[: round(share * len(labelled))]:
        index = labelled[number].index
        left[index] = labels[index]
    return left


def _scribbles(labels: Labels, share: float, rng: np.random.Generator) -> Labels:
    """Leave strokes that cover this share of the labelled area, of every phase equally much as far as it has room."""
    curves = _curves((labels.shape[0], labels.shape[1]), rng)
    phases = sorted(set(np.unique(labels).tolist()) - {0})
    strokes = {phase: _strokes(labels == phase, curves, rng) for phase in phases}
    left, wanted = np.zeros_like(labels), share * np.count_nonzero(labels)
    for number, phase in enumerate(sorted(phases, key=lambda phase: len(strokes[phase]))):
        part = (wanted - np.count_nonzero(left)) / (len(phases) - number)
        left.flat[strokes[phase][: round(part)]] = phase
    return left


def _curves(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw bent lines all over a slice, one pixel wide and in pieces: where smooth noise changes its sign."""
    from skimage.segmentation import find_boundaries

    noise = ndimage.gaussian_filter(rng.standard_normal(shape), _BEND)
    lines: npt.NDArray[np.bool_] = find_boundaries(noise > 0, mode="inner")  # type: ignore[no-untyped-call]
    for axis, side in enumerate(shape):
        cuts = np.arange(rng.integers(_LENGTH), side, _LENGTH)
        lines[(slice(None),) * axis + (cuts,)] = False
    return lines


def _strokes(
    inside: npt.NDArray[np.bool_], curves: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the pixels of strokes within a phase, as indices of the flat slice, stroke after stroke in a drawn order.

    Args:
        inside: (rows, columns), where the phase is; strokes keep off its boundary.
        curves: (rows, columns), along which strokes run.
        rng: decides the order.
    """
    from skimage.segmentation import expand_labels

    pieces, number = ndimage.label(curves & ndimage.binary_erosion(inside, np.ones((3, 3))), np.ones((3, 3)))
    strokes = np.where(inside, expand_labels(pieces, _HALF_WIDTH), 0)  # type: ignore[no-untyped-call]
    pixels = np.flatnonzero(strokes)
    order = rng.permutation(number)[strokes.flat[pixels] - 1]
    found: npt.NDArray[np.int64] = pixels[np.argsort(order, kind="stable")]
    return found
