"""Jobs of the plugin: training, prediction and ingestion as commands in separate processes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from monai_app.background.command import StoppableCommand
from monai_app.errors import ConfigError
from monai_app.files import file_sha256
from monai_app.napari.session import Session
from monai_app.stack import Stack

T = TypeVar("T")

_COUNT = re.compile(r"(?<=\s)(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)(?=[\s:,])")
_NO_LABEL = re.compile(r"[^A-Za-z0-9_.+-]")
_DIGITS = 8


@dataclass(frozen=True)
class Model:
    """A model that can be applied.

    Attributes:
        path: run folder or exported file.
        labels: the name of the label image with its prediction of a stack: the model's name and a part of the SHA-256
        of its weights, because other models may have the same name.
    """

    path: Path
    labels: str

    @classmethod
    def at(cls, path: Path) -> "Model":
        """The model of a run folder or an exported file.

        Raises:
            ConfigError: it has no trained weights.
        """
        from monai_app.bundle.runs import WEIGHTS  # loads torch, which takes seconds

        weights = path / WEIGHTS if path.is_dir() else path
        if not weights.is_file():
            raise ConfigError(f"{path} has no trained weights; choose a run folder with a finished training")
        return cls(path, f"model_{_NO_LABEL.sub('_', path.name)}_{file_sha256(weights)[:_DIGITS]}")


class Job(Generic[T]):
    """Work that a thread waits for.

    Args:
        log: file to which output is appended.
        kept: description of what is kept if it is stopped.
        work: called with the job.

    Attributes:
        command: runs commands until the job is stopped.
    """

    def __init__(self, log: Path, kept: str, work: Callable[["Job[T]"], T]) -> None:
        self.log, self.kept, self._work, self.command = log, kept, work, StoppableCommand()
        self._read = 0
        log.touch()

    def __call__(self) -> T:
        """Do the work.

        Raises:
            StoppedError: it was stopped.
            AppError: it cannot be done, or failed.
        """
        return self._work(self)

    def stop(self) -> None:
        """Kill its processes."""
        self.command.stop()

    def news(self) -> str:
        """Return the output since the last call."""
        with self.log.open("rb") as log_file:
            log_file.seek(self._read)
            text = log_file.read()
        self._read += len(text)
        return text.decode(errors="replace")


def stopped_training(stack: Stack) -> str | None:
    """Return the name of the stopped run of a stack that has complete epochs; None if there is none."""
    folder = _runs_of(stack)
    if not folder.is_dir():
        return None
    from monai_app.bundle.runs import Runs  # loads torch, as above

    stopped = Runs(folder).stopped
    return None if stopped is None else stopped.name


def train(stack: Stack, options: Sequence[str], log: Path, *, resume: bool = False) -> Job[Path]:
    """Return the job of ``monai-app train`` on the current annotations of a stack, which returns the run folder.

    Args:
        stack: the stack.
        options: of the command.
        log: see `Job`.
        resume: resume the stopped training with its original annotations; otherwise it is kept, and the new run has its
        own folder.
    """

    def work(job: Job[Path]) -> Path:
        from monai_app.bundle.runs import Runs, resume_stopped, train_next  # loads torch, as above

        runs = Runs(_runs_of(stack))
        if resume:
            return resume_stopped(runs, options, job.log, job.command)
        runs.set_aside()
        return train_next(runs, stack.reopened(), options, job.log, job.command, resume=False)

    return Job(log, "complete epochs are kept, and Train offers to resume from them", work)


def predict(stack: Stack, model: Model, z: int | None, log: Path, *, overwrite: bool = False) -> Job[str]:
    """Return the job of ``monai-app segment``, which returns the name of the label image.

    Args:
        stack: the stack.
        model: is applied.
        z: the slice; None for all, in a separate label image.
        log: see `Job`.
        overwrite: replace a finished label image of all slices; one of a slice is always replaced.
    """
    name = model.labels if z is None else f"{model.labels}_slice"
    words = ["segment", str(stack.path), str(model.path), "--labels", name, "--confidence", "max"]
    words += [] if z is None else ["--z", str(z)]
    words += ["--overwrite"] if overwrite or z is not None else []

    def work(job: Job[str]) -> str:
        job.command(words, job.log)
        return name

    return Job(log, "finished tiles are kept, and the same prediction resumes from them", work)


def store_of(description: Path) -> Path:
    """Return the store of a sample, named like the description and next to it."""
    return description.with_suffix(".ome.zarr")


def ingest(description: Path, log: Path, *, overwrite: bool = False) -> Job[Path]:
    """Return the job of ``monai-app ingest``, which returns the store.

    Args:
        description: of the sample.
        log: see `Job`.
        overwrite: replace a store that is there, with all its labels.
    """
    store = store_of(description)
    words = ["ingest", str(description), str(store), *(["--overwrite"] if overwrite else [])]

    def work(job: Job[Path]) -> Path:
        job.command(words, job.log)
        return store

    return Job(log, "nothing is kept, and it starts from scratch", work)


def opened(path: Path) -> tuple[Session, Model | None]:
    """Open a stack, and find the model that was trained on it here last.

    Raises:
        AppError: see `Session`.
    """
    session = Session(path)
    folder = _runs_of(session.stack)
    if not folder.is_dir():
        return session, None
    from monai_app.bundle.runs import WEIGHTS, Runs  # loads torch, as above

    run = Runs(folder).current
    return session, Model.at(run) if run is not None and (run / WEIGHTS).is_file() else None


def progress_in(text: str) -> tuple[float, float] | None:
    r"""Return the first count of the last line with one in the output of a command, as done and total, or None.

    Example:
        >>> progress_in("epoch 1/20: loss 1.8\nepoch 2/20: loss 1.2, val_mean_iou 0.4\n")
        (2.0, 20.0)
    """
    counts = [found for line in text.splitlines() if (found := _COUNT.search(line))]
    return (float(counts[-1][1]), float(counts[-1][2])) if counts else None


def _runs_of(stack: Stack) -> Path:
    """The folder of the runs that are trained on a stack here, beside it."""
    return stack.path.with_name(f"{stack.store_name}_runs")
