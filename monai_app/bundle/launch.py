"""Run a command in several processes on this machine, as ``torchrun --standalone`` does, and report failures briefly.

``torchrun`` prints a page of text for a failure, and accepts pickles on all network interfaces. So its launcher is
called directly: processes find each other through a file in a private folder and communicate over the loopback
interface.
"""

import logging
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from monai_app import errors
from monai_app.errors import AppError, ConfigError, StoppedError
from monai_app.progress import counted
from monai_app.storage import refused
from monai_app.temporary import process_folder

MOST_PROCESSES = 256
"""On one machine."""

_LOOPBACK = "lo"

_GRACE = 30
"""Seconds that a process has to end after a signal."""

_PERIOD = 0.1
"""Seconds between two polls of the processes."""

RESUMES = "finished work is kept; run the same command, without --overwrite, to resume"


def check_processes(processes: int) -> None:
    """Check the number of processes before the work starts.

    Raises:
        ConfigError: it is below 1 or above 256, or the machine has GPUs but fewer than processes.
    """
    import torch

    if not 1 <= processes <= MOST_PROCESSES:
        raise ConfigError(
            f"processes {processes}: must be 1 or more, and at most {MOST_PROCESSES}; 1 computes in this process"
        )
    gpus = torch.cuda.device_count()
    if gpus and processes > gpus:
        raise ConfigError(
            f"processes {processes}: this machine has {counted(gpus, 'GPU')}, and each process needs one; lower "
            "the number"
        )


def launch(arguments: Sequence[str], processes: int) -> None:
    """Run ``python ARGUMENTS`` in several processes that can communicate, and wait for all to end.

    If one fails or is killed, the others are stopped, as they are when this process receives a signal to stop. The
    processes' standard output is shown on standard error. Their standard error goes to files, which are kept after an
    error.

    Raises:
        AppError: a process raised one.
        KeyboardInterrupt: this process received a signal to stop.
        StoppedError: a process was killed, or failed otherwise.
    """
    from torch.distributed.elastic.multiprocessing import SignalException

    folder = process_folder("launch")
    try:
        with _quiet(), _output_to_stderr(), _signal_handlers_restored():
            failures = _run(arguments, processes, folder)
    except SignalException as error:
        shutil.rmtree(folder)
        raise KeyboardInterrupt from error
    if failures:
        raise _explain(failures, processes, folder)
    shutil.rmtree(folder)


def _run(arguments: Sequence[str], processes: int, folder: Path) -> Mapping[int, Any]:
    """Run the processes to their end, and return the failures by their ranks."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std, start_processes

    from monai_app.training.processes import RENDEZVOUS

    ranks, size = range(processes), str(processes)
    shared = {
        RENDEZVOUS: str(folder / "rendezvous"),
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "GLOO_SOCKET_IFNAME": _LOOPBACK,
        "NCCL_SOCKET_IFNAME": _LOOPBACK,
    }
    started, others = None, psutil.Process().children()
    try:
        started = start_processes(
            "process",
            sys.executable,
            dict.fromkeys(ranks, ("-u", *arguments)),
            {rank: {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in ranks},
            DefaultLogsSpecs(log_dir=str(folder), redirects=Std.ERR),
        )
        result = started.wait(period=_PERIOD)
        assert result is not None  # it waits for ever
        return result.failures
    except SignalException as error:
        if started is not None:
            started.close(death_sig=error.sigval)
        else:  # the signal came while they were started, and torch may not know all of them yet
            _stop([each for each in psutil.Process().children() if each not in others], error.sigval)
        raise


def _stop(processes: Sequence[psutil.Process], number: int) -> None:
    """End processes by a signal, or kill those that it does not end."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)
    for each in psutil.wait_procs(processes, timeout=_GRACE)[1]:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def _explain(failures: Mapping[int, Any], processes: int, logs: Path) -> AppError:
    """Return the error of the process that failed first; others fail because they lose it."""
    reports = {int(path.parent.name): path.read_text(errors="replace") for path in logs.rglob("stderr.log")}
    reported = next(filter(None, map(_reported_error, reports.values())), None)
    rank = min(failures, key=lambda each: _order(failures[each].exitcode))
    code, pid = failures[rank].exitcode, failures[rank].pid
    killed = _order(code) == 0
    if killed or reported is not None or code < 0:
        shutil.rmtree(logs)
    if reported is not None and not killed:
        return reported
    if code < 0:
        name = signal.Signals(-code).name
        how = f"was killed by {name}" + (" (by a user, or because memory ran out)" if name == "SIGKILL" else "")
    else:
        last = (reports.get(rank, "").strip().splitlines() or ["it printed nothing"])[-1]
        kept = logs.rename(logs.with_name(f"failed-{logs.name}"))
        how = f"failed ({last}; full reports: {kept})"
    return StoppedError(f"process {rank + 1} of {processes}, pid {pid}, {how}; the others were stopped; {RESUMES}")


def _order(code: int) -> int:
    """Rank exit codes as causes: external signals, errors, and SIGTERM, with which the launcher stops the others."""
    return 2 if code == -signal.SIGTERM else 0 if code < 0 else 1


def _reported_error(report: str) -> AppError | None:
    """Find the package's own error, or an error of the disk, in a process's report."""
    found = re.search(r"^monai_app\.errors\.(\w+): (.*)$", report, re.MULTILINE)
    if found is None:
        system = re.search(r"^\w+Error: \[Errno (\d+)\] ([^:\n]+)(?:: '(.*)')?$", report, re.MULTILINE)
        return system and refused(OSError(int(system[1]), system[2], system[3]))
    kind: type[AppError] = getattr(errors, found[1])
    return kind(found[2])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the launcher's own warnings and errors, which this module reports."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Redirect the standard output of processes that start meanwhile to this one's standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _signal_handlers_restored() -> Iterator[None]:
    """Restore the signal handlers that the launcher replaces."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
