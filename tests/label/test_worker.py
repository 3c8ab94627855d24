"""What an inference does to its process is not done to those that wait, nor to the next."""

import errno
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_app.errors import AppError, StackError
from monai_app.label.errors import (
    STOPS,
    AbandonedError,
    InferenceError,
    NoMemoryError,
    NoRoomError,
    QueueFullError,
    StoppingError,
)
from monai_app.label.inference import Job
from monai_app.label.worker import InferenceProcess
from tests.label.servers import wait_for


def work(job: Job) -> dict[str, Any]:
    """What the name of the run asks for; called in the process."""
    if job.run.name == "die":
        wait_for(job.target.exists)
        os.kill(os.getpid(), signal.SIGKILL)
    if job.run.name == "hog":
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limits[1]))
        try:
            np.ones(1 << 40, np.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    if job.run.name == "full":
        raise StackError("the labels cannot be written") from OSError(errno.ENOSPC, "No space left on device")
    if job.run.name == "sleep":
        job.target.touch()
        time.sleep(60)
    return {"run": job.run.name}


def job(name: str, target: Path = Path("target")) -> Job:
    return Job(Path(name), Path("stack"), target)


def in_line(process: InferenceProcess, number: int) -> None:
    """Wait until so many inferences run or wait."""
    wait_for(lambda: len(process._line) == number)


@pytest.fixture(scope="module")
def process() -> Iterator[InferenceProcess]:
    found = InferenceProcess(2, work)
    yield found
    found.close()


def test_too_little_memory_a_full_disk_and_a_killed_process_fail_one_inference_alone(
    process: InferenceProcess, tmp_path: Path
) -> None:
    with pytest.raises(NoMemoryError, match="--memory"):
        process.run(job("hog"))
    with pytest.raises(NoRoomError, match="disk is full"):
        process.run(job("full"))
    assert process.run(job("fine")) == {"run": "fine"}
    told: list[object] = []

    def run(name: str) -> None:
        try:
            told.append(process.run(job(name, tmp_path / "now")))
        except AppError as error:
            told.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("die", "waits", "waits")]
    for number, thread in enumerate(threads, 1):
        thread.start()
        in_line(process, number)
    with pytest.raises(QueueFullError):
        process.run(job("one more"))
    (tmp_path / "now").touch()
    for thread in threads:
        thread.join(60)
    assert isinstance(told[0], InferenceError)
    assert "died" in str(told[0])
    assert told[1:] == [{"run": "waits"}] * 2


def test_what_nobody_wants_any_more_leaves_the_line_or_ends_and_others_go_on(
    process: InferenceProcess, tmp_path: Path
) -> None:
    told: dict[str, object] = {}
    cancelled = {name: threading.Event() for name in ("sleep", "leaves", "stays", "comes")}

    def run(name: str) -> None:
        try:
            told[name] = process.run(job(name, tmp_path / name), cancelled[name])
        except AppError as error:
            told[name] = error

    process.run(job("started"))
    threads = {name: threading.Thread(target=run, args=(name,)) for name in cancelled}
    for number, name in enumerate(("sleep", "leaves", "stays"), 1):
        threads[name].start()
        in_line(process, number)
    wait_for((tmp_path / "sleep").exists)
    cancelled["leaves"].set()
    threads["leaves"].join(20)
    assert isinstance(told["leaves"], AbandonedError)
    threads["comes"].start()  # there is room again
    in_line(process, 3)
    assert list(told) == ["leaves"]
    cancelled["sleep"].set()
    threads["sleep"].join(20)  # and not the 60 seconds of the job
    assert isinstance(told["sleep"], AbandonedError)
    for name in ("stays", "comes"):
        threads[name].join(30)
    assert list(told.items())[2:] == [("stays", {"run": "stays"}), ("comes", {"run": "comes"})]  # in their order


def sleep(process: InferenceProcess, told: list[AppError], begun: Path) -> None:
    """Wait for a long job, and note how that ends; ``begun`` is there when it runs."""
    try:
        process.run(job("sleep", begun))
    except AppError as error:
        told.append(error)


def test_closing_ends_what_runs_and_starts_nothing_for_what_waits(process: InferenceProcess, tmp_path: Path) -> None:
    told: list[AppError] = []

    threads = [threading.Thread(target=sleep, args=(process, told, tmp_path / "runs")) for _ in range(2)]
    for thread in threads:
        thread.start()
    in_line(process, 2)
    wait_for((tmp_path / "runs").exists)
    process.close()
    for thread in threads:
        thread.join(20)  # and not the 60 seconds of the job
    assert len(told) == 2
    assert all(isinstance(error, StoppingError) for error in told)


def test_closing_ends_a_process_that_only_just_begins(tmp_path: Path) -> None:
    process = InferenceProcess(1, work)
    told: list[AppError] = []

    threads = [threading.Thread(target=sleep, args=(process, told, tmp_path / "runs"))]
    threads[0].start()
    while process._pool is None:
        time.sleep(0)
    begin = time.monotonic()
    process.close()
    threads[0].join(30)
    assert time.monotonic() - begin < 30  # and not the 60 seconds of the job
    assert [str(error) for error in told] == [STOPS]
