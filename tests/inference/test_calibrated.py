"""A temperature changes what is said of labels, and never the labels."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from monai_app.errors import ConfigError
from monai_app.files import file_sha256
from monai_app.inference import Model, Outputs, Predictor, Request, Segmentation
from monai_app.networks.calibration import record_calibration
from monai_app.stack import Stack
from monai_app.stack.verification import verify_store
from tests.inference.models import labels_of, model_of, whole_slice
from tests.inference.test_segmentation import KilledError, kill_after
from tests.networks.test_calibration import FOUND
from tests.zoo import lively

TEMPERATURE = 3.0


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))


def calibrate(model: Model, temperature: float = TEMPERATURE) -> None:
    """Write a calibration beside a model's weights."""
    weights = Path(model.weights)
    (weights.parents[1] / "configs").mkdir(exist_ok=True)
    (weights.parents[1] / "configs" / "metadata.json").write_text("{}")
    record_calibration(weights, FOUND.replaced(weights_sha256=file_sha256(weights), temperature=temperature))


def test_probabilities_are_divided_and_labels_stay_bit_for_bit(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outputs, path = Outputs("max", probability=True), str(stack.path)
    Segmentation(model_of(tmp_path / "run"), path, "plain", outputs=outputs).run()
    assert "not calibrated" in caplog.text
    assert stack.label_attributes("plain")["calibrated"] is None
    caplog.clear()
    calibrate(model_of(tmp_path / "run"))
    model = model_of(tmp_path / "run")
    Segmentation(model, path, "calibrated", outputs=outputs).run()
    assert "not calibrated" not in caplog.text
    assert stack.label_attributes("calibrated")["calibrated"] == TEMPERATURE
    np.testing.assert_array_equal(labels_of(stack, "calibrated"), labels_of(stack, "plain"))
    logits = whole_slice(model, stack, 2).log()
    expected = (logits / TEMPERATURE).softmax(0).numpy()
    found = stack.read_map("calibrated", "probability", 2)
    np.testing.assert_allclose(found, 255 * expected, atol=0.52)
    np.testing.assert_allclose(stack.read_map("calibrated", "confidence", 2), 255 * expected.max(0), atol=0.52)
    ((_, planes),) = Predictor(model).predict(stack, [2], outputs=outputs)
    np.testing.assert_array_equal(planes["probability"], found)


def test_a_result_with_confidence_is_bound_to_the_temperature_and_labels_alone_are_not(
    stack: Stack, tmp_path: Path
) -> None:
    for name, outputs in (("sure", Outputs("entropy")), ("alone", Outputs())):
        calibrate(model_of(tmp_path / "run"))
        with pytest.raises(KilledError):
            kill_after(1, segmentation(model_of(tmp_path / "run"), stack, name, outputs).run)
        calibrate(model_of(tmp_path / "run"), 2.0)
        if name == "sure":
            with pytest.raises(ConfigError, match=r"(?s)temperature: 3\.0 -> 2\.0.*--overwrite"):
                segmentation(model_of(tmp_path / "run"), stack, name, outputs).run()
            calibrate(model_of(tmp_path / "run"))
        segmentation(model_of(tmp_path / "run"), stack, name, outputs).run()
        assert ("calibrated" in stack.label_attributes(name)) == (name == "sure")


def segmentation(model: Model, stack: Stack, name: str, outputs: Outputs) -> Segmentation:
    return Segmentation(model, str(stack.path), name, outputs=outputs, request=Request(tile=(32, 96)))


def test_a_calibration_of_other_weights_is_left_out_with_a_warning(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calibrate(model_of(tmp_path / "run"))
    other = model_of(tmp_path / "run", width=8)
    torch.save({name: 2 * value for name, value in other.network.state_dict().items()}, other.weights)
    Segmentation(other, str(stack.path), "net", outputs=Outputs("max"), region={"slices": "0"}).run()
    assert "calibration of other weights" in caplog.text
    assert stack.label_attributes("net")["calibrated"] is None


def test_metadata_are_read_once(stack: Stack, tmp_path: Path) -> None:
    """What is told of a result is what it was made with."""
    calibrate(model_of(tmp_path / "run"))
    model = model_of(tmp_path / "run")
    assert model.temperature == TEMPERATURE
    metadata = Path(model.weights).parents[1] / "configs" / "metadata.json"
    metadata.write_text(json.dumps({}))
    Segmentation(model, str(stack.path), "net", outputs=Outputs("max"), region={"slices": "0"}).run()
    assert stack.label_attributes("net")["calibrated"] == TEMPERATURE


def test_shares_of_uncertain_pixels_are_reported_per_slice_and_in_total(stack: Stack, tmp_path: Path) -> None:
    mask = np.zeros(stack.shape, np.uint8)
    mask[:, 20:, 10:] = 1
    stack.write_labels("part", iter(mask))
    model = model_of(tmp_path / "run")
    torch.save(lively(model.network, 6).state_dict(), model.weights)
    Segmentation(model, str(stack.path), "net", outputs=Outputs("max"), region={"slices": "2:5"}, mask="part").run()
    with (stack.path / "labels" / "net" / "confidence.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["slice"] for row in rows] == ["2", "3", "4", "all"]
    told, seen = stack.label_attributes("net")["confidence"], []
    for z, row in zip(range(2, 5), rows, strict=False):
        seen.append(stack.read_map("net", "confidence", z)[20:, 10:] / 255)
        assert int(row["pixels"]) == seen[-1].size
        assert float(row["below_0.7"]) == pytest.approx((seen[-1] < 0.7).mean())
    assert 0 < told["below_0.5"] < told["below_0.7"] < told["below_0.9"]
    for threshold in (0.5, 0.7, 0.9):
        assert told[f"below_{threshold}"] == pytest.approx((np.stack(seen) < threshold).mean())
    assert (told["pixels"], told["mean"]) == (np.stack(seen).size, pytest.approx(np.mean(seen)))
    assert verify_store(stack.path).faults == []
