"""How alike two images are, and how far apart."""

import numpy as np
import pytest
import skimage.metrics
from scipy.ndimage import gaussian_filter, shift

from monai_app.inspection.measuring.comparison import compare, edges_of, mutual_information, spectrum_of


def image(seed: int = 0, rows: int = 120, columns: int = 151) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(rows, columns)), 3)
    scaled: np.ndarray = (field / field.std()).astype(np.float32)
    return scaled


@pytest.mark.parametrize(("down", "along"), [(0, 0), (3, -7), (-2.5, 4.25), (0.5, 0)])
def test_a_shift_comes_back(down: float, along: float) -> None:
    first = image()
    second = shift(first, (down, along), mode="wrap")
    found = compare(spectrum_of(first), spectrum_of(second), first.shape[1])
    np.testing.assert_allclose(found.move, (down, along), atol=0.25)
    assert found.height > 0.8


def test_equal_images_correlate_fully_whatever_their_brightness_and_others_do_not() -> None:
    first = spectrum_of(image())
    columns = image().shape[1]
    assert compare(first, spectrum_of(50 + 7 * image()), columns).height == pytest.approx(1, abs=1e-3)
    assert compare(first, spectrum_of(image(1)), columns).height < 0.4


def test_edges_fit_where_contrast_is_opposite() -> None:
    first = np.sign(image())
    second = shift(-2 * first, (4, -3), mode="wrap")
    found = compare(spectrum_of(edges_of(first)), spectrum_of(edges_of(second)), first.shape[1])
    np.testing.assert_allclose(found.move, (4, -3), atol=0.3)


def test_vertical_streaks_neither_join_nor_hold_images() -> None:
    rng = np.random.default_rng(0)
    streaks = np.repeat(rng.normal(size=(1, 151)), 120, axis=0).astype(np.float32)
    first, second = image() + streaks, shift(image(), (5, 4), mode="wrap") + streaks
    np.testing.assert_allclose(compare(spectrum_of(first), spectrum_of(second), 151).move, (5, 4), atol=0.5)
    assert compare(spectrum_of(first), spectrum_of(image(1) + streaks), 151).height < 0.4


def test_mutual_information_ranks_as_that_of_scikit_image() -> None:
    first = image()
    rng = np.random.default_rng(0)
    others = [first, -first, np.abs(first), first + rng.normal(size=first.shape).astype(np.float32), image(1)]
    ours = [mutual_information(first, other) for other in others]
    theirs = [skimage.metrics.normalized_mutual_information(first, other) for other in others]
    assert ours[:2] == pytest.approx([1, 1], abs=1e-6)
    assert list(np.argsort(ours[2:])) == list(np.argsort(theirs[2:]))
    assert ours[-1] < 0.1


def test_an_image_of_one_value_is_like_none() -> None:
    flat = np.full((64, 64), 5, np.float32)
    other = image(0, 64, 64)
    assert compare(spectrum_of(flat), spectrum_of(other), 64).height == pytest.approx(0, abs=1e-3)
    assert mutual_information(flat, other) == pytest.approx(0, abs=1e-6)
