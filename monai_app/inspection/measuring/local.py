"""How strong artefacts are in each part of a slice."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from monai_app.inspection.measuring.curtains import measure_curtains
from monai_app.inspection.measuring.slices import Plane, measure_noise
from monai_app.stack.alignment.correlation import reduced

_SURROUNDINGS = 8
"""Brightness around a block is taken over this part of the shorter side: what is finer are phases."""

Values = npt.NDArray[np.float64]


class LocalArtefacts(NamedTuple):
    """Artefacts in square blocks of a slice: (block rows, block columns) each.

    Attributes:
        curtaining: standard deviation of what curtains add, over the mean grey value, see `measure_curtains`.
        shading: brightness around the block less that of the slice, over that of the slice.
        noise: standard deviation of the noise in grey values, see `measure_noise`.
    """

    curtaining: Values
    shading: Values
    noise: Values


def local_artefacts(plane: Plane, side: int) -> LocalArtefacts:
    """Measure blocks of ``side`` x ``side`` pixels of a slice, (rows, columns); those at its ends are left out."""
    means = reduced(plane, side).astype(np.float64)
    rows, columns = means.shape
    blocks = plane[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    curtaining, noise = np.zeros((2, rows, columns))
    for place in np.ndindex(rows, columns):
        curtaining[place] = measure_curtains(blocks[place].astype(np.float32)).strength
        noise[place] = measure_noise(blocks[place])
    around = gaussian_filter(means, min(rows, columns) / _SURROUNDINGS, mode="nearest")
    return LocalArtefacts(curtaining, around / max(float(means.mean()), 1e-9) - 1, noise)
