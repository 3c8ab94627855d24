"""Stacks that drift by known amounts, for the tests of alignment."""

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, shift

Pixels = npt.NDArray[np.uint8]


@cache
def texture(slices: int, rows: int, columns: int, seed: int = 0) -> Pixels:
    """Blobs (slices, rows, columns) that change from slice to slice and lean nowhere."""
    noise = np.random.default_rng(seed).standard_normal((slices, rows, columns))
    smooth = gaussian_filter(noise, (2, 2, 2))
    return np.asarray(np.clip(128 + 45 * smooth / smooth.std(), 0, 255), np.uint8)


def moved(plane: Pixels, by: tuple[float, float]) -> Pixels:
    """A plane whose things lie ``by`` rows and columns farther."""
    return np.asarray(np.clip(np.rint(shift(plane.astype(float), by, order=5, mode="reflect")), 0, 255), np.uint8)


def walk(slices: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Positions (slices, 2) of a random walk of parts of pixels without a mean step."""
    steps = np.random.default_rng(seed).normal(0, 1.2, (slices - 1, 2))
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps - steps.mean(axis=0), axis=0)])


def drifted(pixels: Pixels, positions: npt.NDArray[np.float64]) -> Pixels:
    """Move every slice to its position."""
    return np.stack([moved(plane, (y, x)) for plane, (y, x) in zip(pixels, positions, strict=True)])


def curtains(pixels: Pixels, strength: float = 60, seed: int = 5) -> Pixels:
    """Add vertical stripes that stand still while the sample moves."""
    stripes = strength * gaussian_filter(np.random.default_rng(seed).standard_normal(pixels.shape[2]), 1)
    return np.asarray(np.clip(pixels + stripes, 0, 255), np.uint8)
