"""Pyramid levels for viewers: every level halves rows and columns, never slices."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

SMALLEST = 512
"""Levels are added until rows and columns are no longer than this."""

Halve = Callable[[npt.NDArray[np.integer]], npt.NDArray[np.integer]]
"""Makes the next level of one slice: (rows, columns) -> (ceil(rows / 2), ceil(columns / 2))."""


def level_shapes(rows: int, columns: int) -> list[tuple[int, int]]:
    """(rows, columns) of all levels, the full one first.

    A level is rounded up, so that each of its pixels is exactly two pixels of the level above in rows and columns,
    except for the last row or column of an odd size, which has one.

    Example:
        >>> level_shapes(1025, 700)
        [(1025, 700), (513, 350), (257, 175)]
    """
    shapes = [(rows, columns)]
    while max(shapes[-1]) > SMALLEST:
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    return shapes


def halve_image(plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The rounded mean of every 2 x 2 pixels; an odd last row or column counts twice.

    Example:
        >>> halve_image(np.array([[1, 3, 5], [1, 3, 5]], np.uint8)).tolist()
        [[2, 5]]
    """
    rows, columns = plane.shape
    if rows % 2 or columns % 2:
        plane = np.pad(plane, ((0, rows % 2), (0, columns % 2)), mode="edge")
    wide = np.dtype(f"u{2 * plane.itemsize}")  # holds the sum of four
    pairs = np.add(plane[::2], plane[1::2], dtype=wide)
    total: npt.NDArray[np.integer] = pairs[:, ::2] + pairs[:, 1::2]
    total += 2  # rounds the division by 4
    total >>= 2
    return total.astype(plane.dtype)


def smallest_image(plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """One slice of an image (rows, columns) as its smallest level has it."""
    for _ in level_shapes(*plane.shape)[1:]:
        plane = halve_image(plane)
    return plane


def halve_labels(plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The upper left of every 2 x 2 pixels: phases cannot be averaged.

    Example:
        >>> halve_labels(np.array([[1, 3, 2], [1, 3, 2]], np.uint8)).tolist()
        [[1, 2]]
    """
    return plane[::2, ::2]
