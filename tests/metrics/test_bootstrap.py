"""Intervals by a block bootstrap, of blocks whose distribution is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monai_app.metrics.blocks import confusion_blocks
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


def test_blocks_count_labelled_and_predicted_pixels() -> None:
    true, predicted = np.array([[1, 2, 0], [1, 1, 2], [2, 2, 1]]), np.array([[1, 1, 1], [1, 0, 2], [2, 1, 1]])
    blocks = confusion_blocks(true, predicted, 2, 2)
    assert blocks.places.tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    assert blocks.counts.tolist() == [[[2, 0], [1, 0]], [[0, 0], [0, 1]], [[0, 0], [1, 1]], [[1, 0], [0, 0]]]
