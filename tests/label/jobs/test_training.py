"""Trainings that are stopped and asked for again: which go on, to which weights, and what is left of the others."""

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
import torch
from ignite.engine import Engine

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.run_folder import CHECKPOINT
from monai_app.bundle.runs import CURRENT, WEIGHTS, Runs, snapshot_of
from monai_app.cli import app as command_line
from monai_app.errors import AppError, BusyError, ConfigError, TargetExistsError
from monai_app.files import lock, lock_path
from monai_app.label.jobs import training
from monai_app.label.jobs.training import TrainingTask
from monai_app.label.models import ServedModel, served_models
from monai_app.label.settings import Settings, Workspace
from monai_app.stack import Stack, annotate, snapshot
from monai_app.training import ResumeCheckpoint
from tests.conftest import TINY

EPOCHS = 2
BUNDLE = "fibsem_unet_segmentation"


class Killed(BaseException):
    """What ends a training in the midst of its work."""


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands here; tests/label/test_serve.py runs them as the server does."""

    async def run_here(words: list[str], log: Path) -> None:
        with log.open("a") as said, redirect_stdout(said), redirect_stderr(said):
            try:
                command_line(words, standalone_mode=False)
            except AppError as error:  # as the exit code says
                raise ConfigError(str(error)) from None

    monkeypatch.setattr(training, "run_command", run_here)


def model_in(folder: Path, stack: Stack, bundle: str = BUNDLE, **settings: object) -> ServedModel:
    """A model that a server in a folder trains."""
    chosen = {**TINY, "max_epochs": EPOCHS, **settings}
    found = served_models(Settings(stack=str(stack.path), bundles=(bundle,), training=chosen), Workspace(folder), stack)
    return next(iter(found.values()))


def stats_of(model: ServedModel) -> dict[str, object]:
    return task_of(model).stats()


def task_of(model: ServedModel, stack: Stack | None = None) -> TrainingTask:
    return TrainingTask(model, lambda: Stack.open(stack.path) if stack else pytest.fail("not asked for"), lambda: None)


def run(model: ServedModel, stack: Stack, *, pretrained: bool = True, resume: bool = True, **settings: Any) -> None:
    model.runs.folder.mkdir(parents=True, exist_ok=True)
    chosen = replace(model, recipe=replace(model.recipe, settings={**model.recipe.settings, **settings}))
    log = model.runs.folder.parent / "log"
    log.write_text("")
    request = {"log": log, "max_epochs": 0, "pretrained": pretrained, "resume": resume}
    anyio.run(anyio.to_thread.run_sync, task_of(chosen, stack), request, None)


def said(model: ServedModel) -> list[str]:
    """What the last training logged, without the time."""
    lines = (model.runs.folder.parent / "log").read_text().splitlines()
    return [line.partition(" INFO ")[2] or line for line in lines]


def killed(model: ServedModel, stack: Stack, **settings: Any) -> None:
    with pytest.raises(Killed):
        run(model, stack, **settings)


def kill() -> None:
    raise Killed


def test_the_same_training_resumes_to_the_weights_of_an_uninterrupted_one(
    stack: Stack, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    save, publish = ResumeCheckpoint._save, Runs.publish
    after: Callable[[int], None] = lambda _: None  # noqa: E731  # replaced below

    def saved(self: ResumeCheckpoint, engine: Engine, finished: bool = False) -> None:
        save(self, engine, finished)
        epochs.append(engine.state.epoch)
        after(engine.state.epoch)

    monkeypatch.setattr(ResumeCheckpoint, "_save", saved)
    whole = model_in(tmp_path / "whole", stack, str(trained))
    run(whole, stack)
    assert epochs == [1, 2, 2]  # the last one again when all are complete

    model = model_in(tmp_path / "home", stack, str(trained))
    assert stats_of(model) == {"run": "trained"}
    after = lambda epoch: kill() if epoch == 1 else None  # noqa: E731
    killed(model, stack)
    assert stats_of(model) == {"run": "trained", "unfinished": "0001", "epoch": 1, "total_epochs": EPOCHS}
    assert model.run == trained  # what is not complete does not count
    after = lambda _: None  # noqa: E731
    monkeypatch.setattr(Runs, "publish", lambda *_: kill())
    model = model_in(tmp_path / "home", stack, str(trained))  # of a server that was started again
    killed(model, stack)
    assert epochs[3:] == [1, 2, 2]

    # It had ended and did not come to count: nothing is left to train.
    monkeypatch.setattr(Runs, "publish", publish)
    run(model, stack)
    assert epochs[6:] == []
    assert (stats_of(model), names(model)) == ({"run": "0001"}, ["0001", "0001.ome.zarr", CURRENT])
    first, second = (torch.load(Path(str(found.run)) / WEIGHTS, weights_only=True) for found in (whole, model))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@dataclass
class Trainer:
    """Stands for the training itself: it completes epochs, is killed after them or gives weights."""

    epochs: int = 0
    dies: bool = True
    runs: list[str] = field(default_factory=list)

    def __call__(self, command: BundleCommand) -> None:
        folder = Path(str(command.overrides["bundle_root"]))
        data = Stack.open(str(command.overrides["dataset_dir"]))
        assert data.read_slab(data.train_slices[0], ["ICE"], 1).any()
        self.runs.append(folder.name)
        (folder / "models").mkdir(exist_ok=True)
        if self.epochs:
            torch.save({"epoch": self.epochs, "settings": {"max_epochs": EPOCHS}}, folder / CHECKPOINT)
        if self.dies:
            (folder / "mark").touch()
            raise Killed
        torch.save({}, folder / WEIGHTS)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    found = Trainer()
    monkeypatch.setattr(BundleCommand, "run", lambda command: found(command))
    return found


def names(model: ServedModel) -> list[str]:
    """Everything that lies in a model's folder."""
    return sorted(path.name for path in model.runs.folder.iterdir())


