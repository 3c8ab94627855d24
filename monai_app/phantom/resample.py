"""Coarser and finer versions of an image, so that smooth things are computed where they are cheap."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_Value = TypeVar("_Value", bound=np.generic)
Floats = NDArray[np.float32]


def interpolate(image: Floats, down: csr_array, along: csr_array) -> Floats:
    """Apply one sparse matrix to the rows and one to the columns: (m, n) -> (len(down), len(along))."""
    # Sparse matrices multiply from the left only. Columns come first, while there are few rows to transpose.
    wide = along @ np.ascontiguousarray(image.T)
    return down @ np.ascontiguousarray(wide.T)  # type: ignore[no-any-return]


def coarse_length(count: int, step: int) -> int:
    """Number of knots, one every ``step`` samples, that enclose ``count`` samples."""
    return -(-count // step) + 1


def look_up(table: NDArray[_Value], index: NDArray[np.uint8] | NDArray[np.uint32]) -> NDArray[_Value]:
    """``table[index]`` for an index that is known to be in range, which skips the check of every pixel."""
    return table.take(index, mode="clip")


def linear_weights(count: int, step: int, first: float = 0.0) -> csr_array:
    """Matrix (count, knots) of linear interpolation from knots at ``first + step * k``; held beyond the ends."""
    knots = coarse_length(count, step)
    place = np.clip((np.arange(count) - first) / step, 0, knots - 1)
    left = np.minimum(place.astype(np.int64), knots - 2)
    right = place - left
    weights = np.stack([1 - right, right], axis=1).astype(np.float32)
    columns = np.stack([left, left + 1], axis=1)
    pointers = np.arange(0, 2 * count + 1, 2)
    return csr_array((weights.ravel(), columns.ravel(), pointers), shape=(count, knots))


def coarsen(image: Floats, step: int) -> Floats:
    """Mean over blocks of ``step`` x ``step``, (rows, columns) -> knots of `refine`; the border is repeated."""
    rows, columns = image.shape
    pad = [(0, coarse_length(count, step) * step - count) for count in (rows, columns)]
    padded = np.pad(image, pad, mode="edge")
    total = padded[::step].copy()
    for offset in range(1, step):
        total += padded[offset::step]
    blocks = total[:, ::step].copy()
    for offset in range(1, step):
        blocks += total[:, offset::step]
    blocks *= np.float32(1 / step**2)
    return blocks


def refine(blocks: Floats, step: int, shape: tuple[int, int]) -> Floats:
    """Linear interpolation of block means back to ``shape``."""
    middle = (step - 1) / 2
    down, along = (linear_weights(count, step, middle) for count in shape)
    return interpolate(blocks, down, along)


def soften(image: Floats, sigma_px: float) -> Floats:
    """Blur by about a Gaussian of ``sigma_px``: repeated three-tap means, fast for a small sigma; a new array."""
    rounds = max(1, int(np.ceil(sigma_px**2 / 0.6)))
    side = np.float32(sigma_px**2 / rounds / 2)
    result = image
    for _ in range(rounds if sigma_px > 0 else 0):
        result = _three_taps(_three_taps(result, side, 0), side, 1)
    return result if result is not image else image.copy()


def _three_taps(image: Floats, side: np.float32, axis: int) -> Floats:
    source = image if axis == 0 else image.T
    result = np.empty_like(image)
    target = result if axis == 0 else result.T
    np.multiply(source, np.float32(1) - 2 * side, out=target)
    weighted = source * side
    target[1:] += weighted[:-1]
    target[:-1] += weighted[1:]
    target[0] += weighted[0]
    target[-1] += weighted[-1]
    return result


def shifted(image: NDArray[_Value], rows: int, columns: int) -> NDArray[_Value]:
    """``result[i, j] = image[i + rows, j + columns]``, the border repeated."""
    for axis, (shift, count) in enumerate(zip((rows, columns), image.shape, strict=True)):
        if shift:
            image = np.take(image, np.clip(np.arange(count) + shift, 0, count - 1), axis=axis)
    return image
