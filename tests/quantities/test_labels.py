"""Label images block by block: region, mask, gaps, and what is replaced meanwhile."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from monai_app.domain.region import Region, Span
from monai_app.errors import ConfigError, StackError
from monai_app.quantities import ArrayLabels, StoredLabels
from monai_app.stack import Stack
from tests.quantities.shapes import PHASES

SHAPE = (8, 96, 80)
LABELS = np.random.default_rng(0).integers(0, 4, SHAPE, np.uint8)
PART = Region(Span(2, 7), Span(10, 60), Span(5, 80))


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    stack = Stack.open(tmp_path / "own.ome.zarr")
    stack.write_labels("found", iter(LABELS), attributes={"run": "unet"})
    return stack


def test_a_region_is_read_block_by_block(stack: Stack) -> None:
    labels = StoredLabels(stack, "found", PART)
    assert labels.shape == (5, 50, 75)
    assert labels.planes == (2, 3, 4, 5, 6)
    assert labels.voxel_um == (0.02, 0.01, 0.01)
    block = Region(Span(1, 4), Span(3, 20), Span(0, 9))
    np.testing.assert_array_equal(labels.read(block), LABELS[PART.index][block.index])
    slabs = list(labels.slabs(voxels=2 * 50 * 75 + 1))
    assert [len(block.z) for block, _ in slabs] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([voxels for _, voxels in slabs]), LABELS[PART.index])


def test_voxels_are_counted_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = StoredLabels(stack, "found", PART)
    expected = [np.bincount(plane.ravel(), minlength=4) for plane in LABELS[PART.index]]
    np.testing.assert_array_equal(labels.count(), expected)
    monkeypatch.setattr(labels, "read", None)
    np.testing.assert_array_equal(labels.count(), expected)


def test_what_a_mask_leaves_out_is_not_segmented(stack: Stack, tmp_path: Path) -> None:
    kept = np.random.default_rng(1).random(SHAPE[1:]) < 0.5
    tifffile.imwrite(tmp_path / "mask.tif", kept.astype(np.uint8) * 255)
    labels = StoredLabels(stack, "found", PART, str(tmp_path / "mask.tif"))
    whole = labels.read(Region.whole(labels.shape))
    np.testing.assert_array_equal(whole, np.where(kept, LABELS, 0)[PART.index])


def test_slices_lie_as_far_apart_as_their_numbers_say_at_gaps(stack: Stack) -> None:
    stack.slice_numbers = (10, 20, 50, 60, 70, 90, 100, 110)
    stack.gaps = (2,)  # the step from 70 to 90 was said to mean nothing
    labels = StoredLabels(stack, "found", PART)
    assert [labels.depth_um(z) for z in range(8)] == pytest.approx([0, 0.02, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18])


def test_series_are_the_planes_between_gaps() -> None:
    labels = ArrayLabels(LABELS, (1.0, 2.0, 3.0), PHASES)
    assert labels.series == [Span(0, 8)]
    labels.planes = (0, 1, None, 2, None, 3, 4, 5)
    assert labels.series == [Span(0, 2), Span(3, 4), Span(5, 8)]


def test_phases_with_other_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"phase values \[1, 3\] are not 1..2"):
        ArrayLabels(LABELS, (1.0, 2.0, 3.0), (PHASES[0], PHASES[2]))


def test_a_gap_is_a_plane_of_which_nothing_is_known(stack: Stack) -> None:
    stack.gaps = (2, 5)  # before the region's first slice nothing is measured
    labels = StoredLabels(stack, "found", PART)
    assert labels.planes == (2, 3, 4, None, 5, 6)
    assert labels.has_gaps
    whole = labels.read(Region.whole(labels.shape))
    np.testing.assert_array_equal(whole[[0, 1, 2, 4, 5]], LABELS[PART.index])
    assert not whole[3].any()


@pytest.mark.parametrize("change", ["labels", "stack", "mask"])
def test_what_is_replaced_while_it_is_read_is_noticed(stack: Stack, change: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.ones(SHAPE[1:], np.uint8))
    labels = StoredLabels(stack, "found", mask=str(tmp_path / "mask.tif"))
    labels.check()
    if change == "labels":
        stack.write_labels("found", iter(LABELS), attributes={"run": "another"}, overwrite=True)
    elif change == "mask":
        tifffile.imwrite(tmp_path / "mask.tif", np.full(SHAPE[1:], 2, np.uint8))
    else:
        (stack.path / "zarr.json").unlink()
    with pytest.raises((StackError, ConfigError)):
        labels.check()


def test_labels_that_are_not_there_are_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"no finished label image 'other'; its label images: found$"):
        StoredLabels(stack, "other")
    with pytest.raises(ConfigError, match="region z 3:9"):
        StoredLabels(stack, "found", Region(Span(3, 9), Span(0, 9), Span(0, 9)))
    stack.write_labels("nameless", iter(LABELS), phases=())
    with pytest.raises(StackError, match="no phases"):
        StoredLabels(stack, "nameless")


def test_an_array_is_read_as_it_is() -> None:
    labels = ArrayLabels(LABELS, (1.0, 2.0, 3.0), PHASES)
    assert (labels.shape, labels.size, labels.has_gaps, labels.stack) == (SHAPE, 4, False, None)
    np.testing.assert_array_equal(labels.read(PART), LABELS[PART.index])


@pytest.mark.parametrize("wrong", [np.full((2, 3, 4), 4, np.uint8), np.ones((2, 3, 4), np.int64)])
def test_an_array_of_other_values_is_refused(wrong: npt.NDArray[Any]) -> None:
    with pytest.raises(StackError, match="must be uint8, 0 or a phase up to 3"):
        ArrayLabels(wrong, (1.0, 2.0, 3.0), PHASES)
