"""The benchmark of active learning, with networks that were never trained in the place of trained ones."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tests.inference.models as models
from monai_app.inference import Predictor
from monai_app.phantom.structure.phases import PHASES
from monai_app.stack import Stack


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    import active_learning

    def train(self: Any, name: str, annotated: Sequence[int]) -> Predictor:
        stack = self._stack(name, annotated)
        assert stack.train_slices == tuple(sorted(annotated))
        return Predictor(models.model_of(self.folder / name, slices=1))

    monkeypatch.setattr(models, "PHASES", PHASES)
    monkeypatch.setattr(active_learning.Sample, "_train", train)
    return active_learning


def test_arms_are_scored_on_slices_that_none_was_trained_on_and_nothing_twice(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "results.json"
    words = ["--work", tmp_path / "work", "--seeds", 1, "--slices", 14, "--side", 48, "--json", target]
    monkeypatch.setattr(sys, "argv", ["active_learning.py", *map(str, words)])
    bench.main()
    content = json.loads(target.read_text())
    assert [row["kind"] for row in content["results"]] == ["alike", "changing"]
    for row in content["results"]:
        used = set().union(*row["annotated"].values())
        assert all(len(set(slices)) == 3 for slices in row["annotated"].values())
        assert row["annotated"]["even"] == [2, 7, 11]
        assert sorted(used | set(row["scored"])) == list(range(14))
        assert not used & set(row["scored"])
        assert all(0 < score < 1 for score in row["mean_iou"].values())
    assert "proposed" in capsys.readouterr().out
    plain, changed = (Stack.open(tmp_path / "work" / f"{kind}_1" / "plain.ome.zarr") for kind in bench.KINDS)
    first, end = content["results"][1]["stretch"]
    for z in range(14):
        same = np.array_equal(plain.read_slab(z, ["TLD"], 1), changed.read_slab(z, ["TLD"], 1))
        assert same != (first <= z < end)
    monkeypatch.setattr(bench.Sample, "measure", None)  # what was measured is not measured again
    bench.main()
    assert json.loads(target.read_text())["results"] == content["results"]


def test_intervals_are_those_of_scipy(bench: ModuleType) -> None:
    differences = [0.02, -0.01, 0.03, 0.005, 0.0, 0.011]
    found = bench.interval(differences)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found["interval_95"] == pytest.approx([expected.low, expected.high], abs=1e-4)
    assert found["sign_test_p"] == pytest.approx(2 * (1 + 5) / 32, abs=1e-4)
    assert "interval_95" not in bench.interval([0.1])
