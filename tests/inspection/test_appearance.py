"""How a slice looks in few numbers, against what was put into it."""

import numpy as np
import pytest
import scipy.ndimage

from monai_app.inspection.appearance import measure_appearance
from monai_app.stack import ArrayStack

SHAPE = (2200, 1100)


@pytest.fixture(scope="module")
def stack() -> ArrayStack:
    """Two detectors of one structure, the second one 6 rows down and 4 columns to the left, with its own noise."""
    rng = np.random.default_rng(0)
    truth = scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPE), 8) > 0
    planes = [80 + 60 * truth, 150 - 50 * np.roll(truth, (6, -4), (0, 1))]
    noisy = [plane + rng.normal(0, sigma, SHAPE) for plane, sigma in zip(planes, (5, 9), strict=True)]
    return ArrayStack(("ICE", "TLD"), np.clip(noisy, 0, 255).astype(np.uint8)[:, None])


def test_measures_are_what_was_put_in(stack: ArrayStack) -> None:
    found = measure_appearance(stack, 0, ("ICE", "TLD"))
    assert found["ICE"]["brightness"] == pytest.approx(110, abs=2)
    assert found["TLD"]["brightness"] == pytest.approx(125, abs=2)
    assert found["ICE"]["noise"] == pytest.approx(5, rel=0.06)
    assert found["TLD"]["noise"] == pytest.approx(9, rel=0.06)
    assert found["TLD"]["offset_y"] == pytest.approx(6, abs=0.5)
    assert found["TLD"]["offset_x"] == pytest.approx(-4, abs=0.5)
    assert "offset_y" not in found["ICE"]
    assert (found["ICE"]["curtaining"], found["TLD"]["curtaining"]) == (0, 0)
    assert all(value == float(f"{value:.4g}") for own in found.values() for value in own.values())


def test_offsets_are_from_the_first_detector_and_left_out_where_nothing_is_in_common(stack: ArrayStack) -> None:
    found = measure_appearance(stack, 0, ("TLD", "ICE"))
    assert found["ICE"]["offset_y"] == pytest.approx(-6, abs=0.5)
    rng = np.random.default_rng(0)
    alien = ArrayStack(("A", "B"), rng.integers(0, 255, (2, 1, 300, 300), dtype=np.uint8))
    assert measure_appearance(stack, 0, ("ICE",))["ICE"].keys() == {"noise", "brightness", "sharpness", "curtaining"}
    assert measure_appearance(alien, 0, ("A", "B"))["B"].keys().isdisjoint({"offset_y", "offset_x", "sharpness"})
