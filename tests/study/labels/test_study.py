"""A study of fewer labels from the command line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from monai_app.background.child import COMMAND
from monai_app.bundle.run_folder import read_record
from monai_app.cli import app
from monai_app.stack import Stack
from monai_app.study.execution import completion
from tests import warm
from tests.conftest import TINY


def test_a_network_is_trained_on_fewer_labels_and_scored_on_the_same_pixels(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "COMMAND", (warm.python(), *COMMAND[1:]))
    labels = {"variants": ["unet_ICE_1"], "amounts": ["1:50%blocks"]}
    settings = {name: value for name, value in TINY.items() if name != "max_epochs"}
    design = {"variants": ["unet_ICE_1"], "seeds": [0], "epochs": 1, "settings": settings, "labels": labels}
    (tmp_path / "design.yaml").write_text(yaml.safe_dump(design), encoding="utf8")
    words = ["study", tiny_stack.path, tmp_path / "s", "--design", tmp_path / "design.yaml"]
    said = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False).stdout
    assert "of that" in said
    name = "unet_ICE_1@labels=1:50%blocks"
    snapshot = Stack.open(tmp_path / "s" / "stacks" / "tiny@labels=1:50%blocks_seed_0.ome.zarr")
    run = tmp_path / "s" / "runs" / "tiny" / name / "seed_0"
    assert read_record(run)["stack"] == snapshot.identity
    scores = json.loads((run / "eval" / "test" / "scores.json").read_text(encoding="utf8"))
    assert np.sum(scores["confusion"]) == np.count_nonzero(tiny_stack.read_annotation(6))
    with (tmp_path / "s" / "labels.csv").open(newline="") as file:
        rows = {row["labels"]: row for row in csv.DictReader(file)}
    assert float(rows["1:50%blocks"]["mean_iou"]) == pytest.approx(scores["mean_iou"])
    assert float(rows["1:50%blocks"]["percent_of_slice"]) == pytest.approx(46, abs=5)
    document = json.loads((tmp_path / "s" / "results.json").read_text(encoding="utf8"))
    assert [row["variant"] for row in document["runs"]] == ["unet_ICE_1"]
