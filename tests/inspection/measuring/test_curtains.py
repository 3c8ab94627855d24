"""Strength and lean of curtains."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from monai_app.inspection.measuring.curtains import measure_curtains
from monai_app.stack.alignment.correlation import reduced
from tests.inspection.conftest import simulated


def streaks(lean: float, strength: float, side: int = 400) -> np.ndarray:
    """Grey values of 100 with noise and straight streaks of a strength that lean to the right going down, degrees."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    across = x * np.cos(np.deg2rad(lean)) - y * np.sin(np.deg2rad(lean))
    profile = gaussian_filter1d(rng.normal(size=3 * side), 2)
    profile /= profile.std()
    field = gaussian_filter(rng.normal(size=(side, side)), 5)
    image = 100 * (1 + strength * profile[np.rint(across).astype(int) + side])
    noisy: np.ndarray = image + 15 * field / field.std() + rng.normal(0, 10, image.shape)
    return noisy.astype(np.float32)


@pytest.mark.parametrize("lean", [-20.0, -5.0, 0.0, 7.0, 25.0])
def test_the_lean_is_right(lean: float) -> None:
    found = measure_curtains(streaks(lean, 0.08))
    assert len(found.angles) == 1
    assert found.angles[0] == pytest.approx(lean, abs=1)


@pytest.mark.parametrize("strength", [0.05, 0.1, 0.2])
def test_the_strength_is_the_standard_deviation(strength: float) -> None:
    assert measure_curtains(streaks(3, strength)).strength == pytest.approx(strength, rel=0.25)


def test_structure_and_noise_are_no_curtains() -> None:
    assert measure_curtains(streaks(0, 0)).strength < 0.03


def test_simulated_curtains_rise_with_their_strength_and_lean_as_a_rocking_mill_has_them() -> None:
    measured = []
    for strength in (0.0, 1.0, 2.0, 4.0):
        images = simulated(1, rows=384, columns=384, artefacts={"curtaining": strength})
        measured.append([measure_curtains(reduced(image[0], 1)) for image in images.values()])
    for detector in zip(*measured, strict=True):
        none, one, two, four = (each.strength for each in detector)
        assert none < 0.02 < one
        assert 1.5 * one < two < 0.67 * four
        np.testing.assert_allclose(sorted(detector[-1].angles), [0, 7], atol=1.5)


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.ones((4, 900)), np.full((64, 64), 9)])
def test_what_shows_nothing_has_no_curtains(image: np.ndarray) -> None:
    assert measure_curtains(image.astype(np.float32)).strength == 0
