"""Artefacts laid over images."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from monai_app.artefacts import (
    Curtains,
    amplified,
    apparent_hardness,
    brightened,
    curtained,
    displaced,
    noisy,
    shaded,
)
from monai_app.artefacts.arrays import Image

SHAPE = (96, 128)
FIELD = gaussian_filter(np.random.default_rng(1).standard_normal(SHAPE), 4) * 4


def image(dtype: npt.DTypeLike = np.uint8, scale: float = 1) -> Image:
    """An image of greys from 60 to 180, times a scale."""
    made: Image = (np.clip(120 + 60 * FIELD, 60, 180) * scale).astype(dtype)
    return made


def streaks(seed: int = 0) -> npt.NDArray[np.float32]:
    return Curtains(SHAPE, (20, 20), seed).brightness(apparent_hardness(image()[np.newaxis]), 0)


LAID: dict[str, Callable[[Image, float], Image]] = {
    "curtains": lambda plane, strength: curtained(plane, streaks(), strength),
    "shading": shaded,
    "noise": lambda plane, strength: noisy(plane, strength, np.random.default_rng(3)),
    "displacement": lambda plane, strength: displaced(plane, strength, -strength),
    "gain": lambda plane, strength: amplified(plane, 1 + strength),
    "offset": brightened,
}


@pytest.mark.parametrize("lay", LAID.values(), ids=LAID)
@pytest.mark.parametrize("scale", [1, 200])
def test_nothing_is_laid_at_strength_0_and_the_type_stays(lay: Callable[[Image, float], Image], scale: float) -> None:
    plane = image(np.uint8 if scale == 1 else np.uint16, scale)
    np.testing.assert_array_equal(lay(plane, 0), plane)
    changed = lay(plane, 0.3)
    assert (changed.dtype, changed.shape) == (plane.dtype, plane.shape)
    assert not np.array_equal(changed, plane)


@pytest.mark.parametrize("lay", LAID.values(), ids=LAID)
@pytest.mark.parametrize("grey", [0, 100, 255])
def test_images_without_contrast_are_no_error(lay: Callable[[Image, float], Image], grey: int) -> None:
    with np.errstate(all="raise"):
        lay(np.full(SHAPE, grey, np.uint8), 0.5)


@pytest.mark.parametrize("name", ["curtains", "noise"])
@pytest.mark.parametrize("scale", [1, 200])
def test_strength_is_a_share_of_the_grey_range(name: str, scale: float) -> None:
    plane = image(np.uint16, scale)
    low, high = np.percentile(plane, (1, 99))
    change = LAID[name](plane, 0.1).astype(float) - plane
    assert change.std() == pytest.approx(0.1 * (high - low), rel=0.05)


def test_noise_grows_with_the_signal_and_keeps_the_mean() -> None:
    plane = np.repeat(np.array([[40, 160]], np.uint8), 20_000, axis=0)
    found = noisy(plane, 0.1, np.random.default_rng(0)).astype(float)
    dark, bright = found.std(axis=0)
    assert bright / dark == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(found.mean(axis=0), [40, 160], rtol=0.01)


def test_the_darkest_corner_loses_its_share() -> None:
    shade = shaded(np.full(SHAPE, 200, np.uint8), 0.4)
    assert shade[-1, -1] == 120
    assert (np.diff(shade.astype(int), axis=0) <= 0).all()


def test_greys_beyond_the_type_are_clipped() -> None:
    plane = np.array([[10, 100, 250]], np.uint8)
    np.testing.assert_array_equal(amplified(plane, 2), [[20, 200, 255]])
    np.testing.assert_array_equal(brightened(np.array([[0, 100]], np.uint8), 2), [[196, 255]])


def test_whole_pixels_move_without_interpolation() -> None:
    plane = image()
    np.testing.assert_array_equal(displaced(plane, 2, -3)[2:, :-3], plane[:-2, 3:])
    np.testing.assert_array_equal(displaced(plane, 2, 0)[:2], plane[[0, 0]])


def test_pores_have_few_curtains() -> None:
    plane = np.full(SHAPE, 150, np.uint8)
    plane[:, 40:80] = 15
    change = curtained(plane, streaks(), 0.1).astype(float) - plane
    assert change[:, 40:80].std() < 0.2 * change[:, 80:].std()
