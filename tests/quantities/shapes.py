"""Labels with known answers, and labels that are given in small blocks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from monai_app.domain.region import Region
from monai_app.progress import Progress, silent
from monai_app.quantities import MEASURES, ArrayLabels, Quantity, quantify
from monai_app.quantities.labels import Voxels
from monai_app.stack import Phase
from tests.quantities.uncertainty.boolean import BooleanModel

PHASES = tuple(
    Phase(value=value, name=name, rgb=(60 * value, 0, 0)) for value, name in enumerate(("matrix", "grain", "pore"), 1)
)

Sides = tuple[float, float, float]


class SmallBlocks(ArrayLabels):
    """Labels in memory of which no slab holds more than some voxels."""

    def __init__(self, voxels: Voxels, voxel_nm: Sides, most: int) -> None:
        super().__init__(voxels, voxel_nm, PHASES)
        self._most = most

    def slabs(self, progress: Progress = silent, voxels: int = 0) -> Iterator[tuple[Region, Voxels]]:
        """Give slabs of that size, whatever is asked for; planes where they are."""
        return super().slabs(progress, min(voxels or self._most, self._most))


def numbers(name: str, voxels: Voxels, voxel_nm: Sides = (10.0, 10.0, 10.0)) -> dict[str, dict[str, Quantity]]:
    """Take one measure: name of the quantity -> name of the phase -> the number."""
    return dict(quantify(ArrayLabels(voxels, voxel_nm, PHASES), {name: MEASURES[name]}).quantities)  # type: ignore[arg-type]


def any_labels(lowest: int = 0) -> st.SearchStrategy[npt.NDArray[Any]]:
    """Small label volumes of any shape: 0 (where allowed) and three phases."""
    shapes = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)
    return arrays(np.uint8, shapes, elements=st.integers(lowest, 3))


def ball(shape: Sequence[int], voxel_nm: Sides, radius: float) -> Voxels:
    """A grain of a radius, nm, amid the matrix."""
    grids = np.ogrid[tuple(slice(0, length) for length in shape)]
    centres = (length * side / 2 for length, side in zip(shape, voxel_nm, strict=True))
    squares = [(grid * side - at) ** 2 for grid, side, at in zip(grids, voxel_nm, centres, strict=True)]
    return np.where(sum(squares) < radius**2, 2, 1).astype(np.uint8)


def layer(shape: Sequence[int], axis: int, thickness: int) -> Voxels:
    """A layer of grain, so many voxels thick, across the middle of the matrix."""
    voxels = np.ones(shape, np.uint8)
    first = shape[axis] // 2
    np.moveaxis(voxels, axis, 0)[first : first + thickness] = 2
    return voxels


def overlapping_balls(shape: Sequence[int], voxel_nm: Sides, radius: float, per_nm3: float, seed: int = 0) -> Voxels:
    """A Boolean model: so many grains of a radius per volume, amid the matrix."""
    z, y, x = shape
    return BooleanModel(radius, np.exp(-per_nm3 * 4 / 3 * np.pi * radius**3), voxel_nm).draw((z, y, x), seed)


def blobs(shape: Sequence[int], width: float, seed: int = 0) -> Voxels:
    """Three phases of smoothed noise."""
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(tuple(shape)), width)
    phases: Voxels = (1 + np.digitize(field, np.quantile(field, [0.3, 0.7]))).astype(np.uint8)
    return phases
