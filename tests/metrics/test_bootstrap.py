"""Intervals by a block bootstrap, of blocks whose distribution is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from monai_app.metrics.blocks import BLOCKS, confusion_blocks
from monai_app.metrics.bootstrap import block_interval


def accuracy(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(counts.trace(axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1)))


def blocks_of(rates: np.ndarray) -> np.ndarray:
    """Blocks of 1000 pixels with these shares of right ones."""
    right = np.round(1000 * rates).astype(np.int64)
    return np.stack([np.stack([right, 1000 - right], -1), np.zeros((len(right), 2), np.int64)], 1)


def test_few_blocks_hold_the_mean_in_95_of_100_cases_which_percentiles_do_not() -> None:
    rng = np.random.default_rng(0)
    held, by_percentiles = [], []
    for case in range(300):
        counts = blocks_of(rng.beta(8, 2, 9))
        interval = block_interval(counts, accuracy, seed=case, bounds=(0, 1))
        held.append(interval.low <= 0.8 <= interval.high)
        drawn = counts[rng.integers(9, size=(300, 9))].sum(axis=1)
        low, high = np.quantile(accuracy(drawn), [0.025, 0.975])
        by_percentiles.append(low <= 0.8 <= high)
    assert 0.93 <= np.mean(held) <= 0.97
    assert np.mean(by_percentiles) < 0.92


@given(arrays(np.int64, (6, 2, 2), elements=st.integers(0, 50)), st.floats(0.5, 0.99))
@settings(deadline=None)
def test_an_interval_holds_the_estimate_within_its_bounds(counts: np.ndarray, level: float) -> None:
    interval, estimate = block_interval(counts, accuracy, level=level, bounds=(0, 1)), accuracy(counts.sum(axis=0))
    if np.isnan(estimate):
        assert np.isnan([interval.low, interval.high]).all()
    else:
        assert 0 <= interval.low <= estimate <= interval.high <= 1


def test_equal_blocks_leave_no_doubt_and_one_block_says_nothing() -> None:
    counts = np.stack([np.array([[7, 1], [2, 10]])] * 5)
    interval = block_interval(counts, accuracy)
    assert interval[:2] == pytest.approx((0.85, 0.85))
    assert interval.blocks == 5
    assert np.isnan(block_interval(counts[:1], accuracy).low)


def test_a_width_is_as_long_as_the_blocks_that_vary_make_it() -> None:
    """Independent blocks: the interval is that of the mean of as many draws."""
    rates = np.random.default_rng(0).random(100)
    counts = blocks_of(rates)
    interval, narrower = block_interval(counts, accuracy), block_interval(counts, accuracy, level=0.5)
    assert interval.low < narrower.low < rates.mean() < narrower.high < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * rates.std() / 10, rel=0.15)
    assert block_interval(counts, accuracy) == interval  # seeded


def test_a_bootstrap_of_single_pixels_would_be_too_narrow() -> None:
    field = gaussian_filter(np.random.default_rng(0).standard_normal((240, 240)), 8)
    true = np.ones((240, 240), np.uint8)
    predicted = np.where(field > np.quantile(field, 0.8), 2, 1).astype(np.uint8)
    found = [block_interval(confusion_blocks(true, predicted, 2, number).counts, accuracy) for number in (6400, BLOCKS)]
    assert found[1].high - found[1].low > 2 * (found[0].high - found[0].low)
