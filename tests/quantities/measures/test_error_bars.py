"""Corrected fractions of a stack with test slices, and representativity, as measures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.domain.region import Region
from monai_app.progress import silent
from monai_app.quantities import StoredLabels
from monai_app.quantities.measures import correction, representativity
from monai_app.quantities.uncertainty.segmentation import adjusted_fractions
from monai_app.stack import Phase, Stack
from tests.quantities.shapes import PHASES, SmallBlocks, numbers
from tests.quantities.uncertainty.boolean import BooleanModel

VOXEL = (20.0, 10.0, 10.0)


@pytest.fixture(scope="module")
def store(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The tiny stack with labels that differ from the annotation in a stripe, the first one of rows 8 to 95."""
    path = tmp_path_factory.mktemp("own") / "tiny.ome.zarr"
    shutil.copytree(tiny_stack.path, path)
    stack = Stack.open(path)
    plane = stack.read_annotation(stack.test_slices[0])
    plane[:8] = 1
    plane[8:40, :30] = 2
    stack.write_labels("found", [plane] * 8)
    stack.write_labels("elsewhere", [plane * (z not in stack.test_slices) for z in range(8)])
    stack.write_labels("renamed", [plane] * 8, phases=[Phase(value=n, name=f"p{n}", rgb=(n, n, n)) for n in (1, 2, 3)])
    return stack


def test_fractions_are_corrected_by_the_labels_of_the_test_slices_alone(store: Stack) -> None:
    labels = StoredLabels(store, "found")
    found = correction.measure(labels, silent)
    counts = np.zeros((3, 3), np.int64)
    for z in store.test_slices:
        true, labelled = store.read_annotation(z), store.read_labels("found", z)
        np.add.at(counts, (true[true > 0] - 1, labelled[true > 0] - 1), 1)
    assert [list(row[1:]) for row in found.tables["confusion"].rows] == counts.tolist()
    shares = labels.count().sum(0)[1:] / labels.count().sum()
    expected = adjusted_fractions(counts, shares)
    for phase, number in zip(("pore", "hydrate", "clinker"), expected, strict=True):
        quantity = found.quantities["corrected_fraction"][phase]
        assert quantity.value == pytest.approx(number, abs=0.03)  # for the prior
        assert quantity.interval is not None
        assert quantity.interval[0] < number < quantity.interval[1]


def test_what_lies_outside_the_region_or_the_mask_is_no_evidence(store: Stack, tmp_path: Path) -> None:
    region = Region.parse("0:3", "40:96", None, store.shape)
    found = correction.measure(StoredLabels(store, "found", region), silent)
    table = np.array([row[1:] for row in found.tables["confusion"].rows])
    assert np.count_nonzero(table - np.diag(np.diag(table))) == 0
    mask = np.zeros(store.shape[1:], np.uint8)
    mask[:40] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    masked = correction.measure(StoredLabels(store, "found", None, str(tmp_path / "mask.tif")), silent)
    assert np.array([row[1:] for row in masked.tables["confusion"].rows]).sum() == 32 * 80


@pytest.mark.parametrize(
    ("name", "region", "reason"),
    [
        ("renamed", None, "the phases of the labels differ"),
        ("found", ":8", "no annotated pixel in the measured region"),
        ("elsewhere", None, "no labels on the test slices"),
    ],
)
def test_labels_that_cannot_be_compared_are_not_corrected(
    store: Stack, name: str, region: str | None, reason: str
) -> None:
    part = Region.parse(None, region, None, store.shape)
    found = correction.measure(StoredLabels(store, name, part), silent).quantities["corrected_fraction"]
    assert {each.value for each in found.values()} == {None}
    assert all(reason in str(each.unreliable) for each in found.values())


def test_without_test_slices_nothing_is_corrected() -> None:
    found = numbers("correction", np.ones((2, 4, 4), np.uint8))["corrected_fraction"]["matrix"]
    assert found.value is None
    assert "no test slice to show how often labels are wrong" in str(found.unreliable)


def test_representativity_is_that_of_the_voxels_in_any_slabs() -> None:
    voxels = BooleanModel(30, 0.4, VOXEL).draw((12, 48, 48), 0)
    one, other = (representativity.measure(SmallBlocks(voxels, VOXEL, most), silent) for most in (10**6, 3000))
    assert one.quantities == other.quantities
    fraction = one.quantities["material_fraction"]["matrix"]
    assert fraction.value == pytest.approx(np.mean(voxels == 1))
    assert fraction.interval is not None
    assert fraction.interval[0] < 0.4 < fraction.interval[1]
    assert one.settings["cell_nm"] == (20.0, 20.0, 20.0)
    volume = voxels.size * np.prod(VOXEL) / 1e9
    seen = one.quantities["independent_observations"]["matrix"].value
    assert one.quantities["integral_range"]["matrix"].value == pytest.approx(volume / float(seen or 0))


def test_of_one_slice_the_integral_range_is_marked_as_a_volume_that_nobody_saw() -> None:
    voxels = BooleanModel(30, 0.4, VOXEL).draw((2, 120, 120), 0)
    two, one = (numbers("representativity", voxels[:slices], VOXEL)["integral_range"]["matrix"] for slices in (2, 1))
    assert two.unreliable is None
    assert one.value is not None
    assert "the structure along z is unknown" in str(one.unreliable)


def test_missing_slices_and_tiny_volumes_are_marked() -> None:
    labels = SmallBlocks(BooleanModel(30, 0.4, VOXEL).draw((12, 48, 48), 0), VOXEL, 10**6)
    labels.planes = (*range(6), None, *range(6, 11))
    found = representativity.measure(labels, silent).quantities["material_fraction"]
    assert "slices are missing" in str(found["matrix"].unreliable)
    tiny = numbers("representativity", np.array([[[1, 2]]], np.uint8))
    reason = str(tiny["material_fraction"][PHASES[0].name].unreliable)
    assert reason.startswith("the volume is 2 cells of 0.01 um, which is too few")
    assert "more than 4 full ones are needed" in reason
    assert tiny["independent_observations"]["matrix"].value is None
