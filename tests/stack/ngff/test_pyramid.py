from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monai_app.stack.ngff.pyramid import halve_image, halve_labels, level_shapes, smallest_image

planes: st.SearchStrategy[npt.NDArray[Any]] = hnp.arrays(
    st.sampled_from(["uint8", "uint16"]).map(np.dtype), hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
)


@given(planes)
def test_halve_image_is_the_mean_of_blocks(plane: npt.NDArray[Any]) -> None:
    rows, columns = plane.shape
    half = halve_image(plane)
    assert half.dtype == plane.dtype
    assert half.shape == (-(-rows // 2), -(-columns // 2))
    for row in range(half.shape[0]):
        for column in range(half.shape[1]):
            block = plane[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].astype(float)
            assert half[row, column] == np.floor(block.mean() + 0.5)


@given(planes)
def test_halve_labels_takes_values_that_are_there(plane: npt.NDArray[Any]) -> None:
    half = halve_labels(plane)
    assert half.shape == halve_image(plane).shape
    assert (half == plane[np.ix_(range(0, plane.shape[0], 2), range(0, plane.shape[1], 2))]).all()


def test_the_smallest_image_is_that_of_the_last_level() -> None:
    plane = np.random.default_rng(0).integers(0, 256, (1030, 700), np.uint8)
    np.testing.assert_array_equal(smallest_image(plane), halve_image(halve_image(plane)))
    np.testing.assert_array_equal(smallest_image(plane[:512, :9]), plane[:512, :9])


@given(st.integers(1, 20000), st.integers(1, 20000))
def test_levels_end_where_a_viewer_can_show_them_whole(rows: int, columns: int) -> None:
    shapes = level_shapes(rows, columns)
    assert shapes[0] == (rows, columns)
    assert max(shapes[-1]) <= 512
    assert all(max(shape) > 512 for shape in shapes[:-1])


@pytest.mark.parametrize(
    ("size", "levels"), [((1, 1), 1), ((512, 512), 1), ((513, 1), 2), ((1024, 1024), 2), ((3868, 4062), 4)]
)
def test_number_of_levels(size: tuple[int, int], levels: int) -> None:
    assert len(level_shapes(*size)) == levels
