"""Stated confidence against the share of right pixels, of slices apart and together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monai_app.metrics.calibration import reliability
from monai_app.stack import Stack
from monai_app.training.evaluation import EvaluatedSlice
from monai_app.training.evaluation.confidence import Confidence
from tests.specs import spec_of


@pytest.fixture
def evaluated(tiny_stack: Stack) -> list[EvaluatedSlice]:
    """Two slices of a model that is often right, and not calibrated."""
    found = []
    for z in (5, 6):
        true = tiny_stack.read_annotation(z)
        logits = torch.randn(3, *true.shape) + 2 * torch.from_numpy(np.stack([true == k for k in (1, 2, 3)]))
        predicted = (logits.argmax(0) + 1).to(torch.uint8).numpy()
        found.append(EvaluatedSlice(tiny_stack, z, spec_of(), 1.0, true, predicted, logits))
    return found


def test_bins_are_those_of_all_labelled_pixels_with_and_without_the_temperature(
    evaluated: list[EvaluatedSlice], tmp_path: Path
) -> None:
    section = Confidence()
    pooled = section.pooled([section.of_slice(replace(each, temperature=1.5)) for each in evaluated])
    logits = torch.cat([each.logits[:, torch.from_numpy(each.true > 0)].T for each in evaluated])
    classes = torch.cat([torch.from_numpy(each.true[each.true > 0]) - 1 for each in evaluated])
    assert pooled["temperature"] == 1.5
    for kind, temperature in (("uncalibrated", 1.0), ("calibrated", 1.5)):
        whole = reliability(logits, classes, temperature)
        assert pooled[kind]["pixels"] == whole.pixels.tolist()
        assert pooled[kind]["right"] == whole.right.tolist()
        assert pooled["mean"][f"ece_{kind}"] == pytest.approx(whole.ece, abs=1e-6)
    figure = section.figure(pooled)
    assert figure is not None
    assert [f"{panel.get_title()}".splitlines()[0] for panel in figure.axes] == [
        "uncalibrated",
        "calibrated, temperature 1.500",
    ]
    figure.savefig(tmp_path / "diagram.png")


def test_without_a_calibration_there_is_nothing_to_compare(evaluated: list[EvaluatedSlice]) -> None:
    section = Confidence()
    found = section.pooled([section.of_slice(evaluated[0])])
    assert found["temperature"] == 1
    assert found["calibrated"] == found["uncalibrated"]
    figure = section.figure(found)
    assert figure is not None
    assert len(figure.axes) == 1


def test_slices_of_models_with_different_temperatures_have_none_together(evaluated: list[EvaluatedSlice]) -> None:
    section = Confidence()
    first, second = (replace(each, temperature=1.5 + each.z) for each in evaluated)
    pooled = section.pooled([section.of_slice(first), section.of_slice(second)])
    assert np.isnan(pooled["temperature"])
    figure = section.figure(pooled)
    assert figure is not None
    assert figure.axes[1].get_title().startswith("calibrated\n")
