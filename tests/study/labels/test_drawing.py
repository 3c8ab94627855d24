"""Labels that are left of a slice."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from monai_app.study.labels.amount import read_amount
from monai_app.study.labels.drawing import Labels, draw

SHAPE = (300, 200)


@pytest.fixture(scope="module")
def labels() -> Labels:
    """Three phases with bent boundaries; the lower third is not labelled."""
    field = ndimage.gaussian_filter(np.random.default_rng(7).standard_normal(SHAPE), 10)
    found: Labels = (1 + np.digitize(field, np.quantile(field, [0.3, 0.8]))).astype(np.uint8)
    found[200:] = 0
    return found


def drawn(labels: Labels, text: str, seed: int = 0) -> Labels:
    return draw(labels, read_amount(text), np.random.default_rng(seed))


def counted(labels: npt.NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(labels))


@pytest.mark.parametrize("way", ["blocks", "scribbles"])
def test_a_part_is_of_the_slice_and_drawn_by_the_seed(labels: Labels, way: str) -> None:
    first, again, other = (drawn(labels, f"4:5%{way}", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(np.unique(first)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(first[first > 0], labels[first > 0])


@pytest.mark.parametrize("way", ["blocks", "scribbles"])
def test_who_labels_more_has_labelled_the_less(labels: Labels, way: str) -> None:
    less, more = drawn(labels, f"4:3%{way}"), drawn(labels, f"4:6%{way}")
    np.testing.assert_array_equal(more[less > 0], less[less > 0])
    assert counted(more) > 1.5 * counted(less)


def test_blocks_have_all_labels_in_them_and_their_share_of_the_labelled_area(labels: Labels) -> None:
    left = drawn(labels, "4:12%blocks")
    assert counted(left) == pytest.approx(0.12 * counted(labels), rel=0.1)
    pieces, _ = ndimage.label(left, np.ones((3, 3)))
    for rows, columns in ndimage.find_objects(pieces):
        assert min(rows.stop - rows.start, columns.stop - columns.start) >= 8  # no strokes


def test_scribbles_are_thin_and_cover_their_share(labels: Labels) -> None:
    left = drawn(labels, "4:3%scribbles")
    assert counted(left) == pytest.approx(0.03 * counted(labels), abs=2)
    inside = ndimage.distance_transform_edt(np.pad(left > 0, 1))
    assert np.quantile(inside[inside > 0], 0.98) <= 2.5  # three pixels wide, more where strokes meet
    per_phase = np.bincount(left.ravel(), minlength=4)[1:]
    assert per_phase.max() - per_phase.min() <= 2


def test_the_share_of_a_phase_without_space_goes_to_the_others(labels: Labels) -> None:
    small = labels.copy()
    small[small == 3] = 2
    small[20:32, 20:32] = 3
    left = drawn(small, "4:3%scribbles", seed=2)
    assert 0 < np.count_nonzero(left == 3) < 144
    assert counted(left) == pytest.approx(0.03 * counted(small), abs=2)
