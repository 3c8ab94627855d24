"""Grey values, noise and focus of a slice."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from monai_app.inspection.measuring.slices import BINS, measure_focus, measure_greys, measure_noise
from monai_app.phantom import PhantomConfig
from monai_app.phantom.imaging.artefacts import noise_table
from tests.inspection.conftest import simulated


def blobs(rows: int = 203, columns: int = 151) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(0).normal(size=(rows, columns)), 4)
    signs: np.ndarray = np.sign(field)
    return 120 + 60 * signs


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_are_those_of_numpy(dtype: type) -> None:
    plane: np.ndarray = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (123, 57)).astype(dtype)
    plane[0] = 0
    greys = measure_greys(plane)
    assert greys.mean == pytest.approx(plane.mean())
    assert greys.contrast == pytest.approx(plane.std())
    assert greys.low == (plane == 0).mean()
    assert (greys.highest, greys.high) == (plane.max(), (plane == plane.max()).mean())
    expected = np.histogram(plane, BINS, (0, np.iinfo(dtype).max + 1))[0]
    np.testing.assert_allclose(greys.histogram, expected / plane.size, rtol=1e-5)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_noise_is_that_of_the_simulator_within_a_tenth(strength: float) -> None:
    """Shot noise depends on the grey value: its root mean square over the clean image is meant."""
    settings = {"noise": 0.0}, {"noise": strength}
    clean, noisy = (simulated(1, artefacts=each) for each in settings)
    for detector in PhantomConfig().detectors:
        spread = noise_table(detector.electrons, detector.read_noise, strength).std(axis=1)
        expected = np.sqrt((spread[clean[detector.name][0]] ** 2).mean())
        assert measure_noise(noisy[detector.name][0]) == pytest.approx(expected, rel=0.1)


def test_streaks_are_no_noise() -> None:
    columns = np.random.default_rng(0).normal(100, 20, (1, 64)).astype(np.uint8)
    assert measure_noise(np.repeat(columns, 64, axis=0)) < 0.5


def test_a_slice_of_one_row_has_no_noise() -> None:
    assert measure_noise(np.zeros((1, 9), np.uint8)) == 0


def test_focus_falls_with_blur_and_depends_on_neither_noise_nor_contrast() -> None:
    rng, sharp = np.random.default_rng(1), blobs()

    def focus(image: np.ndarray) -> float:
        plane = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return measure_focus(plane, plane.mean())

    values = [focus(gaussian_filter(sharp, sigma)) for sigma in (0, 1, 2, 4)]
    assert values[0] > 1.3 * values[1] > 1.3**2 * values[2] > 1.3**3 * values[3] > 0
    assert focus(sharp + rng.normal(0, 20, sharp.shape)) == pytest.approx(values[0], rel=0.1)
    assert focus(50 + sharp / 2) == pytest.approx(values[0], rel=0.05)


@pytest.mark.parametrize(
    "plane", [np.zeros((0, 5), np.uint8), np.full((8, 8), 7, np.uint8), np.zeros((1, 1), np.uint8)]
)
def test_what_shows_nothing_has_no_focus(plane: np.ndarray) -> None:
    assert np.isnan(measure_focus(plane, 7.0))


def test_noise_alone_has_no_focus() -> None:
    assert np.isnan(measure_focus(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8), 127.0))
