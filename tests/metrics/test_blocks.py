"""Pixel counts of blocks and intervals from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from monai_app.metrics import confusion_blocks, count_pixels, score, score_intervals, shared_blocks
from monai_app.metrics.blocks import block_shape

NAMES = ["pore", "hydrate", "clinker"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_blocks_count_their_own_pixels(seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 4, (2, 9, 11), np.uint8)
    blocks, (high, wide) = confusion_blocks(true, predicted, 3, number), block_shape((9, 11), number)
    for (row, column), counts in zip(blocks.places, blocks.counts, strict=True):
        of_true, of_predicted = (each[row : row + high, column : column + wide].ravel() for each in (true, predicted))
        both = (of_true > 0) & (of_predicted > 0)
        wanted = confusion_matrix(of_true[both], of_predicted[both], labels=[1, 2, 3])
        np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_array_equal(blocks.counts.sum(axis=0), count_pixels(true * (predicted > 0), predicted, 3))


def test_blocks_without_labelled_pixels_are_left_out() -> None:
    true = np.zeros((8, 8), np.uint8)
    true[:4, 4:] = 2
    blocks = confusion_blocks(true, np.full((8, 8), 2, np.uint8), 3, 4)
    assert (blocks.side, blocks.places.tolist()) == (4, [[0, 4]])
    assert len(confusion_blocks(np.zeros((8, 8), np.uint8), true, 3, 4).counts) == 0


@pytest.mark.parametrize(
    ("shape", "down", "across"),
    [
        ((256, 256), 3, 3),
        ((3868, 4062), 3, 3),
        ((2050, 2048), 3, 3),
        ((1536, 1024), 3, 3),
        ((1024, 2048), 2, 4),
        ((2048, 64), 9, 1),
        ((64, 2048), 1, 9),
    ],
)
def test_a_slice_is_divided_evenly_into_about_nine_blocks(shape: tuple[int, int], down: int, across: int) -> None:
    plane = np.ones(shape, np.uint8)
    blocks = confusion_blocks(plane, plane, 1)
    pixels = blocks.counts.ravel()
    assert len(pixels) == down * across
    assert len(np.unique(blocks.places[:, 0])) == down
    assert pixels.min() > 0.95 * pixels.max()
    assert block_shape(shape[::-1]) == block_shape(shape)[::-1]


def test_a_square_slice_has_the_blocks_that_intervals_were_tried_with() -> None:
    assert [block_shape((256, 256), number) for number in (4, 9, 16, 36)] == [(n, n) for n in (128, 86, 64, 43)]


def test_slices_that_are_nearer_than_a_block_is_long_share_blocks() -> None:
    """Blocks have 4 pixels: slices at 0 and 3.9 lie in one, that at 4 begins the next, in which 7.9 lies too."""
    plane = np.ones((12, 12), np.uint8)
    plane[:4, :4] = 0
    blocks = confusion_blocks(plane, plane, 2)
    assert (blocks.side, len(blocks.counts)) == (4, 8)
    shared = shared_blocks([(z, blocks) for z in (0, 3.9, 4, 7.9, 20)], 2)
    assert sorted(shared[:, 0, 0].tolist()) == 8 * [16] + 16 * [32]
    assert shared_blocks([], 2).shape == (0, 2, 2)


def test_the_scores_lie_in_their_intervals_and_an_absent_phase_has_none() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((30, 3, 3), np.int64)
    counts[:, :2, :2] = rng.integers(1, 50, (30, 2, 2)) + 40 * np.eye(2, dtype=int)
    scores, intervals = score(counts.sum(axis=0), NAMES), score_intervals(counts, NAMES)
    assert (intervals["blocks"], intervals["reliable"]) == (30, True)
    for row, ends in zip(scores.phases[:2], intervals["phases"], strict=False):
        assert ends["iou_low"] < row.iou < ends["iou_high"]
        difference = row.fraction_predicted - row.fraction_true
        assert ends["fraction_difference_low"] < difference < ends["fraction_difference_high"]
    assert np.isnan(intervals["phases"][2]["iou_low"])
    assert intervals["mean"]["iou_low"] < scores.mean_iou < intervals["mean"]["iou_high"]
    assert intervals["mean"]["pixel_accuracy_low"] < scores.pixel_accuracy < intervals["mean"]["pixel_accuracy_high"]
    assert not score_intervals(counts[:3], NAMES)["reliable"]
    counts[3:, 1], counts[3:, :, 1] = 0, 0
    rows = score_intervals(counts, NAMES)["phases"]
    assert [(row["blocks"], row["reliable"]) for row in rows] == [(30, True), (3, False), (0, False)]


def test_intervals_of_scores_near_the_best_end_at_it() -> None:
    counts = np.stack([np.diag([200, 200])] * 9)
    counts[0, 0] = 100, 100
    intervals = score_intervals(counts, NAMES[:2])
    found = [intervals["mean"]["iou_high"], intervals["mean"]["pixel_accuracy_high"]]
    assert [*found, *(row["iou_high"] for row in intervals["phases"])] == [1.0] * 4
