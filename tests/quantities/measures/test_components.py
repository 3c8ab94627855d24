"""Components against the libraries on the whole array, and by hand."""

import cc3d
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from monai_app.progress import silent
from monai_app.quantities.labels import Voxels
from monai_app.quantities.measures.components import find_components, measure
from tests.quantities.shapes import SmallBlocks, any_labels, blobs, numbers

VOXEL = (20.0, 10.0, 10.0)


def whole(voxels: Voxels) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    """Value, size, first and last plane, row and column of every component, by scipy."""
    found = []
    for value in range(1, 4):
        parts, _ = scipy.ndimage.label(voxels == value)
        for number, box in enumerate(scipy.ndimage.find_objects(parts), 1):
            size = int((parts == number).sum())
            found.append((value, size, tuple(s.start for s in box), tuple(s.stop - 1 for s in box)))
    return sorted(found)


@given(any_labels(), st.integers(1, 60))
def test_slabs_give_the_components_of_the_whole(voxels: Voxels, most: int) -> None:
    found = find_components(SmallBlocks(voxels, VOXEL, most), silent)
    columns = (found.values.tolist(), found.sizes.tolist(), found.low.tolist(), found.high.tolist())
    assert sorted((v, s, tuple(low), tuple(high)) for v, s, low, high in zip(*columns, strict=True)) == whole(voxels)


def test_a_component_that_parts_and_meets_again_is_one() -> None:
    voxels = np.ones((5, 3, 7), np.uint8)
    voxels[:, 1, 1] = voxels[:, 1, 5] = 2
    for plane in (0, 4):
        voxels[plane, 1, 1:6] = 2
    apart = voxels.copy()
    apart[0, 1, 3] = apart[4, 1, 3] = 1
    for labels, count in ((voxels, 1), (apart, 2)):
        found = measure(SmallBlocks(labels, VOXEL, 1), silent).quantities
        assert found["components"]["grain"].value == count
        assert found["percolating_share_z"]["grain"].value == 1
        assert found["percolating_share_x"]["grain"].value == 0


def test_numbers_of_known_components() -> None:
    voxels = np.ones((4, 10, 10), np.uint8)
    voxels[:, 2:4, 2:4] = 3  # 16 voxels from face to face
    voxels[1:3, 6, 6:8] = 3  # 4 amid the matrix
    voxels[0, 9, 9] = 3  # 1 in a corner
    voxels[1, 8, 8] = 3  # which shares a corner with the last one, and no face
    found = numbers("components", voxels, VOXEL)
    assert found["components"]["pore"].value == 4
    assert found["components_at_border"]["pore"].value == 2
    assert found["largest_component_share"]["pore"].value == 16 / 22
    assert found["percolating_share_z"]["pore"].value == 16 / 22
    assert found["percolating_share_y"]["pore"].value == 0
    assert found["components_per_volume"]["pore"].value == pytest.approx(4 / (400 * 2e-6))
    assert found["components"]["matrix"].value == 1


@given(any_labels(), st.integers(1, 60))
def test_what_ends_at_the_border_or_at_a_0_is_counted(voxels: Voxels, most: int) -> None:
    if not voxels.any():
        return
    found = measure(SmallBlocks(voxels, VOXEL, most), silent).quantities["components_at_border"]
    beside = scipy.ndimage.binary_dilation(voxels == 0, border_value=1)
    for value, phase in enumerate(found, 1):
        parts, _ = scipy.ndimage.label(voxels == value)
        assert found[phase].value == len(np.unique(parts[beside & (parts > 0)]))


def test_faces_are_those_of_what_is_segmented() -> None:
    voxels = np.ones((8, 40, 40), np.uint8)
    voxels[:, 18:22] = 2
    voxels[:, :, :2] = 0
    found = numbers("components", voxels, VOXEL)["percolating_share_x"]["grain"]
    assert (found.value, found.unreliable) == (1, None)
    voxels[4:, :, 2:6] = 0  # half of the slices were moved further
    found = numbers("components", voxels, VOXEL)["percolating_share_x"]["grain"]
    assert "0.5 of a face across this axis is not segmented" in str(found.unreliable)


def test_connections_across_a_gap_are_not_known() -> None:
    voxels = blobs((5, 12, 12), 2)
    voxels[2] = 0
    labels = SmallBlocks(voxels, VOXEL, 200)
    labels.planes = (0, 1, None, 2, 3)
    for name, of in measure(labels, silent).quantities.items():
        assert of["grain"].unreliable == "slices are missing, and connections across them are unknown", name


def test_size_classes_hold_every_component_once() -> None:
    voxels = blobs((12, 30, 30), 1.2)
    found = measure(SmallBlocks(voxels, VOXEL, 2000), silent)
    rows = [row for row in found.tables["components"].rows if row[0] == "grain"]
    sizes = cc3d.statistics(cc3d.connected_components(voxels == 2, connectivity=6))["voxel_counts"][1:]
    edges = np.array([[float(row[1] or 0), float(row[2] or 0)] for row in rows]) / 2e-6
    counts = [((sizes >= low - 0.5) & (sizes < high - 0.5)).sum() for low, high in edges]
    assert [row[3] for row in rows] == counts
    assert sum(float(row[4] or 0) for row in rows) == pytest.approx(1)


def test_one_slice_does_not_see_connections_outside_it() -> None:
    found = numbers("components", blobs((1, 20, 20), 1))
    assert "one voxel" in str(found["percolating_share_z"]["grain"].unreliable)
    for name, of in found.items():
        assert "there is one slice, and connections outside it are unknown" in str(of["grain"].unreliable), name
