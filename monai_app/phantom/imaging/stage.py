"""Where every slice was really cut and how the field drifted.

Slice thickness: the recorded positions of a real stack of nominally 10 nm (the pystack3d example file names) give
steps of mean 9.90 nm and sd 0.57 nm, a scatter of 6 %. Drift: a random walk of a fraction of a pixel to a pixel per
slice; both detectors record the same scan, so they move together, and so does the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monai_app.phantom.config import PhantomConfig

_STREAM = 10
_THICKNESS_SCATTER = 0.06
_DRIFT_NM = 10.0
_THINNEST = 0.2
"""A slice is at least this share of the nominal thickness: the stack never steps back."""


@dataclass(frozen=True)
class Position:
    """Where slice ``z`` was cut: depth and drift of the field, nm."""

    z: int
    depth_nm: float
    drift_y_nm: float
    drift_x_nm: float


def positions(config: PhantomConfig) -> Iterator[Position]:
    """Positions of slice 0, 1, 2, ... without end; slice 0 is at depth 0 without drift."""
    depth, down, along, z = 0.0, 0.0, 0.0, 0
    while True:
        yield Position(z, depth, down, along)
        z += 1
        scatter, step_y, step_x = np.random.default_rng([config.seed, _STREAM, z]).standard_normal(3)
        relative = 1 + config.artefacts.thickness_jitter * _THICKNESS_SCATTER * scatter
        depth += config.voxel_nm.z * max(relative, _THINNEST)
        down += config.artefacts.drift * _DRIFT_NM * step_y
        along += config.artefacts.drift * _DRIFT_NM * step_x
