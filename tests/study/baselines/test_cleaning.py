"""Cleaning of images by the field's methods."""

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from monai_app.errors import ConfigError
from monai_app.study.baselines.cleaning import Cleaning, choices, clean

PLANE = gaussian_filter(np.random.default_rng(1).standard_normal((128, 160)), 4) * 200 + 120


def plane(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found.astype(float) - wanted).mean())


def test_nothing_to_clean_changes_nothing() -> None:
    image = plane(PLANE)
    np.testing.assert_array_equal(clean(image, Cleaning()), image)


def test_vertical_stripes_become_weaker() -> None:
    stripes = np.random.default_rng(0).normal(0, 12, 160)
    striped = plane(PLANE + stripes)
    cleaned = clean(striped, Cleaning(destripe=3))
    before, after = (each.mean(axis=0) - PLANE.mean(axis=0) for each in (striped, cleaned))
    assert np.diff(after).std() < 0.4 * np.diff(before).std()


def test_shading_is_divided_out() -> None:
    shading = np.linspace(0.6, 1.4, 160)
    shaded = plane(PLANE * shading)
    cleaned = clean(shaded, Cleaning(flatten=32))
    assert off(cleaned, PLANE) < 0.5 * off(shaded, PLANE)


def test_noise_becomes_weaker() -> None:
    noisy = plane(PLANE + np.random.default_rng(0).normal(0, 15, PLANE.shape))
    assert off(clean(noisy, Cleaning(denoise=1)), PLANE) < 0.7 * off(noisy, PLANE)


def test_the_type_of_the_pixels_stays() -> None:
    image = (PLANE * 200).astype(np.uint16)
    assert clean(image, Cleaning(1, 32, 1)).dtype == np.uint16


def test_every_strength_of_a_step_is_a_choice() -> None:
    found = choices(Cleaning(destripe=3), "flatten")
    assert [each.flatten for each in found] == [0, 32, 96]
    assert {each.destripe for each in found} == {3}


def test_without_algotom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "algotom.prep.removal", None)
    with pytest.raises(ConfigError, match=r"monai-app\[study\]"):
        clean(plane(PLANE), Cleaning(destripe=1))
