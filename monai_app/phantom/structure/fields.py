"""Random fields that are a pure function of seed and position in nm.

A field is a lattice of hashed white noise, interpolated with cubic B-splines: smooth, isotropic enough to the eye,
without beginning or end, and the same material whatever the pixel size and however many slices are asked for.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from monai_app.phantom.resample import Floats, interpolate

_VARIANCE = (151 / 315) ** 3
"""Mean over all positions of the summed squares of the cubic B-spline weights, in three dimensions."""
_KEPT_PLANES = 6
"""Lattice planes kept: four are in use, two more serve a slice that steps back."""
_RANGE_STEP = 16
"""Lattice ranges grow in this step, so that drift does not change them and the kept planes stay of use."""


@dataclass(frozen=True)
class Grid:
    """Sample positions of a plane, nm: ``y`` (rows,) and ``x`` (columns,), both rising evenly."""

    y: NDArray[np.float64]
    x: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.y), len(self.x)


def spline_weights(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (n, 4) of the four cubic B-splines over fractional positions (n,) within a lattice cell."""
    t, s = offset, 1.0 - offset
    return np.stack([s**3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * s**2 + 3 * s**3, t**3], axis=1) / 6


def stream_key(seed: int, stream: int) -> int:
    """A 64-bit key for one random stream of a seed."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0])


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers (the finaliser of SplitMix64, Steele et al., OOPSLA 2014), in place."""
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return value


def hashed_plane(key: int, z: int, y: range, x: range) -> Floats:
    """White noise of mean 0 and variance 1 at the lattice points of plane ``z``: (len(y), len(x)).

    The numbers are uniform; interpolation sums 64 of them, which makes the field Gaussian to the eye.
    """
    start = np.array([(key ^ ((z * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF))], dtype=np.uint64)
    down = np.arange(y.start, y.stop).astype(np.int64).view(np.uint64) * np.uint64(0xD1B54A32D192ED03)
    along = np.arange(x.start, x.stop).astype(np.int64).view(np.uint64) * np.uint64(0x8CB92BA72F3D8DD7)
    hashes = _mix(_mix(down ^ _mix(start))[:, None] ^ along[None, :])
    unit = (hashes >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return (unit - np.float32(0.5)) * np.float32(np.sqrt(12.0))


def _axis_range(positions: NDArray[np.float64], spacing: float) -> range:
    first = int(np.floor(positions[0] / spacing)) - 1
    last = int(np.floor(positions[-1] / spacing)) + 3
    return range(first // _RANGE_STEP * _RANGE_STEP, -(-last // _RANGE_STEP) * _RANGE_STEP)


def _axis_weights(positions: NDArray[np.float64], spacing: float, lattice: range) -> csr_array:
    """Sparse matrix (positions, lattice points) that interpolates one axis."""
    scaled = positions / spacing
    cell = np.floor(scaled).astype(np.int64)
    columns = (cell - 1 - lattice.start)[:, None] + np.arange(4)
    weights = spline_weights(scaled - cell).astype(np.float32)
    pointers = np.arange(0, 4 * len(positions) + 1, 4)
    return csr_array((weights.ravel(), columns.ravel(), pointers), shape=(len(positions), len(lattice)))


class RandomField:
    """A stationary random field of mean 0 and variance 1.

    Args:
        seed: the seed of the phantom.
        stream: number of the field; fields with different numbers are independent.
        spacing_nm: lattice spacing; features are about one to two spacings wide.
    """

    def __init__(self, seed: int, stream: int, spacing_nm: float) -> None:
        self.spacing_nm = spacing_nm
        self._plane = lru_cache(_KEPT_PLANES)(partial(hashed_plane, stream_key(seed, stream)))

    def sample(self, grid: Grid, z_nm: float) -> Floats:
        """Values (rows, columns) of the plane at ``z_nm``."""
        y, x = _axis_range(grid.y, self.spacing_nm), _axis_range(grid.x, self.spacing_nm)
        cell = int(np.floor(z_nm / self.spacing_nm))
        weights = spline_weights(np.array([z_nm / self.spacing_nm - cell]))[0] / np.sqrt(_VARIANCE)
        lattice = np.zeros((len(y), len(x)), dtype=np.float32)
        for step, weight in enumerate(weights):
            lattice += np.float32(weight) * self._plane(cell - 1 + step, y, x)
        down, along = _axis_weights(grid.y, self.spacing_nm, y), _axis_weights(grid.x, self.spacing_nm, x)
        return interpolate(lattice, down, along)
