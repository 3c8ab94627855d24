"""Scores of boundaries, against definitions written out and MONAI's metrics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import binary_erosion, gaussian_filter

from monai_app.metrics import boundary_overlap, surface_distances

PIXEL = (10.0, 7.0)


def blobs(seed: int, phases: int = 3, side: int = 64) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 5)
    return np.asarray(1 + np.digitize(field, np.quantile(field, np.linspace(0, 1, phases + 1)[1:-1])), np.uint8)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4]))
@settings(deadline=None, max_examples=25)
def test_bands_are_what_erosion_takes_off(seed: int, width: int) -> None:
    """As in the code of the paper: a band is the mask without its erosion, here without the slice's edges."""
    true, predicted = blobs(seed), blobs(seed + 1)
    found = boundary_overlap(true, predicted, 3, width)
    square = np.ones((3, 3))
    for value in (1, 2, 3):
        one, other = (
            (labels == value) & ~binary_erosion(labels == value, square, width, border_value=1)
            for labels in (true, predicted)
        )
        assert (found.intersection[value - 1], found.union[value - 1]) == ((one & other).sum(), (one | other).sum())


def test_unlabelled_pixels_are_in_no_band_and_make_no_boundary() -> None:
    true = np.ones((9, 9), np.uint8)
    true[:, 6:] = 0
    predicted = np.ones_like(true)
    predicted[:, 6:] = 2  # where nobody can say whether that is right
    for width in (1, 4):
        assert [each.tolist() for each in boundary_overlap(true, predicted, 2, width)] == [[0, 0], [0, 0]]
    assert np.isnan([each.mean for each in surface_distances(true, predicted, 2, PIXEL)]).all()


def test_a_boundary_that_is_met_exactly_has_all_of_its_band() -> None:
    overlap = boundary_overlap(blobs(0), blobs(0), 3, 2)
    np.testing.assert_array_equal(overlap.intersection, overlap.union)
    assert (overlap.union > 0).all()


def framed(labels: np.ndarray) -> np.ndarray:
    """Only blobs inside, so that MONAI, to which the image's edge is a surface too, sees the same surfaces."""
    inside = np.zeros_like(labels)
    inside[3:-3, 3:-3] = labels[3:-3, 3:-3] == 1
    return np.where(inside > 0, 1, 2).astype(np.uint8)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_surface_distances_are_monais(seed: int) -> None:
    true, predicted = framed(blobs(seed)), framed(blobs(seed + 1))
    found = surface_distances(true, predicted, 2, PIXEL)[0]
    one, other = (torch.from_numpy((labels == 1)[None, None].astype(np.float32)) for labels in (true, predicted))
    mean = compute_average_surface_distance(other, one, include_background=True, symmetric=True, spacing=PIXEL)
    farthest = compute_hausdorff_distance(other, one, include_background=True, percentile=95, spacing=PIXEL)
    assert found.mean == pytest.approx(float(mean), rel=1e-5)
    assert found.hausdorff95 == pytest.approx(float(farthest), rel=1e-5)


def test_a_shifted_edge_lies_as_far_off_as_it_was_shifted() -> None:
    true = np.ones((20, 30), np.uint8)
    predicted = true.copy()
    true[:, 15:], predicted[:, 18:] = 2, 2
    for distance in surface_distances(true, predicted, 3, PIXEL)[:2]:
        assert distance == pytest.approx((21.0, 21.0, 40))


def test_a_phase_that_is_absent_on_one_side_has_no_distance() -> None:
    true, predicted = np.ones((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    true[2:4, 2:4] = 2
    for distance in surface_distances(true, predicted, 2, PIXEL):
        assert np.isnan(distance[:2]).all()
        assert distance.pixels > 0
