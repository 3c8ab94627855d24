"""Trainings and predictions of the plugin: which commands they are, what is said of them, and how they are stopped."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from monai_app.background import command
from monai_app.bundle.run_folder import CHECKPOINT, RECORD
from monai_app.bundle.runs import WEIGHTS
from monai_app.errors import AppError, ConfigError, StoppedError
from monai_app.napari import jobs
from monai_app.napari.jobs import Model, progress_in
from monai_app.stack import Stack, annotate
from monai_app.stack.label_images.registry import check_label_name


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have run."""
    found: list[list[str]] = []

    def note(_: object, words: Sequence[str], log: Path) -> None:
        found.append([*words])
        log.write_text("done\n")

    monkeypatch.setattr(command.StoppableCommand, "__call__", note)
    return found


def test_predictions_are_the_command_that_segments(tiny_stack: Stack, ran: list[list[str]], tmp_path: Path) -> None:
    model, log, store = Model(tmp_path / "0003", "model_0003_12345678"), tmp_path / "log", str(tiny_stack.path)
    job = jobs.predict(tiny_stack, model, 2, log)
    assert (job(), job.news(), job.news()) == ("model_0003_12345678_slice", "done\n", "")
    assert jobs.predict(tiny_stack, model, None, log)() == model.labels
    assert jobs.predict(tiny_stack, model, None, log, overwrite=True)() == model.labels
    whole = ["segment", store, str(model.path), "--labels", model.labels, "--confidence", "max"]
    part = [*whole[:4], f"{model.labels}_slice", *whole[5:], "--z", "2"]
    assert ran == [[*part, "--overwrite"], whole, [*whole, "--overwrite"]]


@pytest.mark.parametrize(("one", "other"), [("unet.v1", "unet.v2"), ("a/0001", "b/0001")])
def test_models_of_equal_names_have_label_images_of_their_own(one: str, other: str, tmp_path: Path) -> None:
    for number, name in enumerate((one, other)):
        weights(tmp_path / name).write_bytes(b"%d" % number)
    first, second = (Model.at(tmp_path / name).labels for name in (one, other))
    assert first != second
    assert first == Model.at(tmp_path / one).labels
    assert first.startswith(f"model_{Path(one).name}_")
    weights(tmp_path / "My run (1)").touch()
    check_label_name(Model.at(tmp_path / "My run (1)").labels)


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no trained weights"):
        Model.at(tmp_path)


def weights(run: Path) -> Path:
    """The file of a run's weights, in a folder that is there."""
    (run / WEIGHTS).parent.mkdir(parents=True)
    return run / WEIGHTS


class Trainings:
    """Stand for the command that trains: they are stopped after an epoch, refused or end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: AppError | None = None
        self.words: list[list[str]] = []
        monkeypatch.setattr(command.StoppableCommand, "__call__", lambda _, words, log: self(words))

    def __call__(self, words: Sequence[str]) -> None:
        run = Path(words[2])
        self.words.append([run.name, *words[3:]])
        if isinstance(self.ends, ConfigError):
            raise self.ends
        (run / "models").mkdir(parents=True, exist_ok=True)
        (run / RECORD).write_text("{}")
        (run / CHECKPOINT).write_text(f"{len(self.words)}")
        if self.ends is not None:
            raise self.ends
        (run / WEIGHTS).touch()


def test_a_stopped_training_goes_on_if_asked_and_is_kept_otherwise(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, log = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr")), tmp_path / "log"
    trainings, runs = Trainings(monkeypatch), tmp_path / "tiny_runs"
    assert jobs.stopped_training(stack) is None
    trainings.ends = StoppedError("train was stopped")
    with pytest.raises(StoppedError):
        jobs.train(stack, ["--epochs", "9"], log)()
    assert jobs.stopped_training(stack) == "0001"
    began = Stack.open(runs / "0001.ome.zarr").identity
    stack = annotate(stack, {4: np.ones(stack.shape[1:], np.uint8)})

    trainings.ends = ConfigError("no CUDA device")  # whatever the cause, nothing is replaced
    with pytest.raises(ConfigError):
        jobs.train(stack, ["--epochs", "9"], log, resume=True)()
    assert jobs.stopped_training(stack) == "0001"

    trainings.ends = StoppedError("train was stopped")
    with pytest.raises(StoppedError):
        jobs.train(stack, ["--epochs", "9"], log)()
    assert (runs / "0001" / CHECKPOINT).read_text() == "1"
    assert jobs.stopped_training(stack) == "0002"

    trainings.ends = None
    assert jobs.train(stack, ["--epochs", "9"], log, resume=True)() == runs / "0002"
    assert jobs.stopped_training(stack) is None
    assert Stack.open(runs / "0001.ome.zarr").identity == began
    new, resumed = ["--epochs", "9", "--overwrite"], ["--epochs", "9"]
    assert trainings.words == [["0001", *new], ["0001", *resumed], ["0002", *new], ["0002", *resumed]]


def test_a_sample_is_ingested_beside_its_description(ran: list[list[str]], tmp_path: Path) -> None:
    assert jobs.ingest(tmp_path / "sample.yaml", tmp_path / "log")() == tmp_path / "sample.ome.zarr"
    assert ran == [["ingest", str(tmp_path / "sample.yaml"), str(tmp_path / "sample.ome.zarr")]]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-11-29 22:18:09,177 INFO epoch 3/20: loss 1.8, 1.1 s per epoch, 1 s left\n", (3, 20)),
        ("INFO epoch 3/20: 40/500 steps, 1.5 s per step, 11 min 30 s left\n", (3, 20)),
        ("ingest: 2/8 slices, 5.00 slices/s, 1 s left\n", (2, 8)),
        ("INFO segment: 1.5/6.0 Mpixels, 5.3 s per Mpixel, 24 s left\nlabels: /data/1/2/x\n", (1.5, 6)),
        ("$ python -m monai.bundle run --config_file /tmp/0001/2/train.yaml\n", None),
        ("", None),
    ],
)
def test_progress_is_the_last_count_that_a_command_says(said: str, expected: tuple[float, float] | None) -> None:
    assert progress_in(said) == expected
