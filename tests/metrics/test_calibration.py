"""Calibration against definitions written out, and temperatures that are known."""

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_app.metrics.calibration import BINS, fit_temperature, negative_log_likelihood, reliability


def drawn(pixels: int, phases: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Logits, and classes drawn from the probabilities that they give at a temperature."""
    rng = np.random.default_rng(pixels)
    logits = rng.normal(0, 3, (pixels, phases)).astype(np.float32)
    likely = np.cumsum(scipy.special.softmax(logits / temperature, 1), 1)
    classes = (rng.random((pixels, 1)) > likely[:, :-1]).sum(1)
    return torch.from_numpy(logits), torch.from_numpy(classes.astype(np.uint8))


@given(phases=st.integers(1, 5), temperature=st.sampled_from([0.1, 1.0, 7.0]))
def test_bins_and_error_are_those_of_the_definition(phases: int, temperature: float) -> None:
    logits, classes = drawn(300, phases, 2.0)
    probability = scipy.special.softmax(logits.double().numpy() / temperature, 1)
    sure, right = probability.max(1), probability.argmax(1) == classes.numpy()
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (sure > low) & (sure <= low + 1 / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    found = reliability(logits, classes, temperature)
    assert found.ece == pytest.approx(error, abs=1e-5)
    assert (found.pixels.sum(), found.right.sum()) == (300, right.sum())
    assert found.confidence.sum() == pytest.approx(sure.sum(), rel=1e-5)


def test_parts_add_up_to_the_whole_and_nothing_has_no_error() -> None:
    logits, classes = drawn(1000, 3, 1.0)
    whole = reliability(logits, classes)
    parts = reliability(logits[:300], classes[:300]) + reliability(logits[300:], classes[300:])
    np.testing.assert_array_equal(parts.pixels, whole.pixels)
    assert parts.ece == pytest.approx(whole.ece)
    assert np.isnan(reliability(logits[:0], classes[:0]).ece)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_is_found_and_stated_becomes_observed(true: float) -> None:
    logits, classes = drawn(40_000, 4, true)
    expected = -np.log(scipy.special.softmax(logits.double().numpy(), 1))[np.arange(40_000), classes.numpy()].sum()
    assert negative_log_likelihood(logits, classes) == pytest.approx(expected, rel=1e-5)
    temperature = fit_temperature(lambda each: negative_log_likelihood(logits, classes, each))
    assert temperature == pytest.approx(true, rel=0.03)
    assert reliability(logits, classes, temperature).ece < 0.01
    assert true == 1.0 or reliability(logits, classes).ece > 0.04
