"""Results for programs: `--json` prints one document and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from tests.conftest import run_command


@pytest.fixture
def labelled(tiny_stack: Stack, tmp_path: Path) -> Stack:
    """A copy with labels `made`, 1 and 2 in halves of every slice."""
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    stack = Stack.open(tmp_path / "own.ome.zarr")
    halves = np.ones(stack.shape[1:], np.uint8)
    halves[: stack.shape[1] // 2] = 2
    stack.write_labels("made", iter([halves] * stack.shape[0]))
    return stack


def printed(*words: object) -> Any:
    return json.loads(CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False).stdout)


def test_label_images(labelled: Stack) -> None:
    listed = printed("labels", labelled.path, "list", "--json")
    assert [(each["name"], each["slices"]) for each in listed["labels"]] == [("made", [*range(labelled.shape[0])])]
    assert listed["unfinished"] == []
    with pytest.raises(ConfigError, match="--json applies to list"):
        printed("labels", labelled.path, "remove", "made", "--json")


def test_annotated_slices(labelled: Stack) -> None:
    listed = printed("annotations", labelled.path, "--json")
    assert [(each["z"], each["role"]) for each in listed] == sorted(labelled.roles.items())
    truth = labelled.read_annotation(listed[0]["z"])
    for value, name in enumerate(["unlabelled", *(phase.name for phase in labelled.phases)]):
        assert listed[0]["pixels"][name] == np.count_nonzero(truth == value)
    with pytest.raises(ConfigError, match="--json lists them"):
        printed("annotations", labelled.path, "--export", "folder", "--json")


def test_quantities(labelled: Stack, tmp_path: Path) -> None:
    words = ["quantify", labelled.path, "--labels", "made", "--measure", "fraction", "-o", tmp_path / "q", "--json"]
    assert printed(*words) == json.loads((tmp_path / "q" / "quantities.json").read_text())


def test_scores(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    done = run_command("-m", "monai_app", "evaluate", tiny_stack.path, run, "--json")
    assert json.loads(done.stdout) == json.loads((run / "eval" / "test" / "scores.json").read_text())
