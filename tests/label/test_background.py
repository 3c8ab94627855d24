"""Work in the background tells why it failed, also where it cannot write its log."""

import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from monai_app.errors import ConfigError, StoppedError
from monai_app.label.app import StackApp
from monai_app.label.background import Background, _work
from monai_app.label.errors import RunningError, StoppingError
from monai_app.label.settings import Settings, Workspace
from tests.label.servers import wait_for


class Failing:
    """An app whose work fails in the ways that a request names."""

    def __init__(self, _: Settings, workspace: Workspace) -> None:
        self.folder = workspace.temporary

    def batch_infer(self, request: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "half_a_label.nii").touch()
        time.sleep(60)

    def train(self, request: dict[str, Any]) -> None:
        if request["way"] == "full":
            try:
                raise OSError(28, os.strerror(28), "/data/models/0001")
            except OSError as error:
                raise RuntimeError("MONAI wraps it") from error
        if request["way"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if request["way"] == "user":
            raise ConfigError("max_epochs 0: give more")
        raise KeyError("a bug")


def work(*arguments: Any) -> None:
    """The process of a failing app; where ``mute`` is asked for, its log is on a full disk."""
    import monai_app.label.app

    setattr(monai_app.label.app, "StackApp", Failing)  # noqa: B010 (a class is no variable to mypy)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)  # pytest has others
    kind, request, settings, workspace, log, *others = arguments
    _work(kind, request, settings, workspace, Path("/dev/full") if request["mute"] else log, *others)


@pytest.fixture
def background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Background:
    """Work of the failing app."""
    # As copies of this process, which has the app that fails; forkservers would load everything once more.
    monkeypatch.setattr("monai_app.label.background.context", lambda: multiprocessing.get_context("fork"))
    monkeypatch.setattr("monai_app.label.background._work", work)
    workspace = Workspace(tmp_path)
    workspace.logs.mkdir()
    return Background(Settings(stack="stack", bundles=("bundle",)), workspace)


@pytest.mark.parametrize("mute", [False, True])
@pytest.mark.parametrize(
    ("way", "last", "traceback"),
    [
        ("full", "train failed: [Errno 28] No space left on device: '/data/models/0001'; see that the stack", False),
        ("user", "train failed: max_epochs 0: give more", False),
        ("bug", "train failed: KeyError: 'a bug'; the lines before say where", True),
        ("killed", "train failed: its process ended with -9, perhaps because the memory was used up", False),
    ],
)
def test_the_last_line_says_what_went_wrong(
    way: str, last: str, traceback: bool, mute: bool, background: Background
) -> None:
    background.start("train", {"way": way, "mute": mute})
    wait_for(lambda: background.status("train", everything=False, running=False)["status"] != "RUNNING", 20)
    for _ in range(2):
        told = background.status("train", everything=False, running=False)
        assert told["status"] == "ERROR"
        assert told["details"][-1].startswith(last)
        assert any("Traceback" in line for line in told["details"]) == (traceback and not mute)
        assert sum(line.startswith("train failed") for line in told["details"]) == 1
    assert StackApp is not Failing


def test_work_that_is_stopped_leaves_no_temporary_files(background: Background) -> None:
    folder = background.workspace.temporary
    folder.mkdir()
    (folder / "of_a_request").touch()
    background.start("batch_infer", {"mute": False})
    wait_for(lambda: list(folder.rglob("half_a_label.nii")))
    told = background.stop("batch_infer")
    assert told is not None
    assert told["status"] == "STOPPED"
    assert [path.name for path in folder.rglob("*")] == ["of_a_request"]


def test_work_that_is_over_holds_no_files_and_old_logs_go(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_app.label.background._KEPT", 3)

    def run() -> None:
        with pytest.raises(ConfigError, match="max_epochs 0"):
            background.run("train", {"way": "user", "mute": False})

    run()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert len(list(background.workspace.logs.glob("train_*.log"))) == 3
    assert background.status("train", everything=False, running=False)["status"] == "ERROR"


def test_who_waits_when_the_server_ends_is_told_so_and_nothing_begins_any_more(background: Background) -> None:
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(background.run, "batch_infer", {"mute": False})
        wait_for(lambda: list(background.workspace.temporary.rglob("half_a_label.nii")))
        background.close()
        with pytest.raises(StoppingError, match="the server stops"):
            waits.result()
    with pytest.raises(StoppingError, match="the server stops"):
        background.start("train", {})


def test_who_waits_is_told_that_somebody_stopped_it_or_that_it_runs_already(background: Background) -> None:
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(background.run, "batch_infer", {"mute": False})
        wait_for(lambda: list(background.workspace.temporary.rglob("half_a_label.nii")))
        with pytest.raises(RunningError, match="batch_infer runs already"):
            background.run("batch_infer", {"mute": False})
        background.stop("batch_infer")
        with pytest.raises(StoppedError, match="was stopped; ask for it again"):
            waits.result()
    assert background.stop("batch_infer") is None
