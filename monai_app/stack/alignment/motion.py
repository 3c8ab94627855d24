"""How a picture may lie: moved, turned or stretched, as a few numbers that add up."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Kind = Literal["translation", "rigid", "affine"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What transforms may do; for small ones the numbers of two that follow each other add up."""

Numbers = npt.NDArray[np.float64]
"""Of a translation rows and columns in pixels; of a rigid transform also the turn in radians; of an affine one, instead
of it, how rows and columns move per row and column (yy, yx, xy, xx)."""

COUNT: dict[Kind, int] = {"translation": 2, "rigid": 3, "affine": 6}
"""Of numbers."""


def matrix(numbers: Numbers) -> Numbers:
    """The linear part (2, 2) of a transform: a point at ``u`` from the middle lies at ``matrix @ u + numbers[:2]``."""
    if len(numbers) == COUNT["rigid"]:
        sine, cosine = np.sin(numbers[2]), np.cos(numbers[2])
        return np.array([[cosine, -sine], [sine, cosine]])
    return np.eye(2) + (numbers[2:].reshape(2, 2) if len(numbers) == COUNT["affine"] else 0)


def lengths(numbers: Numbers, shape: tuple[int, int]) -> Numbers:
    """How far transforms (n, count) move the pixels of a picture of a shape, root mean square, px: (n,)."""
    down, along = (size**2 / 12 for size in shape)
    square = (numbers[:, :2] ** 2).sum(axis=1)
    if numbers.shape[1] == COUNT["rigid"]:
        square = square + numbers[:, 2] ** 2 * (down + along)
    elif numbers.shape[1] == COUNT["affine"]:
        square = square + (numbers[:, [2, 4]] ** 2).sum(axis=1) * down + (numbers[:, [3, 5]] ** 2).sum(axis=1) * along
    return np.asarray(np.sqrt(square))


def fit(kind: Kind, places: Numbers, moves: Numbers) -> Numbers:
    """The transform that moves places (n, 2), from the middle, by moves (n, 2), all px.

    Moves that do not fit count little: least absolute deviations, by iteratively reweighted least squares.
    """
    design = np.concatenate([_design(kind, place) for place in places])
    weights = np.ones(len(places))
    for _ in range(_ROUNDS):
        root = np.repeat(np.sqrt(weights), 2)
        numbers: Numbers = np.linalg.lstsq(design * root[:, None], moves.ravel() * root, rcond=None)[0]
        off = np.linalg.norm((moves.ravel() - design @ numbers).reshape(-1, 2), axis=1)
        weights = 1 / np.maximum(off, _EXACT)
    return numbers


_ROUNDS = 10
_EXACT = 0.05
"""In pixels; smaller residuals are treated as equal."""


def _design(kind: Kind, place: Numbers) -> Numbers:
    y, x = place
    if kind == "rigid":
        return np.array([[1, 0, -x], [0, 1, y]], float)
    if kind == "affine":
        return np.array([[1, 0, y, x, 0, 0], [0, 1, 0, 0, y, x]], float)
    return np.eye(2)
