"""The streaks that the ion beam mills."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, rotate

from monai_app.artefacts import Curtains

SHAPE = (384, 512)


def _soft_and_hard(seed: int = 0) -> npt.NDArray[np.float32]:
    """A hardness map (rows, columns) with blobs."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 12)
    return np.asarray(noise > 0.02, dtype=np.float32)


def _streakiness(image: npt.NDArray[Any], angle_deg: float) -> float:
    """Variance of the means along lines at an angle to the rows' axis (one projection of the Radon transform)."""
    turned = rotate(image, -angle_deg, reshape=False, order=1)[100:-100, 120:-120]
    return float(turned.mean(axis=0).var())


def test_curtains_run_at_two_angles() -> None:
    streaks = Curtains(SHAPE, (20, 20), 0).brightness(_soft_and_hard(), 0.0)
    energy = {angle: _streakiness(streaks, angle) for angle in (-14, -7, -3.5, 0, 3.5, 7, 10.5, 14)}
    for angle in (0, 7):
        assert energy[angle] > 1.2 * max(energy[angle - 3.5], energy[angle + 3.5])
        assert energy[angle] > 3 * max(energy[-14], energy[-7], energy[14])


def test_curtains_start_at_edges() -> None:
    """Below a hard body streaks are strong, beside it there are only those that come from above the field."""
    hardness = np.zeros(SHAPE, dtype=np.float32)
    hardness[100:140, 200:260] = 1
    streaks = Curtains(SHAPE, (20, 20), 0).brightness(hardness, 0.0)
    assert streaks[145:200, 205:255].std() > 1.7 * streaks[145:200, 320:480].std()
    assert streaks[145:200, 205:255].std() > 1.3 * streaks[40:95, 205:255].std()


def test_curtains_persist_over_slices_and_fade() -> None:
    curtains, hardness = Curtains(SHAPE, (20, 20), 0), _soft_and_hard()
    planes = [curtains.brightness(hardness, depth).ravel() for depth in (0.0, 40.0, 80.0, 2000.0)]
    likeness = [np.corrcoef(planes[0], plane)[0, 1] for plane in planes[1:]]
    assert likeness[0] > 0.7
    assert likeness[0] > likeness[1] > likeness[2] + 0.2
    assert abs(likeness[2]) < 0.15


def test_curtains_are_not_regular() -> None:
    """No period: the autocorrelation across the streaks has no second peak."""
    spectrum = np.abs(np.fft.rfft(Curtains(SHAPE, (20, 20), 0).brightness(_soft_and_hard(), 0.0), axis=1)) ** 2
    likeness = np.fft.irfft(spectrum.mean(axis=0))[:256]
    assert np.abs(likeness[40:]).max() < 0.4 * likeness[0]


def test_curtain_angle_follows_the_voxel() -> None:
    """Angles are angles in the material: with wide pixels the streaks look steeper on the screen."""
    wide = Curtains(SHAPE, (20, 40), 0)
    square = Curtains(SHAPE, (20, 20), 0)
    assert np.allclose(wide._slopes * 2, square._slopes)
