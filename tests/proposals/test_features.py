"""Features of pixels: the same in tiles as of the whole slice, of every detector and slice."""

import os
import time

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from skimage.feature import hessian_matrix_eigvals

from monai_app.domain.region import Rect, Span
from monai_app.proposals.features import computed, pixel_features, tiles_of

SHAPE = (90, 110)
DETECTORS = 2
OF_NEIGHBOUR, OF_SLICE = 2, 16
"""Features of a detector."""

Slab = npt.NDArray[np.uint16]


@pytest.fixture(scope="module")
def slab() -> Slab:
    return np.random.default_rng(0).integers(0, 65536, (3 * DETECTORS, *SHAPE), np.uint16)


@pytest.mark.parametrize(
    "rect",
    [
        Rect(Span(0, 37), Span(0, 41)),
        Rect(Span(40, 41), Span(50, 51)),
        Rect(Span(37, 90), Span(41, 110)),
        Rect(Span(0, 90), Span(60, 90)),
    ],
)
def test_pixels_of_a_tile_have_the_features_that_they_have_in_the_whole_slice(slab: Slab, rect: Rect) -> None:
    whole = pixel_features(slab, Rect.whole(SHAPE))
    assert whole.dtype == np.float32
    assert whole.shape == (*SHAPE, 2 * DETECTORS * OF_NEIGHBOUR + DETECTORS * OF_SLICE)
    np.testing.assert_array_equal(pixel_features(slab, rect), whole[rect.index])


def test_every_plane_of_the_slab_has_features_of_its_own(slab: Slab) -> None:
    before = pixel_features(slab, Rect.whole(SHAPE))
    ends = np.cumsum([OF_NEIGHBOUR] * DETECTORS + [OF_SLICE] * DETECTORS + [OF_NEIGHBOUR] * DETECTORS)
    for plane, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        other = slab.copy()
        other[plane] = other[plane][::-1]
        changed = (pixel_features(other, Rect.whole(SHAPE)) != before).any(axis=(0, 1))
        assert np.flatnonzero(changed).tolist() == list(range(start, end))


def test_greys_edges_and_ridges_are_those_of_scipy_and_scikit_image(slab: Slab) -> None:
    plane = slab[2].astype(np.float32)
    found = pixel_features(slab, Rect.whole(SHAPE))[..., 4:8]
    smooth = ndimage.gaussian_filter(plane, 1.0, mode="nearest")
    down, across = np.gradient(smooth)
    second = [np.gradient(down, axis=0), np.gradient(down, axis=1), np.gradient(across, axis=1)]
    expected = [smooth, np.hypot(down, across), *hessian_matrix_eigvals(second)]
    inner = (slice(2, -2), slice(2, -2))  # what lies beyond the border is nobody's to know
    np.testing.assert_allclose(found[inner], np.stack(expected, axis=-1)[inner], rtol=1e-4, atol=1e-4 * plane.max())


def test_slices_may_be_lines() -> None:
    assert np.isfinite(pixel_features(np.ones((6, 1, 40), np.uint8), Rect.whole((1, 40)))).all()


def test_tiles_cover_a_slice_once_and_come_in_their_order() -> None:
    tiles = tiles_of((300, 257))
    counts = np.zeros((300, 257), int)
    for tile, found in computed(lambda tile: tile, tiles):
        assert tile == found
        counts[tile.index] += 1
    assert (counts == 1).all()
    assert len(tiles) == 4


def test_tiles_that_wait_to_be_taken_are_no_more_than_the_cores() -> None:
    begun: list[Rect] = []
    tiles = tiles_of((256, 256 * (len(os.sched_getaffinity(0)) + 9)))
    for taken, _ in enumerate(computed(begun.append, tiles), 1):
        time.sleep(0.01)
        assert len(begun) <= taken + len(os.sched_getaffinity(0))
    assert len(begun) == len(tiles)
