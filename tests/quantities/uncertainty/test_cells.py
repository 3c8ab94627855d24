"""Phase counts of cells against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.quantities.labels import Voxels
from monai_app.quantities.uncertainty.cells import CellCounts, Grid, choose_grid
from tests.quantities.shapes import any_labels


@given(any_labels(), st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)))
@settings(deadline=None)
def test_cells_count_their_voxels(voxels: Voxels, step: tuple[int, int, int]) -> None:
    cells = CellCounts(Grid(voxels.shape, step, (1.0, 1.0, 1.0)), 3)
    for z, plane in enumerate(voxels):
        cells.add(z, plane)
    for place in np.ndindex(cells.grid.cells):
        box = voxels[tuple(slice(i * s, (i + 1) * s) for i, s in zip(place, step, strict=True))]
        assert cells.counts[:, *place].tolist() == [np.count_nonzero(box == value) for value in (1, 2, 3)]


@pytest.mark.parametrize("voxel_nm", [(40.0, 20.0, 20.0), (5.0, 5.0, 5.0), (200.0, 4.0, 4.0)])
def test_cells_are_few_and_nearly_cubic(voxel_nm: tuple[float, float, float]) -> None:
    grid = choose_grid((156, 3868, 4062), voxel_nm)
    assert 2**20 / 4 < np.prod(grid.cells) <= 2**20
    assert max(grid.cell_nm) / min(grid.cell_nm) < 1.3


def test_a_small_volume_keeps_its_voxels_and_one_slice_is_one_cell_thick() -> None:
    assert choose_grid((20, 30, 40), (10.0, 10.0, 10.0)).step == (1, 1, 1)
    assert choose_grid((1, 3000, 3000), (10.0, 10.0, 10.0)).step == (1, 3, 3)
