"""Positions of all slices from how pairs of them lie, and what of them is drift.

As in Saalfeld et al. 2012 (doi:10.1038/nmeth.2072) slices are compared with several neighbours, and all positions are
solved for together; doubtful pairs have the weights of Geman and McClure (Bull. Int. Stat. Inst. 52 (1987) 5).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter1d

from monai_app.stack.alignment.motion import Numbers, lengths

Keep = Literal["line", "curve", "nothing"]
KEEPS: tuple[Keep, ...] = get_args(Keep)
"""What of the course of the positions is structure that leans, and stays: the mean step from slice to slice, the mean
step of some forty slices, or nothing."""

DISTANCES = (1, 2, 3)
"""Slices are compared with the next ones this far away, so that two bad ones in a row break nothing."""

_ROUNDS = 30
_SOFT = 0.5
"""Pixels at least by which a pair may miss the positions before it counts less."""

_TIE = 1e-4
"""Weight of pulling neighbours together, beside that of a pair: decides where no pair does."""

_TRUSTED = 0.5
"""Share of its weight above which a pair counts as one that fits."""

_FITTING = 1 / 3
"""Share of a slice's pairs of which more must fit; it always fits one, whatever that says."""

_CURVE = 10.0
"""Sd, in slices, of the Gaussian mean of steps that is kept as a curve."""

_SCATTER = 5.0
"""Robust standard deviations from the median step within which steps count for what is kept."""


@dataclass(frozen=True)
class Positions:
    """Where all slices lie.

    Args:
        numbers: (slices, count): the transform of every slice, the first one's is 0.
        residuals: by how much its pairs miss it, the median in pixels; NaN for a slice without any.
        flagged: slices without pairs that fit; they lie between their neighbours.
        breaks: slices that no pair ties to those before them; those lie where they lay.
    """

    numbers: Numbers
    residuals: Numbers
    flagged: tuple[int, ...]
    breaks: tuple[int, ...]


def solve(slices: int, pairs: dict[tuple[int, int], Numbers], count: int, shape: tuple[int, int]) -> Positions:
    """Place all slices by robust least squares.

    Args:
        slices: how many there are.
        pairs: (a, b) -> how slice b lies against slice a.
        count: numbers of a transform.
        shape: (rows, columns) of a slice.
    """
    ends = np.array(list(pairs), int).reshape(-1, 2)
    moves = np.array([*pairs.values()], float).reshape(-1, count)
    _, fitting = _robust(slices, ends, moves, shape)
    flagged = [z for z in range(slices) if not _fits(z, ends, fitting)]
    good = ~np.isin(ends, flagged).any(axis=1)  # pairs of bad slices must not decide between others
    numbers, fitting = _robust(slices, ends[good], moves[good], shape)
    off = lengths(moves - (numbers[ends[:, 1]] - numbers[ends[:, 0]]), shape)
    mine = [(ends == z).any(axis=1) & (good | (z in flagged)) for z in range(slices)]
    residuals = np.array([np.median(off[chosen]) if chosen.any() else np.nan for chosen in mine])
    crossed = {z for first, last in ends[good][fitting].tolist() for z in range(first + 1, last + 1)}
    kept_slices = [z for z in range(slices) if z not in flagged]
    return Positions(numbers, residuals, tuple(flagged), tuple(z for z in kept_slices[1:] if z not in crossed))


def _robust(slices: int, ends: np.ndarray, moves: Numbers, shape: tuple[int, int]) -> tuple[Numbers, np.ndarray]:
    """Positions, and which pairs fit them."""
    prior = 1.0 / np.maximum(ends[:, 1] - ends[:, 0], 1) ** 2
    weights, trust = np.ones(len(ends)), np.ones(len(ends))
    for number in range(_ROUNDS):
        numbers = _least_squares(slices, ends, moves, weights)
        off = lengths(moves - (numbers[ends[:, 1]] - numbers[ends[:, 0]]), shape)
        if number < _ROUNDS // 2:  # absolute deviations: the many are right
            weights = 1 / np.maximum(off, _SOFT / 5)
        else:  # wrong ones lose all weight, and near slices say more
            trust = 1 / (1 + (off / max(_SOFT, 2.5 * float(np.median(off)) if len(off) else 0)) ** 2) ** 2
            weights = prior * trust
    return numbers, trust > _TRUSTED


def _fits(z: int, ends: np.ndarray, fitting: np.ndarray) -> bool:
    """Whether enough pairs of a slice fit."""
    mine = fitting[(ends == z).any(axis=1)]
    return bool(mine.any()) and (len(mine) < max(DISTANCES) or mine.mean() > _FITTING)


def _least_squares(slices: int, ends: np.ndarray, moves: Numbers, weights: Numbers) -> Numbers:
    """Positions whose differences are the moves, and next to each other where none says more; the first one is 0."""
    # The solvers load slowly, and whoever reads a stack needs none.
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import splu

    chain = np.stack([np.arange(slices - 1), np.arange(1, slices)], axis=1)
    both = np.concatenate([ends, chain])
    rows = np.arange(len(both))
    signs = coo_array(
        (np.repeat([-1.0, 1.0], len(both)), (np.tile(rows, 2), both.T.ravel())), shape=(len(both), slices)
    ).tocsr()
    scaled = signs.T @ diags_array(np.concatenate([weights, np.full(len(chain), _TIE)]))
    wanted = np.concatenate([moves, np.zeros((len(chain), moves.shape[1]))])
    normal = (scaled @ signs)[1:, 1:].tocsc()
    found = splu(normal).solve(np.asarray((scaled @ wanted)[1:]))
    return np.concatenate([np.zeros((1, moves.shape[1])), found])


def kept(positions: Positions, keep: Keep, gaps: Collection[int] = ()) -> Numbers:
    """What of the positions stays, because structure that leans looks the same: (slices, count), the first one 0.

    Steps far from the usual one are jumps of the stage and count as the usual one; as do those across gaps, which are
    not measured.
    """
    steps = np.diff(positions.numbers, axis=0)
    measured = np.delete(steps, [z - 1 for z in gaps], axis=0)
    if keep == "nothing" or not len(measured):
        return np.zeros_like(positions.numbers)
    middle = np.median(measured, axis=0)
    spread = _SCATTER * 1.4826 * np.median(np.abs(measured - middle), axis=0)
    usual = np.where(np.abs(steps - middle) <= spread, steps, np.nan)
    usual[[z - 1 for z in gaps]] = np.nan
    mean = np.nanmean(np.where(np.isnan(usual).all(axis=0), middle, usual), axis=0)
    steps = np.broadcast_to(mean, steps.shape)
    if keep == "curve":
        steps = gaussian_filter1d(np.where(np.isnan(usual), mean, usual), _CURVE, axis=0, mode="nearest")
    return np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
