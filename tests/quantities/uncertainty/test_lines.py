"""Pairs along lines against plain loops."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from monai_app.quantities.uncertainty.lines import LinePairs, correlations, first_below

LINES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2))


@given(LINES, st.integers(0, 9))
@settings(deadline=None)
def test_pairs_are_those_of_a_loop_however_lines_are_given(lines: npt.NDArray[np.uint8], part: int) -> None:
    pairs = LinePairs(lines.shape[1], 2)
    pairs.add(lines[:part])
    pairs.add(lines[part:])
    for lag, counted in enumerate(pairs.counts().T):
        near, far = lines[:, : lines.shape[1] - lag], lines[:, lag:]
        assert counted.tolist() == [
            np.count_nonzero((near > 0) & (far > 0)),
            *(np.count_nonzero((near == value) & (far == value)) for value in (1, 2)),
        ]


def test_the_correlation_is_one_at_no_distance_and_undefined_for_a_phase_that_is_absent() -> None:
    pairs = LinePairs(6, 3)
    pairs.add(np.array([[1, 1, 2, 1, 1, 2]], np.uint8))
    probability, correlation = correlations(pairs.counts(), np.array([2 / 3, 1 / 3, 0]))
    assert probability[:, 0].tolist() == [2 / 3, 1 / 3, 0]
    assert np.allclose(correlation[:2, [0, 3]], 1)  # it repeats after three
    assert np.isnan(correlation[2]).all()


def test_a_correlation_that_stays_above_has_no_range() -> None:
    assert first_below(np.array([1.0, 0.5, 0.2]), 0.05) is None
    assert first_below(np.full(3, np.nan), 0.05) is None
    assert first_below(np.array([1.0, 0.0]), 0.05) == 0.95


def test_a_correlation_is_interpolated_over_distances_without_pairs() -> None:
    assert first_below(np.array([1.0, np.nan, 0.0]), 0.25) == 1.5
    assert first_below(np.array([1.0, np.nan, np.nan]), 0.25) is None
