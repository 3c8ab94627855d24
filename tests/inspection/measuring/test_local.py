"""Artefacts that are put into one part of a slice are found there."""

import numpy as np
import pytest

from monai_app.inspection.measuring.local import local_artefacts

SHAPE = (260, 512)
RIGHT = np.arange(SHAPE[1]) >= 256


def flat(noise: np.ndarray | float = 4.0) -> np.ndarray:
    return 120 + np.random.default_rng(0).standard_normal(SHAPE) * noise


def plane(grey: np.ndarray) -> np.ndarray:
    return np.clip(np.round(grey), 0, 255).astype(np.uint8)


def test_noise_is_found_where_it_is() -> None:
    noise = local_artefacts(plane(flat(np.where(RIGHT, 12.0, 4.0))), 64).noise
    assert noise.shape == (4, 8)  # four rows of pixels fill no block
    np.testing.assert_allclose(noise[:, :4], 4, rtol=0.1)
    np.testing.assert_allclose(noise[:, 4:], 12, rtol=0.1)


def test_curtains_are_found_where_they_are() -> None:
    streaks = np.random.default_rng(1).standard_normal(SHAPE[1] // 4).repeat(4) * 12 * RIGHT
    curtaining = local_artefacts(plane(flat() + streaks), 64).curtaining
    assert (curtaining[:, :4] < 0.02).all()
    assert np.median(curtaining[:, 4:]) == pytest.approx(0.1, rel=0.5)


def test_shading_is_how_much_brighter_the_surroundings_are_than_the_slice() -> None:
    ramp = np.linspace(0.8, 1.2, SHAPE[1])
    shading = local_artefacts(plane(flat() * ramp), 64).shading
    wanted = ramp.reshape(8, 64).mean(axis=1) - 1
    np.testing.assert_allclose(shading, np.tile(wanted, (4, 1)), atol=0.02)
    grains = np.where(np.indices(SHAPE).sum(axis=0) // 16 % 2, 60, 0)
    assert np.abs(local_artefacts(plane(flat() + grains), 64).shading).max() < 0.02