def test_only_the_same_training_resumes_and_any_other_replaces_it(
    stack: Stack, trainer: Trainer, tmp_path: Path
) -> None:
    model = model_in(tmp_path, stack)
    left = model.runs.folder / "0001"

    def begins_anew(**options: object) -> bool:
        """Whether another run is in the place of the marked one, which is killed in its turn."""
        (left / "mark").write_text("before")
        killed(model, stack, **options)
        assert names(model) == ["0001", "0001.ome.zarr", CURRENT]
        assert Stack.open(snapshot_of(left)).identity == Stack.open(stack.path).identity
        return not (left / "mark").read_text()

    killed(model, stack)
    assert stats_of(model) == {"run": None, "unfinished": "0001"}
    assert not begins_anew()
    trainer.epochs = 1
    assert not begins_anew()
    assert not begins_anew()
    assert not any("from the beginning" in line for line in said(model))

    assert begins_anew(resume=False)
    assert begins_anew(seed=1)
    assert "seed is" in said(model)[0]
    assert said(model)[1] == "a new training replaces 0001"
    assert begins_anew()
    labels = stack.read_annotation(3)
    annotate(stack, {3: np.roll(labels, 1, axis=1)})
    assert begins_anew()
    annotate(stack, {3: labels})
    assert begins_anew()
    annotate(stack, {3: labels}, source="somebody who says the same")
    assert not begins_anew()
    config = left / "configs" / "train.yaml"  # of an earlier version
    config.write_text(config.read_text().replace("keys: image, std: 0.1", "keys: image, sigma: 0.1"))
    assert begins_anew()
    assert "a new training replaces 0001" in said(model)
    (left / CHECKPOINT).write_bytes(b"half a file")
    assert stats_of(model) == {"run": None, "unfinished": "0001"}
    assert begins_anew()
    assert not begins_anew()
    stack = Stack.open(shutil.move(stack.path, tmp_path / "moved.ome.zarr"))  # the same one, in another place
    assert not begins_anew()


def test_what_counted_once_and_what_is_not_ours_stays(stack: Stack, trainer: Trainer, tmp_path: Path) -> None:
    model = model_in(tmp_path, stack)
    trainer.dies = False
    for _ in range(2):
        run(model, stack, pretrained=False)
    assert names(model) == ["0001", "0001.ome.zarr", "0002", "0002.ome.zarr", CURRENT]
    # A person goes back to an earlier run: the later one is not a leftover.
    (model.runs.folder / CURRENT).write_text(json.dumps({"run": "0001"}))
    (model.runs.folder / "0003.ome.zarr").mkdir()
    trainer.dies = True
    killed(model, stack, pretrained=False)
    assert model.runs.unfinished == model.runs.folder / "0004"
    # Something else takes the name.
    shutil.rmtree(model.runs.folder / "0004")
    (model.runs.folder / "0004" / "thesis").mkdir(parents=True)
    assert model.runs.unfinished is None
    trainer.dies = False
    run(model, stack, pretrained=False)
    assert trainer.runs == ["0001", "0002", "0004", "0005"]
    assert model.run == model.runs.folder / "0005"
    assert (model.runs.folder / "0004" / "thesis").is_dir()
    assert not list((model.runs.folder / "0003.ome.zarr").iterdir())
    assert all((model.runs.folder / name / WEIGHTS).is_file() for name in ("0001", "0002", "0005"))


def test_a_training_that_cannot_begin_leaves_the_unfinished_one_and_the_next_one_begins(
    stack: Stack, trainer: Trainer, tmp_path: Path
) -> None:
    model = model_in(tmp_path, stack)
    trainer.epochs = 1
    for _ in range(2):  # what the first one made is not in the way of the second
        with pytest.raises(ConfigError, match="crop"):
            run(model, stack, crop=[50, 50])
    assert stats_of(model) == {"run": None}
    killed(model, stack)
    with pytest.raises(ConfigError, match="crop"):
        run(model, stack, crop=[50, 50])
    made = snapshot_of(model.runs.folder / "0001").stat().st_ino
    with (
        lock(lock_path(model.runs.folder / "0001" / CHECKPOINT)),
        pytest.raises(BusyError, match="is being trained"),
    ):
        run(model, stack, resume=False)
    assert snapshot_of(model.runs.folder / "0001").stat().st_ino == made
    trainer.dies = False
    run(model, stack)
    assert not any("from the beginning" in line for line in said(model))
    assert stats_of(model) == {"run": "0001"}


def test_a_snapshot_is_replaced_when_asked_and_nothing_else_is(stack: Stack, tmp_path: Path) -> None:
    still = snapshot(stack, tmp_path / "still.ome.zarr")
    after = annotate(stack, {0: np.ones(stack.shape[1:], np.uint8)})
    assert snapshot(after, still.path, overwrite=True).identity == after.identity
    with pytest.raises(TargetExistsError, match="not a snapshot"):
        snapshot(after, stack.path, overwrite=True)
    np.testing.assert_array_equal(Stack.open(stack.path).read_annotation(0), 1)
