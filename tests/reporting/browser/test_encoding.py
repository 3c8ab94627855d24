import io
import zlib
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from monai_app.reporting.browser.encoding import Bytes, Window, jpeg, packed, picture_shape, thin_grey, thin_labels


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)), st.integers(1, 20))
def test_thinned_labels_are_pixels_of_the_slice_and_come_back(labels: Bytes, side: int) -> None:
    shape = picture_shape(labels.shape[0], labels.shape[1], side)
    thinned = thin_labels(labels, shape)
    assert max(thinned.shape) <= side
    for (row, column), value in np.ndenumerate(thinned):
        assert (
            value
            == labels[
                (2 * row + 1) * labels.shape[0] // (2 * shape[0]), (2 * column + 1) * labels.shape[1] // (2 * shape[1])
            ]
        )
    assert zlib.decompress(b64decode(packed(thinned))) == thinned.tobytes()


def test_thinned_images_are_means() -> None:
    plane = np.arange(48, dtype=np.uint8).reshape(6, 8)
    means = plane.reshape(3, 2, 4, 2).mean((1, 3))
    assert np.abs(thin_grey(plane, (3, 4)) - means).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_window_is_that_of_all_planes_together(dtype: type[np.integer]) -> None:
    planes = np.random.default_rng(0).integers(20, 230, (3, 50, 60)).astype(dtype)
    window = Window.of(planes)
    low, high = np.percentile(planes, (0.5, 99.5), method="inverted_cdf")
    assert (window.low, window.high) == (low, high)


def test_a_plane_of_one_value_has_a_window() -> None:
    plane = np.full((4, 4), 65535, np.uint16)
    assert Window.of([plane]).apply(plane).tolist() == [[0] * 4] * 4


def test_pictures_are_grey_jpegs() -> None:
    plane = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (40, 1))
    image = Image.open(io.BytesIO(b64decode(jpeg(plane, 90))))
    assert (image.format, image.mode) == ("JPEG", "L")
    assert np.abs(np.asarray(image).astype(int) - plane).mean() < 2
