"""Signal lost because the trench of a cross-section shadows a detector."""

import numpy as np
from numpy.typing import NDArray

_TRENCH = 2.0
"""Length of the trench in heights of the field."""
_SIDE = 0.45
"""Share of the shadow that lies across the field: the detector stands to the side."""


def lost_light(rows: int, columns: int) -> NDArray[np.float64]:
    """Share (rows, columns) of the light that a detector loses which the trench hides completely.

    A Lambertian emitter at depth d below the rim, with the opposite wall at distance L, sees the open share
    ``f(d) / f(0) = 1 - d / sqrt(d^2 + L^2)`` of the sky; L is twice the height of the field, so f is 0.55 at the
    bottom. A detector to one side adds a gradient along x. Derived; shadowing of porous insulators: Fager, Chalmers
    2020.
    """
    depth = (np.arange(rows) + 0.5) / rows
    side = (np.arange(columns) + 0.5) / columns
    sky = 1 - depth / np.hypot(depth, _TRENCH)
    lost: NDArray[np.float64] = (1 - sky)[:, None] + _SIDE * (side**1.5)[None, :] * (0.4 + 0.6 * depth)[:, None]
    return lost
