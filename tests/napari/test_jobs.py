"""Trainings and predictions of the plugin: which commands they are, what is said of them, and how they are stopped."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from monai_app.background import command
from monai_app.napari import jobs
from monai_app.napari.jobs import progress_in
from monai_app.stack import Stack


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
    model, log, store = tmp_path / "0003", tmp_path / "log", str(tiny_stack.path)
    job = jobs.predict(tiny_stack, model, 2, log)
    assert (job(), job.news(), job.news()) == ("model_0003_slice", "done\n", "")
    assert jobs.predict(tiny_stack, model, None, log)() == "model_0003"
    assert jobs.predict(tiny_stack, model, None, log, overwrite=True)() == "model_0003"
    whole = ["segment", store, str(model), "--labels", "model_0003", "--confidence", "max"]
    part = ["segment", store, str(model), "--labels", "model_0003_slice", "--confidence", "max", "--z", "2"]
    assert ran == [[*part, "--overwrite"], whole, [*whole, "--overwrite"]]


def test_a_sample_is_ingested_beside_its_description(ran: list[list[str]], tmp_path: Path) -> None:
    assert jobs.ingest(tmp_path / "sample.yaml", tmp_path / "log")() == tmp_path / "sample.ome.zarr"
    assert ran == [["ingest", str(tmp_path / "sample.yaml"), str(tmp_path / "sample.ome.zarr")]]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-11-29 22:18:09,177 INFO epoch 3/20: loss 1.8, 1.1 s per epoch, 1 s left\n", (3, 20)),
        ("\ringest:  25%|##  | 2/8 [00:00<00:01, 5slice/s]", (2, 8)),
        ("INFO segment: 1.5/6.0 Mpixel, 0.19 Mpixel/s, 0 s left\nlabels: /data/1/2/x\n", (1.5, 6)),
        ("$ python -m monai.bundle run --config_file /tmp/0001/2/train.yaml\n", None),
        ("", None),
    ],
)
def test_progress_is_the_last_count_that_a_command_says(said: str, expected: tuple[float, float] | None) -> None:
    assert progress_in(said) == expected
