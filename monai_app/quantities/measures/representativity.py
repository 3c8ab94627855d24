"""How far the fraction of every phase in this volume may be from the material's."""

from dataclasses import replace

import numpy as np

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels
from monai_app.quantities.quantity import Measured, Quantity
from monai_app.quantities.uncertainty.cells import CellCounts, choose_grid
from monai_app.quantities.uncertainty.representativity import Representativity, represent

_MISSING = "slices are missing, so distances along z are unknown"

_FEW = "too few sub-volumes fit into the volume"

_ONE_SLICE = "there is one slice, so the structure along z is unknown"


def measure(labels: Labels, progress: Progress) -> Measured:
    """Estimate the interval of the material's fraction, as `represent` does, from the counts in a grid of cells.

    Its interval covers only the sampling of the material, and assumes that the labels are correct.
    """
    grid = choose_grid(labels.shape, labels.voxel_nm)
    cells = CellCounts(grid, len(labels.phases))
    for block, voxels in labels.slabs(progress):
        for z, plane in zip(block.z.range, voxels, strict=True):
            cells.add(z, plane)
    found = represent(cells.counts, grid.cell_nm, float(np.prod(labels.voxel_nm)))
    named = {phase.name: each for phase, each in zip(labels.phases, found, strict=True)}
    if labels.has_gaps:
        named = {name: replace(each, unreliable=(*each.unreliable, _MISSING)) for name, each in named.items()}
    flat = (_ONE_SLICE,) if labels.shape[0] == 1 else ()
    return Measured(
        {
            "material_fraction": {name: _fraction(each) for name, each in named.items()},
            "integral_range": {
                name: _number(each.integral_range_nm3 / 1e9, "um^3", (*each.unreliable, *flat))
                for name, each in named.items()
            },
            "independent_observations": {
                name: _number(each.observations, "1", each.unreliable) for name, each in named.items()
            },
            "subvolume_variance_ratio": {
                name: _number(each.variance_ratio, "1", (_FEW,) if np.isnan(each.variance_ratio) else ())
                for name, each in named.items()
            },
        },
        settings={
            "cell_nm": grid.cell_nm,
            "summed_to_nm": {name: None if np.isnan(each.range_nm) else each.range_nm for name, each in named.items()},
        },
    )


def _fraction(found: Representativity) -> Quantity:
    interval = None if np.isnan(found.low) else (found.low, found.high)
    return Quantity(found.fraction, "1", interval, "; ".join(found.unreliable) or None)


def _number(value: float, unit: str, reasons: tuple[str, ...]) -> Quantity:
    """Return a number with the reasons why it is unreliable or missing."""
    return Quantity(None if np.isnan(value) else value, unit, unreliable="; ".join(reasons) or None)
