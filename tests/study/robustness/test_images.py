"""Images of a stack with artefacts laid over them."""

import numpy as np
import pytest

from monai_app.stack import Stack
from monai_app.study.baselines.cleaned_images import CleanedImages
from monai_app.study.baselines.cleaning import Cleaning, clean
from monai_app.study.robustness.images import AlteredStack
from monai_app.study.robustness.strengths import UNCHANGED, UNITS, Condition

Z = 6


def slab(stack: Stack, artefact: str, strength: float = 2, slices: int = 3) -> np.ndarray:
    """What is seen of slice 6: (slices, detectors, rows, columns)."""
    condition = Condition(artefact, strength) if artefact else UNCHANGED
    pixels = AlteredStack(stack, condition, Z).read_slab(Z, stack.detectors, slices)
    return pixels.reshape(slices, len(stack.detectors), *pixels.shape[1:])


def test_nothing_is_laid_over_unchanged_images(tiny_stack: Stack) -> None:
    raw = tiny_stack.read_slab(Z, tiny_stack.detectors, 3)
    np.testing.assert_array_equal(slab(tiny_stack, "").reshape(raw.shape), raw)


@pytest.mark.parametrize("artefact", UNITS)
def test_every_artefact_changes_the_images_and_is_the_same_for_every_run(artefact: str, tiny_stack: Stack) -> None:
    strength = 0.3
    first, second = (slab(tiny_stack, artefact, strength) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, slab(tiny_stack, ""))
    alone = AlteredStack(tiny_stack, Condition(artefact, strength), Z).read_slab(Z, ["TLD"], 1)
    np.testing.assert_array_equal(alone[0], first[1, 1])  # a variant sees what those of more detectors and slices see


def test_drift_moves_neighbours_and_all_detectors_together(tiny_stack: Stack) -> None:
    raw, moved = slab(tiny_stack, ""), slab(tiny_stack, "drift")
    np.testing.assert_array_equal(moved[1], raw[1])
    inner = (slice(None), slice(4, -4), slice(4, -4))
    for neighbour in (0, 2):
        fits = [
            axis * sign
            for axis in (-2, -1)
            for sign in (2, -2)
            if np.array_equal(moved[neighbour][inner], np.roll(raw[neighbour], sign, axis)[inner])
        ]
        assert len(fits) == 1


def test_the_shift_between_detectors_moves_all_but_the_first(tiny_stack: Stack) -> None:
    raw, moved = slab(tiny_stack, ""), slab(tiny_stack, "detector_shift")
    np.testing.assert_array_equal(moved[:, 0], raw[:, 0])
    assert (moved[:, 1] != raw[:, 1]).any(axis=(1, 2)).all()


def test_images_are_cleaned_after_the_artefact(tiny_stack: Stack) -> None:
    cleaning = {"ICE": Cleaning(flatten=32), "TLD": Cleaning()}
    condition = Condition("shading", 0.5)
    cleaned = CleanedImages(AlteredStack(tiny_stack, condition, Z), cleaning).read_slab(Z, ["ICE", "TLD"], 1)
    raw = slab(tiny_stack, "shading", 0.5, 1)[0]
    np.testing.assert_array_equal(cleaned, [clean(raw[0], cleaning["ICE"]), raw[1]])
