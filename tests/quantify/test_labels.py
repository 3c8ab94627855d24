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
from monai_app.quantify import ArrayLabels, StoredLabels
from monai_app.stack import Stack
from tests.quantify.shapes import PHASES

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
    with pytest.raises(StackError, match="no finished label image 'other'"):
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
