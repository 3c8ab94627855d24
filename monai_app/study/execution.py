"""Carry out the trainings of a study, each with the commands that a person would give."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

from monai_app.background.child import COMMAND
from monai_app.bundle.prepare import CHECKPOINT, read_record
from monai_app.errors import AppError, FailedError
from monai_app.files import file_sha256, write_json
from monai_app.progress import Progress, silent
from monai_app.study.baselines.process import read_result
from monai_app.study.design import Design, validation_of
from monai_app.study.runs import StudyRun
from monai_app.training import is_finished
from monai_app.training.evaluation import read_stack_scores

_BASELINE = (sys.executable, "-m", "monai_app.study.baselines.process")

_SHOWN = 3
"""Last lines of a log that an error shows."""


def is_done(run: StudyRun) -> bool:
    """Whether a run has been trained to its end and scored, both on the stack as it is annotated now.

    Raises:
        ConfigError: its record or checkpoint is damaged.
    """
    if not run.variant.is_network:
        return read_result(run.folder, run.stack.identity) is not None
    return _is_trained(run) and read_stack_scores(run.folder, run.stack.identity) is not None


def carry_out(
    runs: Sequence[StudyRun],
    design: Design,
    *,
    jobs: int = 1,
    report: Callable[[str], None] = lambda line: None,
    progress: Progress = silent,
) -> None:
    """Train and score every run that is not done.

    A training that was stopped resumes where it was. One that fails does not keep the others from being carried out;
    nor does one that was trained on other annotations, which is left as it is.

    Args:
        runs: the runs.
        design: how they are trained.
        jobs: trainings at the same time.
        report: called with what was done, line by line.
        progress: called for every run.

    Raises:
        FailedError: trainings failed; all others are done.
    """
    failed = []
    progress(0, len(runs))
    pool, commands = ThreadPoolExecutor(jobs), _Commands(jobs)
    try:
        tasks = {pool.submit(_complete, run, design, commands): run for run in runs}
        for number, task in enumerate(as_completed(tasks), 1):
            try:
                if task.result():
                    report(f"done: {tasks[task].name}")
            except (AppError, OSError) as error:
                failed.append(f"{tasks[task].name}: {error}")
            progress(number, len(runs))
    finally:
        commands.kill()  # where the loop was left early
        pool.shutdown(cancel_futures=True)
    if failed:
        raise FailedError("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *failed]))


def seconds_of(run: StudyRun) -> float | None:
    """How long the training of a network's weights took, start of the program included; None if it was resumed."""
    try:
        record = json.loads(run.record.read_text(encoding="utf8"))
    except FileNotFoundError:
        return None
    return float(record["seconds"]) if record["weights_sha256"] == file_sha256(_weights(run)) else None


class _Commands:
    """Our commands, each in a process of its own, which are killed together.

    Args:
        jobs: how many run at the same time; they share the processor's cores.
    """

    def __init__(self, jobs: int) -> None:
        threads = {"OMP_NUM_THREADS": str(max(len(os.sched_getaffinity(0)) // jobs, 1))} if jobs > 1 else {}
        self._environment = {**threads, **os.environ}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._killed = threading.Lock(), False

    def run(self, run: StudyRun, command: Sequence[str], *words: object) -> None:
        """Run a command with more words; all that it says goes into the log of the study's run.

        Raises:
            FailedError: it failed, or was killed.
        """
        with run.log.open("ab") as log:
            with self._lock:
                if self._killed:
                    raise FailedError("it was stopped")
                process = subprocess.Popen(
                    [*command, *map(str, words)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        if code:
            last = run.log.read_text(encoding="utf8", errors="replace").strip().splitlines()[-_SHOWN:]
            raise FailedError(f"{' '.join(last)} ({run.log} says more; it ended with {code})")

    def kill(self) -> None:
        """Kill those that run, and let no other begin."""
        with self._lock:
            self._killed = True
            for process in self._running:
                with suppress(ProcessLookupError):  # those that it started end too
                    os.killpg(process.pid, signal.SIGKILL)


def _is_trained(run: StudyRun) -> bool:
    """Whether a network has been trained to its end, on the stack as it is annotated now."""
    if not is_finished(run.folder / CHECKPOINT):
        return False
    return bool(read_record(run.folder)["stack"] == run.stack.identity)


def _complete(run: StudyRun, design: Design, commands: _Commands) -> bool:
    """Train where that is not done, then score; return whether anything was to be done.

    The command refuses to train in the folder of a training on other annotations, which is told.
    """
    if is_done(run):
        return False
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    if not run.variant.is_network:
        words = (run.stack.path, run.variant.name, run.seed, run.folder, *validation_of(run.variant, design))
        commands.run(run, _BASELINE, *words)
        return True
    if not _is_trained(run):
        resumed, begin = run.folder.exists(), time.perf_counter()
        commands.run(run, COMMAND, "train", run.stack.path, run.folder, *_options(run, design))
        if not resumed:
            seconds = round(time.perf_counter() - begin, 1)
            write_json(run.record, {"seconds": seconds, "weights_sha256": file_sha256(_weights(run))})
    commands.run(run, COMMAND, "evaluate", run.stack.path, run.folder)
    if read_stack_scores(run.folder, run.stack.identity) is None:
        raise FailedError(f"{run.stack.path} was annotated meanwhile; give the same command again")
    return True


def _options(run: StudyRun, design: Design) -> list[str]:
    settings = [word for name, value in design.settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    given = {
        "--variant": run.variant.settings.name,
        "--size": design.size,
        "--epochs": design.epochs,
        "--seed": run.seed,
    }
    return [*(str(word) for pair in given.items() for word in pair), *settings]


def _weights(run: StudyRun) -> Path:
    return run.folder / "models" / "model.pt"
