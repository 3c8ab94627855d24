"""Tortuosity of one phase by taufactor, which the extra ``tortuosity`` installs."""

import io
from contextlib import redirect_stdout
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from taufactor import AnisotropicSolver

from monai_app.device.memory import free_bytes
from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.progress import Progress
from monai_app.quantities.labels import Labels
from monai_app.quantities.measures.components import CONNECTIVITY
from monai_app.quantities.quantity import Measure, Measured, Quantity

_BYTES = 140
"""Memory that the solver holds for a voxel, in single precision."""

_Mask = npt.NDArray[np.bool_]


class _Solver(AnisotropicSolver):
    """taufactor's solver; its own flux is 0 where weights of neighbours exceed 8, as those of long voxels do."""

    def vertical_flux(self) -> Any:
        """The flux between voxels of the phase, (batch, x - 1, y, z)."""
        flux = self.field[:, 2:-1, 1:-1, 1:-1] - self.field[:, 1:-2, 1:-1, 1:-1]
        blocked = torch.isinf(self.factor)
        flux[blocked[:, :-1] | blocked[:, 1:]] = 0
        return flux


def tortuosity_of(labels: Labels, phase: str) -> Measure:
    """Return the measure of a phase's tortuosity factors along z, y and x, which loads all labels into memory.

    Args:
        labels: what is to be measured.
        phase: name of the conducting phase.

    Raises:
        ConfigError: there is no such phase, or there is too little memory.
    """
    values = {each.name: each.value for each in labels.phases}
    if phase not in values:
        raise ConfigError(f"phase {phase!r} is unknown; give one of {', '.join(values)} (--tortuosity)")
    needed, free = _BYTES * int(np.prod(labels.shape)), free_bytes(torch.device("cpu"))
    if needed > free:
        raise ConfigError(
            f"the tortuosity of {' x '.join(map(str, labels.shape))} voxels needs {needed / 2**30:.1f} GiB of memory "
            f"but {free / 2**30:.1f} GiB are free; choose a smaller part of the stack (--z, --y, --x)"
        )
    return lambda measured, progress: _measure(measured, phase, values[phase], progress)


def _measure(labels: Labels, phase: str, value: int, progress: Progress) -> Measured:
    """Solve steady diffusion between opposite faces, the others being closed.

    By taufactor (Kench, Squires and Cooper 2023, doi 10.21105/joss.05358). The effective diffusivity is relative to
    that of the pure phase; the tortuosity factor is the phase's volume fraction over it (Cooper et al. 2016,
    doi 10.1016/j.softx.2016.09.002).
    """
    voxels = labels.read(Region.whole(labels.shape))
    own, empty = voxels == value, float((voxels == 0).mean())
    closed = f"{empty:.1%} of the block is not segmented, and treated as impermeable" if empty else None
    quantities = {}
    progress(0, 3)
    for axis, name in enumerate("zyx"):
        factor, diffusivity = _along(own, axis, labels.voxel_nm, closed)
        quantities[f"tortuosity_factor_{name}"] = {phase: factor}
        quantities[f"effective_diffusivity_{name}"] = {phase: diffusivity}
        progress(axis + 1, 3)
    return Measured(quantities)


def _along(
    own: _Mask, axis: int, voxel_nm: tuple[float, float, float], closed: str | None
) -> tuple[Quantity, Quantity]:
    """Tortuosity factor and effective diffusivity along an axis; ``closed`` is what else makes them unreliable."""
    if own.shape[axis] == 1:
        return (Quantity(None, "1", unreliable="there is one voxel along this axis"),) * 2
    order = (axis, *(other for other in range(3) if other != axis))
    conducting = _percolating(np.ascontiguousarray(own.transpose(order)))
    if not conducting.any():
        return Quantity(None, "1", unreliable="the phase does not connect opposite faces"), Quantity(
            0.0, "1", unreliable=closed
        )
    spacing = tuple(float(voxel_nm[each]) for each in order)
    with redirect_stdout(io.StringIO()):  # it prints
        solver = _Solver(conducting.astype(np.uint8), spacing, device="cpu")
        solver.solve(verbose=False)
    reason = closed if solver.converged else "the solver did not converge"
    diffusivity = float(solver.D_eff[0])
    return (
        Quantity(float(own.mean()) / diffusivity, "1", unreliable=reason),
        Quantity(diffusivity, "1", unreliable=reason),
    )


def _percolating(own: _Mask) -> _Mask:
    """The components that connect the first plane with the last one."""
    parts = cc3d.connected_components(own, connectivity=CONNECTIVITY)
    through = np.intersect1d(parts[0], parts[-1])
    kept: _Mask = np.isin(parts, through[through > 0])
    return kept
