"""How one picture lies against another."""

import numpy as np
import pytest
import SimpleITK

from monai_app.stack.alignment.features import DETECTORS, SLICES
from monai_app.stack.alignment.matching import Picture, match, roughly
from monai_app.stack.alignment.motion import KINDS, Kind, fit, lengths, matrix
from tests.stack.alignment.drifting import curtains, moved, texture

PLANE = texture(1, 256, 320)[0]


@pytest.mark.parametrize("by", [(0.0, 0.0), (3.0, -5.0), (0.37, -0.81), (-21.4, 30.25)])
def test_a_known_move_is_found(by: tuple[float, float]) -> None:
    found = match(Picture([PLANE], SLICES), Picture([moved(PLANE, by)], SLICES))
    assert found is not None
    np.testing.assert_allclose(found, by, atol=0.05)


def test_two_detectors_give_one_move() -> None:
    other = texture(1, 256, 320, seed=3)[0]
    found = match(
        Picture([PLANE, other], SLICES), Picture([moved(each, (2.5, 1.5)) for each in (PLANE, other)], SLICES)
    )
    assert found is not None
    np.testing.assert_allclose(found, (2.5, 1.5), atol=0.05)


def test_opposite_contrast_and_noise_do_not_matter_between_detectors() -> None:
    noise = np.random.default_rng(0).normal(0, 15, PLANE.shape)
    other = np.clip(255 - moved(PLANE, (-7.3, 11.6)) / 2 + noise, 0, 255).astype(np.uint8)
    found = match(Picture([PLANE], DETECTORS), Picture([other], DETECTORS))
    assert found is not None
    np.testing.assert_allclose(found, (-7.3, 11.6), atol=0.2)


def test_curtains_that_stand_still_do_not_hold_the_sample() -> None:
    first, second = curtains(np.stack([PLANE, moved(PLANE, (1.5, 4.5))]), 80)
    found = match(Picture([first], SLICES), Picture([second], SLICES))
    assert found is not None
    np.testing.assert_allclose(found, (1.5, 4.5), atol=0.15)


def test_brightness_and_contrast_do_not_matter() -> None:
    other = (moved(PLANE, (1.25, -2.5)) // 3 + 120).astype(np.uint8)
    found = match(Picture([PLANE], SLICES), Picture([other], SLICES))
    assert found is not None
    np.testing.assert_allclose(found, (1.25, -2.5), atol=0.1)


@pytest.mark.parametrize("feature", [SLICES, DETECTORS])
@pytest.mark.parametrize("other", ["another sample", "noise", "black"])
def test_pictures_that_have_nothing_in_common_give_no_move(feature: object, other: str) -> None:
    rng = np.random.default_rng(1)
    planes = {
        "another sample": texture(1, 256, 320, seed=9)[0],
        "noise": rng.integers(0, 255, PLANE.shape, np.uint8),
        "black": np.zeros_like(PLANE),
    }
    kind = SLICES if feature is SLICES else DETECTORS
    assert match(Picture([PLANE], kind), Picture([planes[other]], kind)) is None


def test_large_pictures_are_compared_small_first() -> None:
    large = texture(1, 700, 1100, seed=2)[0]
    first, second = (Picture([plane], SLICES) for plane in (large, moved(large, (31.3, -44.7))))
    assert first.factor == 3
    rough, found = roughly(first, second), match(first, second)
    assert rough is not None
    assert found is not None
    np.testing.assert_allclose(rough.move, (31.3, -44.7), atol=1)
    np.testing.assert_allclose(found, (31.3, -44.7), atol=0.05)


@pytest.mark.parametrize("kind", ["rigid", "affine"])
def test_a_turn_made_by_another_library_is_found(kind: Kind) -> None:
    plane = texture(1, 384, 512, seed=4)[0]
    image = SimpleITK.GetImageFromArray(plane)
    turn = SimpleITK.Euler2DTransform(
        [255.5, 191.5], 0.01, [3.0, -2.0]
    )  # x, y; from where things lie to where they lay
    other = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, image, turn, SimpleITK.sitkBSpline, 128.0))
    found = match(Picture([plane], SLICES), Picture([other], SLICES), kind)
    assert found is not None
    # Things that lay at R u + t lie at u now: ``other`` moved them by the inverse.
    inverse = np.linalg.inv([[np.cos(0.01), np.sin(0.01)], [-np.sin(0.01), np.cos(0.01)]])  # in y, x
    np.testing.assert_allclose(matrix(found), inverse, atol=4e-4)
    np.testing.assert_allclose(found[:2], -inverse @ [-2.0, 3.0], atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_ignores_moves_that_are_wrong(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    places, known = rng.uniform(-200, 200, (16, 2)), np.array([3.0, -2.0, 0.01, 0.002, -0.003, 0.01])
    numbers = {"translation": known[:2], "rigid": known[:3], "affine": known}[kind]
    moves = places @ (matrix(numbers) - np.eye(2)).T + numbers[:2]
    moves[[3, 8]] += (40, -60)
    np.testing.assert_allclose(fit(kind, places, moves), numbers, atol=0.02)


def test_lengths_are_those_of_the_pixels_moves() -> None:
    numbers = np.array([[3.0, 4.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.01, 0.02, -0.03, 0.0]])
    y, x = np.mgrid[:101, :201] - np.array([50, 100]).reshape(2, 1, 1)
    moves = [np.array([n[0] + n[2] * y + n[3] * x, n[1] + n[4] * y + n[5] * x]) for n in numbers]
    expected = [np.sqrt((move**2).sum(axis=0).mean()) for move in moves]
    np.testing.assert_allclose(lengths(numbers, (101, 201)), expected, rtol=1e-3)
    turn = np.array([[0.0, 0.0, 0.01]])
    expected = [np.sqrt(((0.01 * x) ** 2 + (0.01 * y) ** 2).mean())]
    np.testing.assert_allclose(lengths(turn, (101, 201)), expected, rtol=1e-3)
