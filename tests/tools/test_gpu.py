"""The benchmark of GPUs, in its tiny sizes on a CPU: every part runs, and what fails is told."""

import json
import sys
from pathlib import Path
from typing import Any

import gpu
import pytest
from gpu_parts.place import SLICE, Compared, Place, labels_of, ties_only

from monai_app.device.choose import chosen_device
from monai_app.inference import Predictor
from tests import warm


def started(work: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the parts in processes that are forked from a Python that has imported MONAI already."""
    monkeypatch.setattr(sys, "executable", warm.python())
    words = ["--device", "cpu", "--work", str(work), "--json", str(work / "gpu.json")]
    monkeypatch.setattr(sys, "argv", [gpu.__file__, *words])
    try:
        gpu.main()
    finally:
        parts: dict[str, Any] = json.loads((work / "gpu.json").read_text())["parts"]
    return parts


def test_every_part_runs_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = started(tmp_path, monkeypatch)
    assert list(parts) == list(gpu.PARTS)
    left_out = {name for name, part in parts.items() if "left_out" in part}
    assert left_out == {"two_ranks", "tests"}
    assert all(part["rows"] for name, part in parts.items() if name not in {"prepare", *left_out})
    assert all(row["Mpixel/s"] > 0 for name in ("segmenting", "networks", "compiled") for row in parts[name]["rows"])
    printed = capsys.readouterr().out
    assert "same_labels   holds" in printed
    assert "sensor3d, against small tiles" in printed

    compared = Compared(Place(tmp_path, chosen_device("cpu"), tiny=True), "unet")
    labels = labels_of(Predictor(compared.model), compared.place)
    wrong = labels.copy()
    wrong[SLICE, 3] = labels[SLICE, 3] % 5 + 1
    row = compared.row("one pixel", wrong, labels)
    assert row["differing"] == 1
    assert not ties_only([row])


def test_a_part_that_fails_or_takes_too_long_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "PARTS", {"nothing": 60, "prepare": 0.4, "tests": 60})
    with pytest.raises(SystemExit):
        started(tmp_path, monkeypatch)
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["nothing"]["failed"].endswith("has no attribute 'nothing'")
    assert "Traceback" in parts["nothing"]["report"]
    assert parts["prepare"] == {"failed": "stopped after 0 s, its time", "rows": []}
    assert parts["tests"]["left_out"] == "they need CUDA"
    assert "prepare       FAILED: stopped" in capsys.readouterr().out
