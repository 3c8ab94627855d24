"""The end of a training: its best weights get a temperature, once, also after a kill."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from torch import nn

from monai_app.domain.calibration import Calibration
from monai_app.files import file_sha256
from monai_app.metrics.calibration import negative_log_likelihood
from monai_app.networks.calibration import read_calibration
from monai_app.networks.weights import load_weights, save_weights
from monai_app.stack import Stack
from monai_app.training import FitTemperature


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with weights: of a convolution that gives two logits of a grey value."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    (tmp_path / "models").mkdir()
    save_weights({"weight": torch.tensor([[[[3.0]]], [[[-3.0]]]])}, tmp_path / "models" / "model.pt")
    return tmp_path


def fit(
    bundle: Path,
    chance: Callable[[torch.Tensor], torch.Tensor] = lambda image: torch.sigmoid(2 * image),
    images: Sequence[torch.Tensor] | None = None,
) -> int:
    """Fit as the bundle does, where pixels have the first phase by `chance`; return how many slices were computed."""
    network, computed = nn.Conv2d(1, 2, 1, bias=False), []

    def step(_: Engine, image: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        computed.append(image)
        labels = 1 + (torch.rand_like(image) > chance(image)).to(torch.uint8)
        labels[:, :, :8] = 0
        with torch.no_grad():
            return [{"pred": each, "label": label} for each, label in zip(network(image), labels, strict=True)]

    engine = Engine(step)
    FitTemperature(str(bundle / "models" / "model.pt"), network).attach(engine)
    torch.manual_seed(0)
    engine.run(images or [torch.randn(1, 1, 128, 128) for _ in range(3)])
    return len(computed)


def found(bundle: Path) -> Calibration | None:
    weights = bundle / "models" / "model.pt"
    return read_calibration(weights, file_sha256(weights))


def test_it_is_fitted_once_for_every_weights(bundle: Path) -> None:
    assert fit(bundle) == 3
    first = found(bundle)
    assert first is not None
    assert first.temperature == pytest.approx(3, rel=0.05)  # logits 6 x apart, and the phase follows from 2 x
    assert first.pixels == 3 * 120 * 128
    assert first.nll.after < first.nll.before
    assert first.ece.after < 0.01 < 0.05 < first.ece.before
    assert fit(bundle) == 0
    save_weights({"weight": torch.tensor([[[[1.0]]], [[[-1.0]]]])}, bundle / "models" / "model.pt")
    assert found(bundle) is None
    assert fit(bundle) == 3
    again = found(bundle)
    assert again is not None
    assert again.temperature == pytest.approx(1, rel=0.05)


def test_of_many_pixels_a_sample_is_enough(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_app.training.calibration.MOST_PIXELS", 15_000)
    fit(bundle)
    first = found(bundle)
    assert first is not None
    assert first.pixels == 15_000
    assert first.temperature == pytest.approx(3, rel=0.1)
    (bundle / "configs" / "metadata.json").write_text("{}")
    fit(bundle)
    assert found(bundle) == first


def test_a_temperature_that_only_the_range_stopped_is_not_recorded(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(bundle, lambda image: (image > 0).float())
    assert found(bundle) is None
    assert "on 46080 validation pixels the best temperature is 0.05, at an end of the range" in caplog.text


def test_a_temperature_that_raises_the_calibration_error_is_replaced_by_1(bundle: Path) -> None:
    """A confidence of 0.6 is right, but one of 0.993, of a few pixels, would need a high temperature."""
    sure = torch.rand(3, 1, 1, 128, 128, generator=torch.Generator().manual_seed(1)) < 0.05
    images = [torch.where(each, 5 / 6, 0.405 / 6) for each in sure]  # the logits are 6 x apart
    fit(bundle, lambda image: torch.where(image > 0.5, 0.5, 0.6), images)
    first = found(bundle)
    assert first is not None
    assert first.temperature == 1
    assert (first.nll.after, first.ece.after) == (first.nll.before, first.ece.before)


@pytest.mark.parametrize("missing", ["models/model.pt", "configs/metadata.json"])
def test_without_weights_or_a_place_to_keep_it_nothing_is_calibrated(missing: str, bundle: Path) -> None:
    (bundle / missing).unlink()
    assert fit(bundle) == 0


def test_the_bundle_fits_on_its_validation_pixels_with_the_best_weights(
    trained: Path, tiny_stack: Stack, tmp_path: Path
) -> None:
    """A run of which the metadata lost the calibration, as by a kill before it, gets the same one again."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = found(run)
    assert before is not None
    path = run / "configs" / "metadata.json"
    document = json.loads(path.read_text())
    del document["calibration"]
    path.write_text(json.dumps(document))
    parser = ConfigParser(ConfigParser.load_config_file(run / "configs" / "train.yaml"))
    parser.update({"bundle_root": str(run), "dataset_dir": str(tiny_stack.path)})
    parser.get_parsed_content("imports")
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    parser.get_parsed_content("calibrate::evaluator").run()
    torch.set_num_threads(threads)
    again = found(run)
    assert again is not None
    assert (again.weights_sha256, again.pixels) == (before.weights_sha256, before.pixels)
    assert again.temperature == pytest.approx(before.temperature, rel=1e-6)  # in another process, with other threads
    network = parser.get_parsed_content("ema").network.eval()
    load_weights(network, run / "models" / "model.pt")
    total = pixels = 0.0
    for item in parser.get_parsed_content("validate::dataloader"):
        labelled = item["label"][0, 0] > 0
        with torch.no_grad():
            logits = parser.get_parsed_content("validate::inferer")(item["image"], network)[0, :, labelled].T
        total += negative_log_likelihood(logits, item["label"][0, 0][labelled] - 1, before.temperature)
        pixels += float(labelled.sum())
    assert before.pixels == pixels
    assert before.nll.after == pytest.approx(total / pixels, rel=1e-4)
