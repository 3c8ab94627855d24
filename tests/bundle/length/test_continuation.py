"""Finished runs that are continued: what their folders say, what a kill leaves, and what is refused."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.recipe import begin_run, read_recipe
from monai_app.errors import TargetExistsError
from monai_app.files import write_json
from monai_app.stack import Stack
from monai_app.training import training_progress
from tests.conftest import TINY

UNET = "fibsem_unet_segmentation"
BEGUN = 0.0
"""Of all commands here: long ago, which only minutes look at."""


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def begin(run: Path, stack: Stack, *, begun: float | None = BEGUN, minutes: float | None = None, **more: Any) -> str:
    """Begin the tiny training with other settings, as its command does, and return what is reported."""
    told: list[str] = []
    settings = {**TINY, **({} if minutes is None else {"max_epochs": None}), **more}
    settings = {name: value for name, value in settings.items() if value is not None}
    fixed: dict[str, Any] = {"size": "small", "processes": 1, "pretrained": None, "trust": False, "overwrite": False}
    begin_run(UNET, [stack], run, settings=settings, report=told.append, begun=begun, minutes=minutes, **fixed)
    return "\n".join(told)


def config_of(run: Path) -> dict[str, Any]:
    return read_config(run / "configs" / "train.yaml")


def record_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def test_a_training_without_a_complete_epoch_starts_from_the_beginning(run: Path, tiny_stack: Stack) -> None:
    assert begin(run, tiny_stack) == ""
    (run / "models" / "last.ckpt").unlink()
    assert begin(run, tiny_stack) == "no epoch of run was complete: starting from the beginning"


def test_more_epochs_are_declared_in_record_and_config(run: Path, tiny_stack: Stack) -> None:
    begin(run, tiny_stack, max_epochs=5)
    config = config_of(run)
    assert (config["max_epochs"], config["continues"]) == (5, 2)
    assert record_of(run)["continuations"] == [{"continues": 2, "max_epochs": 5}]
    before = (run / "run.json").read_bytes()
    begin(run, tiny_stack, max_epochs=5)
    assert (run / "run.json").read_bytes() == before
    begin(run, tiny_stack, max_epochs=6)  # nothing of the first continuation was trained
    assert record_of(run)["continuations"] == [{"continues": 2, "max_epochs": 6}]
    assert read_recipe(run, "small", {}).settings["max_epochs"] == 6


def test_a_kill_between_record_and_config_leaves_the_continuation(run: Path, tiny_stack: Stack) -> None:
    before = (run / "configs" / "train.yaml").read_bytes()
    begin(run, tiny_stack, max_epochs=5)
    after = (run / "configs" / "train.yaml").read_bytes()
    (run / "configs" / "train.yaml").write_bytes(before)
    begin(run, tiny_stack, max_epochs=5)
    assert (run / "configs" / "train.yaml").read_bytes() == after


def test_more_minutes_continue_a_run_of_epochs(run: Path, tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: BEGUN + 6)
    seconds = torch.load(run / "models" / "last.ckpt", weights_only=True)["pace"]["seconds"]
    minutes = 1 + seconds / 60
    begin(run, tiny_stack, minutes=minutes)
    config = config_of(run)
    assert config["continues"] == 2
    assert config["minutes"] == pytest.approx(minutes - 0.1, abs=1e-3)
    assert config["max_epochs"] == 2 + round(54 / (seconds / 2))
    assert record_of(run)["continuations"] == [{"continues": 2, "minutes": minutes}]
    with pytest.raises(TargetExistsError, match="give more"):
        begin(run, tiny_stack, max_epochs=2)


def test_what_was_declared_and_not_trained_counts_for_nothing(
    run: Path, tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: BEGUN)
    write_json(run / "run.json", {**record_of(run), "minutes": 10, "planned": {}})
    for minutes in (15, 20):
        begin(run, tiny_stack, minutes=minutes)
        seconds = training_progress(run / "models" / "last.ckpt").seconds  # type: ignore[union-attr]
        assert 60 * config_of(run)["minutes"] - seconds == pytest.approx(60 * (minutes - 10), abs=0.1)


def test_a_continuation_holds_an_epoch_at_least(run: Path, tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: BEGUN)
    checkpoint = run / "models" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "pace": {**state["pace"], "seconds": 600.0}}, checkpoint)
    with pytest.raises(TargetExistsError, match=r"an epoch takes .*; give --minutes 15 or more, or --epochs 3"):
        begin(run, tiny_stack, minutes=14)
    begin(run, tiny_stack, minutes=15)
    assert config_of(run)["max_epochs"] == 3


def test_a_patience_that_was_given_stays(run: Path, tiny_stack: Stack) -> None:
    patience = config_of(run)["patience"]
    record = record_of(run)
    write_json(run / "run.json", {**record, "settings": {**record["settings"], "patience": patience}})
    begin(run, tiny_stack, minutes=99_999, begun=time.time(), patience=patience)
    assert config_of(run)["patience"] == patience


def test_a_length_that_nobody_gave_is_named_by_its_number(run: Path, tiny_stack: Stack) -> None:
    (run / "models" / "last.ckpt").unlink()
    record = record_of(run)
    del record["settings"]["max_epochs"]
    write_json(run / "run.json", record)
    with pytest.raises(TargetExistsError, match="finish it with --epochs 2 first"):
        begin(run, tiny_stack, max_epochs=4)


def test_a_checkpoint_of_an_earlier_version_is_not_continued(run: Path, tiny_stack: Stack) -> None:
    checkpoint = run / "models" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    del state["pace"]
    torch.save(state, checkpoint)
    for more in ({"max_epochs": 4}, {"minutes": 9}):
        with pytest.raises(TargetExistsError, match=r"another version.* --from"):
            begin(run, tiny_stack, **more)


@pytest.mark.parametrize("more", [{"max_epochs": 1}, {"minutes": 1e-5}])
def test_a_finished_run_gets_no_shorter(run: Path, tiny_stack: Stack, more: dict[str, Any]) -> None:
    with pytest.raises(TargetExistsError, match="its length is 2 epochs: give more"):
        begin(run, tiny_stack, **more)


def test_a_run_that_is_not_finished_is_finished_first(run: Path, tiny_stack: Stack) -> None:
    checkpoint = run / "models" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "finished": False, "epoch": 1}, checkpoint)
    with pytest.raises(TargetExistsError, match=r"at epoch 1 of 2: finish it with --epochs 2 .* --epochs 4 then"):
        begin(run, tiny_stack, max_epochs=4)
    checkpoint.unlink()
    with pytest.raises(TargetExistsError, match="no complete epoch yet"):
        begin(run, tiny_stack, minutes=9)


def test_nothing_else_may_differ_and_messages_are_readable(run: Path, tiny_stack: Stack) -> None:
    with pytest.raises(TargetExistsError, match=r"learning_rate is 0\.003 there and 0\.5 now") as refused:
        begin(run, tiny_stack, max_epochs=4, learning_rate=0.5)
    record = record_of(run)
    identity = record["stack"]
    write_json(run / "run.json", {**record, "stack": "0" * 64, "pretrained": {"weights_sha256": "0" * 64}})
    with pytest.raises(TargetExistsError, match="its stack is different") as refused:
        begin(run, tiny_stack)
    assert not {"{", identity, "0" * 64} & set(str(refused.value).split()), refused.value
    assert "{" not in str(refused.value)


def test_a_run_of_another_version_is_not_continued(run: Path, tiny_stack: Stack) -> None:
    write_json(run / "run.json", {**record_of(run), "template": "another"})
    with pytest.raises(TargetExistsError, match=r"another version.* --from"):
        begin(run, tiny_stack, max_epochs=4)


def test_who_does_not_ask_for_it_gets_no_continuation(run: Path, tiny_stack: Stack) -> None:
    with pytest.raises(TargetExistsError, match="has 2 epochs and this training would have 4 epochs"):
        begin(run, tiny_stack, begun=None, max_epochs=4)
    with pytest.raises(TargetExistsError, match="give --epochs 2 to resume it"):
        begin(run, tiny_stack, max_epochs=None)  # those of the size, 30, which nobody asked for
