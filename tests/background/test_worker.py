"""What an inference does to its process is not done to those that wait, nor to the next."""

import asyncio
import errno
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from anyio import CancelScope, to_thread

from monai_app.background.worker import Worker
from monai_app.errors import AppError, FailedError, InsufficientSpaceError, StackError, UnavailableError
from tests import warm
from tests.label.servers import wait_for

DONE: list[str] = []
"""What the process has done in its order, which threads that are told at once do not keep."""


def work(name: str, target: Path) -> str:
    """What the name asks for; called in the process."""
    if name == "die":
        wait_for(target.exists)
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hog":
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limits[1]))
        try:
            np.ones(1 << 40, np.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    if name == "full":
        raise StackError("the labels cannot be written") from OSError(errno.ENOSPC, "No space left on device")
    if name == "bug":
        raise KeyError("a bug")
    if name == "sleep":
        target.touch()
        time.sleep(60)
    if name in ("stays", "comes"):
        DONE.append(name)
        return ", ".join(DONE)
    return name


class Line:
    """Those who wait for a worker, each in a thread.

    Args:
        worker: the process.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker, self.told = worker, dict[str, object]()

    async def ask(self, name: str, target: Path = Path("target"), scope: CancelScope | None = None) -> None:
        """Ask for work and note what it gives."""
        with scope or CancelScope():
            try:
                self.told[name] = await to_thread.run_sync(lambda: self._do(name, target))
            except AppError as error:
                self.told[name] = error
            except BaseException as error:
                self.told[name] = type(error).__name__

    def _do(self, name: str, target: Path) -> str:
        return self.worker.do(work, name.split("_")[0], target, refusable=True)

    async def in_line(self, number: int) -> None:
        """Wait until so many run or wait."""
        await until(lambda: self.worker._one.statistics().tasks_waiting + self.worker._one.borrowed_tokens == number)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.02)


def run(test: Callable[[Line], Awaitable[None]]) -> dict[str, object]:
    """Run a test in an event loop, at whose end the process ends too."""
    line = Line(Worker(2))
    begin = time.monotonic()
    with warm.started_by_libraries():
        anyio.run(test, line)
    assert time.monotonic() - begin < 50  # and not the 60 seconds of what sleeps
    return line.told


def test_too_little_memory_a_full_disk_and_a_killed_process_fail_one_inference_alone(tmp_path: Path) -> None:
    async def test(line: Line) -> None:
        for name in ("hog", "full", "bug", "fine"):
            await line.ask(name)
        async with anyio.create_task_group() as group:
            for number, name in enumerate(("die", "waits_1", "waits_2"), 1):
                group.start_soon(line.ask, name, tmp_path / "now")
                await line.in_line(number)
            await line.ask("more")
            (tmp_path / "now").touch()

    told = run(test)
    for name, kind, words in (
        ("hog", InsufficientSpaceError, "--memory"),
        ("full", InsufficientSpaceError, "disk is full"),
        ("bug", FailedError, "KeyError: 'a bug'"),
        ("more", UnavailableError, "--waiting"),
        ("die", FailedError, "died"),
    ):
        assert isinstance(told[name], kind)
        assert words in str(told[name])
    assert "test_worker.py" in str(told["bug"].__notes__)  # type: ignore[attr-defined]
    assert [told[name] for name in ("fine", "waits_1", "waits_2")] == ["fine", "waits", "waits"]


def test_cancelled_work_leaves_the_queue_or_ends_and_others_continue(tmp_path: Path) -> None:
    async def test(line: Line) -> None:
        runs, leaves = CancelScope(), CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(line.ask, "sleep", tmp_path / "sleep", runs)
            await line.in_line(1)
            group.start_soon(line.ask, "leaves", tmp_path, leaves)
            await line.in_line(2)
            group.start_soon(line.ask, "stays", tmp_path)
            await line.in_line(3)
            await until((tmp_path / "sleep").exists)
            leaves.cancel()
            await line.in_line(2)
            group.start_soon(line.ask, "comes", tmp_path)  # there is room again
            await line.in_line(3)
            assert list(line.told) == ["leaves"]
            runs.cancel()

    told: dict[str, Any] = run(test)
    assert told == {
        "leaves": "CancelledError",
        "sleep": "CancelledError",
        "stays": "stays",
        "comes": "stays, comes",  # in their order
    }


def test_the_end_of_the_event_loop_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    waiting: list[asyncio.Task[None]] = []

    async def test(line: Line) -> None:
        waiting.extend(asyncio.create_task(line.ask(f"sleep_{n}", tmp_path / "runs")) for n in range(2))
        await until((tmp_path / "runs").exists)

    run(test)
    assert all(task.done() for task in waiting)
