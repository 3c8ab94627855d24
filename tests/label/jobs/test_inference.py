"""The worker keeps a model until its weights or their calibration are replaced."""

import os
from pathlib import Path

import pytest

from monai_app.label.jobs import inference
from monai_app.stack import Stack


def test_a_model_is_loaded_again_when_its_weights_or_calibration_changed(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr(inference, "load_model", loaded.append)
    monkeypatch.setattr(inference, "Predictor", lambda *_: None)
    for number, name in enumerate(("models/model.pt", "configs/metadata.json", "configs/metadata.json"), 1):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, number))
        if number == 1:
            continue
        for _ in range(2):
            inference.measure(tmp_path, tiny_stack.path, None, "cpu", [])
    assert loaded == [tmp_path] * 2
