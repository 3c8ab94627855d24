"""Pixel counts of blocks and intervals from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.metrics import confusion_matrix

from monai_app.metrics import block_interval, block_side, confusion_blocks, count_pixels, score, score_intervals

NAMES = ["pore", "hydrate", "clinker"]


def accuracy(drawn: np.ndarray) -> np.ndarray:
    return np.asarray(drawn.trace(axis1=1, axis2=2) / drawn.sum(axis=(1, 2)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_blocks_count_their_own_pixels(seed: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 4, (2, 9, 11), np.uint8)
    blocks = confusion_blocks(true, predicted, 3, side)
    for (row, column), counts in zip(blocks.places, blocks.counts, strict=True):
        of_true, of_predicted = (each[row : row + side, column : column + side].ravel() for each in (true, predicted))
        both = (of_true > 0) & (of_predicted > 0)
        wanted = confusion_matrix(of_true[both], of_predicted[both], labels=[1, 2, 3])
        np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_array_equal(blocks.counts.sum(axis=0), count_pixels(true * (predicted > 0), predicted, 3))


def test_blocks_without_labelled_pixels_are_left_out() -> None:
    true = np.zeros((8, 8), np.uint8)
    true[:4, 4:] = 2
    blocks = confusion_blocks(true, np.full((8, 8), 2, np.uint8), 3, 4)
    assert blocks.places.tolist() == [[0, 4]]
    assert len(confusion_blocks(np.zeros((8, 8), np.uint8), true, 3, 4).counts) == 0


def test_a_slice_is_divided_into_about_so_many_blocks() -> None:
    for shape in ((400, 500), (3868, 4062), (100, 900), (7, 3)):
        side = block_side(shape)
        assert 6 <= np.prod([-(-length // side) for length in shape]) <= 12


def test_a_width_is_as_long_as_the_blocks_that_vary_make_it() -> None:
    """Independent blocks: the interval is that of the mean of as many draws."""
    rng = np.random.default_rng(0)
    rates = rng.random(100)
    counts = np.zeros((100, 2, 2), np.int64)
    counts[:, 0, 0] = np.round(1000 * rates)
    counts[:, 0, 1] = 1000 - counts[:, 0, 0]
    interval = block_interval(counts, accuracy)
    assert interval.low < rates.mean() < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * rates.std() / 10, rel=0.15)
    narrower = block_interval(counts, accuracy, level=0.5)
    assert interval.low < narrower.low < narrower.high < interval.high
    assert block_interval(counts, accuracy) == interval  # seeded


def test_a_bootstrap_of_single_pixels_would_be_too_narrow() -> None:
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.standard_normal((240, 240)), 8)
    true = np.ones((240, 240), np.uint8)
    predicted = np.where(field > np.quantile(field, 0.8), 2, 1).astype(np.uint8)
    widths = []
    for side in (3, block_side(true.shape)):
        interval = block_interval(confusion_blocks(true, predicted, 2, side).counts, accuracy)
        widths.append(interval.high - interval.low)
    assert widths[1] > 2 * widths[0]


def test_one_block_says_nothing_of_how_blocks_differ() -> None:
    interval = block_interval(np.full((1, 2, 2), 5), accuracy)
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.blocks == 1


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
