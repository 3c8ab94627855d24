"""Pixels moved to where they belong, compared with what another library makes of them."""

import numpy as np
import pytest
import SimpleITK

from monai_app.domain.region import Rect, Span
from monai_app.stack.alignment.placing import Placement
from tests.stack.alignment.drifting import texture

PLANE = texture(1, 60, 90)[0]
SHAPE = (60, 90)
WHOLE = Rect.whole((1, *SHAPE))


def placement(*numbers: float) -> Placement:
    return Placement(np.array(numbers), SHAPE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_moves_of_whole_pixels_copy_them_and_repeat_the_edge(dtype: type[np.integer]) -> None:
    plane = PLANE.astype(dtype) * (257 if dtype is np.uint16 else 1)
    found = placement(3.02, -7.0).pixels(plane)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[:-3, 7:], plane[3:, :-7])
    np.testing.assert_array_equal(found[-3:, 7:], np.repeat(plane[-1:, :-7], 3, axis=0))
    np.testing.assert_array_equal(found[:-3, :7], np.repeat(plane[3:, :1], 7, axis=1))


TRANSFORMS = {
    "translation": (2.5, -3.25),
    "rigid": (1.0, -2.0, 0.05),
    "affine": (0.5, 1.5, 0.02, -0.03, 0.04, -0.01),
}


def of_itk(numbers: tuple[float, ...]) -> SimpleITK.AffineTransform:
    """The transform in ITK's axes: x before y."""
    turn = numbers[2] if len(numbers) == 3 else 0.0
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if len(numbers) == 6:
        linear = linear + np.reshape(numbers[2:], (2, 2))
    transform = SimpleITK.AffineTransform(2)
    transform.SetMatrix(linear[::-1, ::-1].ravel().tolist())
    transform.SetTranslation([numbers[1], numbers[0]])
    transform.SetCenter([(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2])
    return transform


@pytest.mark.parametrize("numbers", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_labels_and_outside_are_those_of_another_library(
    numbers: tuple[float, ...], dtype: type[np.integer]
) -> None:
    plane, labels = PLANE.astype(dtype), (PLANE // 100 + 1).astype(np.uint8)
    found = Placement(np.array(numbers), SHAPE)
    transform = of_itk(numbers)

    def resampled(pixels: np.ndarray, how: int) -> np.ndarray:
        image = SimpleITK.GetImageFromArray(pixels)
        return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, image, transform, how, 0.0))

    inside = found.inside(WHOLE)
    ones = resampled(np.ones(SHAPE, np.float32), SimpleITK.sitkLinear)
    assert (inside == (ones > 0)).mean() > 0.97  # ITK's pictures reach half a pixel farther
    assert not inside.all()
    middle = np.zeros(SHAPE, np.bool_)
    middle[12:-12, 12:-12] = True  # at the edges the splines of the two differ
    limits = np.iinfo(dtype)
    expected = resampled(plane.astype(np.float64), SimpleITK.sitkBSpline).clip(limits.min, limits.max)
    moved = found.pixels(plane)
    assert moved.dtype == dtype
    assert np.abs(moved - expected)[middle].max() < 1
    near = resampled(labels, SimpleITK.sitkNearestNeighbor)
    assert (found.labels(labels) == near)[middle].mean() > 0.995  # a place half-way between two pixels
    assert set(np.unique(found.labels(labels))) <= {0, 1, 2, 3}
    assert not found.labels(labels)[~inside].any()
    assert moved[~inside].any()  # the nearest pixels, not 0


def test_values_stay_within_the_type() -> None:
    plane = np.tile(np.array([[0, 0, 255, 255]], np.uint8), (60, 23))[:, :90]
    found = placement(0.0, 0.5).pixels(plane)
    assert (found.min(), found.max()) == (0, 255)


def test_inside_of_a_part_is_the_part_of_the_inside() -> None:
    for numbers in TRANSFORMS.values():
        found, part = Placement(np.array(numbers), SHAPE), Rect(Span(40, 60), Span(0, 33))
        np.testing.assert_array_equal(found.inside(part), found.inside(WHOLE)[part.index])
    assert placement(2.5, -3.25).inside(WHOLE).sum() == (60 - 3) * (90 - 4)
    assert placement(0.0, 0.0).inside(WHOLE).all()
    assert not placement(70.0, 0.0).inside(WHOLE).any()
