import numpy as np
import pytest

from monai_app.metrics import error_by_strength


def test_blocks_are_divided_by_quarters_of_the_strength() -> None:
    rng = np.random.default_rng(0)
    strength, labelled = rng.permutation(np.linspace(0, 1, 200)), rng.integers(50, 100, 200)
    wrong = rng.binomial(labelled, 0.1 + 0.4 * strength)
    rows = error_by_strength(strength, labelled, wrong)
    assert [row.blocks for row in rows] == [50] * 4
    for row in rows:
        own = (strength >= row.weakest) & (strength <= row.strongest)
        assert row.error_rate == pytest.approx(wrong[own].sum() / labelled[own].sum())
        assert row.error_rate_low < row.error_rate < row.error_rate_high
    assert [row.error_rate for row in rows] == pytest.approx([0.15, 0.25, 0.35, 0.45], abs=0.03)


def test_where_most_blocks_have_one_strength_there_are_fewer_parts() -> None:
    strength = np.array([0.0] * 8 + [1.0, 2.0])
    rows = error_by_strength(strength, np.full(10, 4), np.ones(10, int))
    assert [(row.weakest, row.strongest, row.blocks) for row in rows] == [(0, 0, 8), (1, 2, 2)]
    (row,) = error_by_strength(np.array([3.0]), np.array([4]), np.array([1]))
    assert (row.error_rate, row.blocks) == (0.25, 1)
    assert np.isnan(row.error_rate_low)


def test_intervals_of_error_rates_lie_between_0_and_1_and_are_of_four_blocks_at_least() -> None:
    (few,) = error_by_strength(np.zeros(3), np.full(3, 100), np.array([0, 10, 20]))
    assert (few.error_rate, few.blocks) == (0.1, 3)
    assert np.isnan([few.error_rate_low, few.error_rate_high]).all()
    (small,) = error_by_strength(np.zeros(4), np.full(4, 100), np.array([0, 0, 0, 4]))
    assert small.error_rate_low == 0 < small.error_rate < small.error_rate_high
    (large,) = error_by_strength(np.zeros(4), np.full(4, 100), np.array([100, 100, 100, 96]))
    assert large.error_rate_low < large.error_rate < large.error_rate_high == 1
