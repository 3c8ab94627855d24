"""Which slice of the stack the viewer shows, whatever other layers are in it; no window."""

from typing import Any

import numpy as np
import pytest

from monai_app.napari.session import Session
from monai_app.stack import Stack

OTHERS: dict[str, dict[str, Any]] = {
    "none": {},
    "without a scale": {"data": np.zeros((8, 9, 9), np.uint8)},
    "coarser": {"data": np.zeros((4, 9, 9), np.uint8), "scale": (47, 10, 10)},
    "finer": {"data": np.zeros((90, 9, 9), np.uint8), "scale": (3, 10, 10), "units": ("nm",) * 3},
    "moved": {"data": np.zeros((8, 9, 9), np.uint8), "scale": (20, 10, 10), "translate": (-70, 0, 0)},
    "with time": {"data": np.zeros((5, 8, 9, 9), np.uint8), "scale": (1, 20, 10, 10)},
}


@pytest.mark.filterwarnings("ignore")  # those of napari and what it imports
@pytest.mark.parametrize("other", OTHERS)
def test_the_slice_is_the_one_that_is_shown_beside_any_other_layer(tiny_stack: Stack, other: str) -> None:
    from napari.components import ViewerModel

    from monai_app.napari.canvas import Canvas

    viewer = ViewerModel()
    canvas = Canvas(viewer, Session(tiny_stack.path))
    assert canvas.z == tiny_stack.example_slice
    canvas.go_to(3)
    if OTHERS[other]:
        viewer.add_image(**OTHERS[other])
    assert canvas.z == 3
    canvas.go_to(5)
    assert canvas.z == 5
    layer = canvas.annotation
    assert round(layer.world_to_data(viewer.dims.point)[0]) == 5
    viewer.add_image(np.zeros((8, 9, 9), np.uint8), units=("angstrom",) * 3)
    canvas.go_to(4)
    expected = 4 * tiny_stack.voxel_nm[0] * (1 if viewer.dims.units is None else 10)
    assert viewer.dims.point[-3] == pytest.approx(expected)
    assert canvas.z == 4
    viewer.dims.set_point(-3, 1e9)
    assert canvas.z <= tiny_stack.shape[0] - 1
