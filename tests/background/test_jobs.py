"""Work beside requests tells why it failed, also where it cannot write its log, and ends when it is stopped."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio import from_thread

from monai_app.background import command
from monai_app.background import jobs as module
from monai_app.background.command import run_command
from monai_app.background.jobs import Job, Jobs
from monai_app.errors import ConfigError, FailedError, NotFoundError, RunningError, StoppedError, causes


def fail(request: dict[str, Any]) -> str:
    """Work that fails in the way that a request names."""
    if request["way"] == "full":
        try:
            raise OSError(28, os.strerror(28), "/data/models/0001")
        except OSError as error:
            raise RuntimeError("MONAI wraps it") from error
    if request["way"] == "user":
        raise ConfigError("max_epochs 0: give more")
    if request["way"] == "bug":
        raise KeyError("a bug")
    if request["way"] == "sleep":
        from_thread.run(asyncio.sleep, 60)
    return "done"


def run(test: Callable[[], Awaitable[None]]) -> None:
    anyio.run(test)


async def over(jobs: Jobs, way: str) -> Job:
    """A job that has ended."""
    job = await jobs.start("train", {"way": way}, fail)
    await asyncio.wait([job.task])
    return job


@pytest.mark.parametrize("mute", [False, True])
@pytest.mark.parametrize(
    ("way", "last", "traceback"),
    [
        ("full", "train failed: the disk is full", False),
        ("user", "train failed: max_epochs 0: give more", False),
        ("bug", "train failed: KeyError: 'a bug'; see its log, train_", True),
    ],
)
def test_the_last_line_says_what_went_wrong(way: str, last: str, traceback: bool, mute: bool, tmp_path: Path) -> None:
    async def test() -> None:
        job = await Jobs(tmp_path).start("train", {"way": way}, fail)
        if mute:  # its log is on a full disk
            job.log.unlink()
            job.log.symlink_to("/dev/full")
        await asyncio.wait([job.task])
        if mute:
            job.log.unlink()
            job.log.touch()
        told = job.to_dict()
        assert told["status"] == "ERROR"
        assert told["request"] == {"way": way}
        assert told["details"][-1].startswith(last)
        assert any("Traceback" in line for line in told["details"]) == (traceback and not mute)
        assert sum(line.startswith("train failed") for line in told["details"]) == 1

    run(test)


def test_what_is_over_holds_no_files_and_old_logs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        jobs = Jobs(tmp_path)
        await over(jobs, "user")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            await over(jobs, "user")
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
        assert len(list(tmp_path.glob("train_*.log"))) == 3
        assert jobs.known("train", running=False)[-1].status == "ERROR"

    monkeypatch.setattr(module, "_KEPT", 3)
    run(test)


def test_waiting_clients_learn_that_a_job_was_stopped_or_is_already_running(tmp_path: Path) -> None:
    async def test() -> None:
        jobs = Jobs(tmp_path)
        with pytest.raises(NotFoundError, match="no train was started"):
            jobs.known("train", running=False)
        waits = asyncio.create_task(jobs.run("train", {"way": "sleep"}, fail))
        await asyncio.sleep(0.2)
        assert jobs.known("train", running=True)[0].to_dict()["status"] == "RUNNING"
        with pytest.raises(RunningError, match="train is already running"):
            await jobs.run("train", {}, fail)
        assert await jobs.run("scoring", {"way": ""}, fail) == "done"
        with pytest.raises(ConfigError, match="max_epochs 0") as raised:
            await jobs.run("scoring", {"way": "user"}, fail)
        assert len(list(causes(raised.value))) == 1  # an end is found
        stopped = await jobs.stop("train")
        assert stopped is not None
        assert stopped.to_dict()["status"] == "STOPPED"
        with pytest.raises(StoppedError, match="was stopped; start it again"):
            await waits
        assert await jobs.stop("train") is None

    run(test)


PROGRAMS = {
    "user": "import sys; print('monai-app: max_epochs 0: give more', file=sys.stderr); sys.exit(3)",
    "bug": "{}['a bug']",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "sleep": "import subprocess, time; subprocess.Popen(['sleep', '60']); print('asleep', flush=True); time.sleep(60)",
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of commands that are programs of this test."""
    monkeypatch.setattr(command, "COMMAND", (sys.executable, "-c"))
    return tmp_path / "log"


@pytest.mark.parametrize(
    ("way", "kind", "words"),
    [
        ("user", ConfigError, "max_epochs 0: give more"),
        ("bug", FailedError, "KeyError: 'a bug'; see its log, log"),
        ("killed", FailedError, "its process ended with -9, perhaps because it ran out of memory"),
    ],
)
def test_a_command_tells_how_it_ended(way: str, kind: type[Exception], words: str, log: Path) -> None:
    with pytest.raises(kind) as raised:
        anyio.run(run_command, [PROGRAMS[way]], log)
    assert str(raised.value) == words


def test_a_command_that_is_stopped_ends_with_all_that_it_started(log: Path) -> None:
    async def test() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(run_command, [PROGRAMS["sleep"]], log)
            while not log.exists() or "asleep" not in log.read_text():
                await anyio.sleep(0.05)
            (process,) = {*psutil.Process().children()} - before
            family.extend([process, *process.children()])
            group.cancel_scope.cancel()

    family, before = list[psutil.Process](), {*psutil.Process().children()}
    run(test)
    assert len(family) == 2
    psutil.wait_procs(family, timeout=10)
    assert not [member for member in family if member.is_running() and member.status() != "zombie"]
