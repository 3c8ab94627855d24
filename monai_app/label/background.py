"""Work that goes on in processes of its own: trainings, batches, scorings. MONAI Label starts and watches them."""

import os
import threading
import time
from typing import Any

import psutil
from fastapi import HTTPException
from monailabel.utils.async_tasks import utils as tasks

from monai_app.label.errors import UnknownError

KINDS = ("train", "batch_infer", "scoring")

_BEGINS_SECONDS = 5.0
"""Work whose process is not there yet has one after this time at the latest."""

_starting = threading.Lock()


def start(kind: str, request: dict[str, Any]) -> Any:
    """Start work, one of a kind at a time.

    Raises:
        HTTPException: 429, one runs already.
    """
    with _starting:
        if _active(kind):
            raise HTTPException(429, f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
        os.environ.setdefault("PYTHONPATH", "")  # MONAI Label adds to it
        return _told(tasks.run_background_task(request, kind))


def status(kind: str, *, everything: bool, running: bool) -> Any:
    """Return the work that runs, or else what ran last; or everything since the server began.

    Raises:
        UnknownError: there is none.
    """
    known = _active(kind) if running else tasks.tasks(kind)
    if not known:
        raise UnknownError(f"no {kind} {'runs' if running else 'was started'}")
    return [_told(task) for task in known] if everything else _told(known[-1])


def stop(kind: str) -> Any:
    """Stop the work that runs; returns it, or None where none runs."""
    deadline = time.monotonic() + _BEGINS_SECONDS
    while True:
        stopped = _stop_process(kind)
        if stopped or not _active(kind) or time.monotonic() > deadline:
            return stopped and _told(stopped)
        time.sleep(0.05)  # its process is about to be there


def stop_all() -> None:
    """Stop all work and wait until its processes are gone."""
    children = [process for kind in KINDS for process in list(tasks.processes(kind).values())]
    for kind in KINDS:
        stop(kind)
    deadline = time.monotonic() + 5
    while any(process.poll() is None for process in children) and time.monotonic() < deadline:
        time.sleep(0.05)


def _stop_process(kind: str) -> Any:
    try:
        return tasks.stop_background_task(kind)
    except (psutil.NoSuchProcess, StopIteration, KeyError):
        return None  # it ended by itself in this moment


def _active(kind: str) -> list[dict[str, Any]]:
    return [task for task in tasks.tasks(kind) if task["status"] in ("SUBMITTED", "RUNNING")]


def _told(task: dict[str, Any]) -> dict[str, Any]:
    """A copy of what is known of work: its lines come in while it is told."""
    return {**task, "details": list(task.get("details", ()))}
