"""Pixel features: grey values, edges and ridges at several scales, in all detectors and slices."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from monai_app.background.bounded_map import bounded_map
from monai_app.domain.region import Rect, Span

SLICES = 3
"""The slices whose greys count: the pixel's own and its two neighbours."""

_SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians that the slice itself is smoothed by, in pixels."""

_NEAR_SCALES = (1.0, 4.0)
"""Those of the neighbouring slices."""

_TRUNCATE = 4.0
"""Standard deviations after which a Gaussian ends."""

_DIFFERENCES = 2
"""Pixels that first and second differences reach beyond a Gaussian."""

HALO = round(_TRUNCATE * max(_SCALES)) + _DIFFERENCES
"""Pixels around a pixel that its features depend on."""

_TILE = 256
"""Rows and columns of a slice whose features are computed at a time: it bounds the memory."""

_Result = TypeVar("_Result")

Features = npt.NDArray[np.float32]
"""(rows, columns, features)."""


def pixel_features(slab: npt.NDArray[np.integer], rect: Rect, slices: int = SLICES) -> Features:
    """Compute the features of the pixels in a rectangle of the middle slice of a slab.

    Of the middle slice, for each detector and scale: the smoothed grey value, the length of its gradient and the two
    eigenvalues of its Hessian matrix, as in ilastik's pixel classification (Berg et al. 2019, doi
    10.1038/s41592-019-0582-9). Of the neighbours, for each detector: the smoothed grey value at two scales.

    Args:
        slab: (slices * detectors, rows, columns) as `SlabSource.read_slab` gives whole slices.
        rect: rows and columns; every pixel has the very features that it has where all of the slice is computed.
        slices: in the slab, odd.

    Returns:
        (rows, columns, features) of the rectangle.
    """
    around = _grown(rect, Rect.whole(slab.shape))
    detectors = len(slab) // slices
    planes: list[npt.NDArray[np.float32]] = []
    for number, plane in enumerate(slab[(slice(None), *around.index)].astype(np.float32)):
        middle = number // detectors == slices // 2
        for scale in _SCALES if middle else _NEAR_SCALES:
            smooth = ndimage.gaussian_filter(plane, scale, mode="nearest", truncate=_TRUNCATE)
            planes += [smooth, *_edges_and_ridges(smooth)] if middle else [smooth]
    inner = rect.relative_to(around).index
    return np.stack([plane[inner] for plane in planes], axis=-1)


def _edges_and_ridges(smooth: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """The gradient's length and the eigenvalues of the Hessian matrix, the greater one first."""
    down, across = _slope(smooth, 0), _slope(smooth, 1)
    down_down, down_across, across_across = _slope(down, 0), _slope(down, 1), _slope(across, 1)
    mean, half = (down_down + across_across) / 2, (down_down - across_across) / 2
    spread = np.sqrt(half**2 + down_across**2)
    return [np.sqrt(down**2 + across**2), mean + spread, mean - spread]


def _slope(plane: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Central differences along an axis, of planes of any size."""
    slope: npt.NDArray[np.float32] = ndimage.correlate1d(plane, (-0.5, 0.0, 0.5), axis, mode="nearest")
    return slope


def _grown(rect: Rect, whole: Rect) -> Rect:
    y, x = (Span(span.start - HALO, span.stop + HALO) for span in (rect.y, rect.x))
    return Rect(y, x).intersect(whole)


def tiles_of(shape: tuple[int, ...]) -> list[Rect]:
    """Return the parts of a slice (rows, columns) whose features are computed at a time."""
    return list(Rect.whole(shape).split(_TILE, _TILE))


def computed(compute: Callable[[Rect], _Result], tiles: Sequence[Rect]) -> Iterator[tuple[Rect, _Result]]:
    """Yield every tile with what is computed of it, in their order; as many as there are cores at a time.

    Beside the one that is given, as many at most are begun or wait to be taken, which bounds the memory.
    """
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        yield from bounded_map(pool, compute, tiles, cores)
