"""Trainings, predictions and ingestions of the plugin: our command line in processes of its own, and what it says."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from monai_app.background.command import StoppableCommand
from monai_app.napari.session import Session
from monai_app.stack import Stack

T = TypeVar("T")

_COUNT = re.compile(r"(?<=\s)(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)(?=[\s:,])")


class Job(Generic[T]):
    """Work that a thread waits for.

    Args:
        log: file that what is said is added to.
        work: is given the job.

    Attributes:
        command: runs our command line until the job is stopped.
    """

    def __init__(self, log: Path, work: Callable[["Job[T]"], T]) -> None:
        self.log, self._work, self.command = log, work, StoppableCommand()
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
        """Stop it as Ctrl-C stops the command: what is done stays, and the same work asked for again goes on."""
        self.command.stop()

    def news(self) -> str:
        """What was said since the last call."""
        with self.log.open("rb") as said:
            said.seek(self._read)
            text = said.read()
        self._read += len(text)
        return text.decode(errors="replace")


def train(stack: Stack, options: Sequence[str], log: Path) -> Job[Path]:
    """The job of ``monai-app train`` on the annotations that a stack has when it begins; gives the run folder.

    Args:
        stack: the stack.
        options: of the command.
        log: see `Job`.
    """

    def work(job: Job[Path]) -> Path:
        from monai_app.bundle.runs import Runs, train_next  # loads torch, which takes seconds

        return train_next(Runs(_runs_of(stack)), stack.reopened(), options, job.log, job.command)

    return Job(log, work)


def predict(stack: Stack, model: Path, z: int | None, log: Path, *, overwrite: bool = False) -> Job[str]:
    """The job of ``monai-app segment``; gives the name of the label image.

    Args:
        stack: the stack.
        model: run folder or exported file.
        z: the slice; None for all, as a label image of their own.
        log: see `Job`.
        overwrite: replace a finished label image of all slices; one of a slice is always replaced.
    """
    name = labels_name(model, z)
    words = ["segment", str(stack.path), str(model), "--labels", name, "--confidence", "max"]
    words += [] if z is None else ["--z", str(z)]
    words += ["--overwrite"] if overwrite or z is not None else []

    def work(job: Job[str]) -> str:
        job.command(words, job.log)
        return name

    return Job(log, work)


def store_of(description: Path) -> Path:
    """The store that a sample is ingested into: it is called like the description, and lies beside it."""
    return description.with_suffix(".ome.zarr")


def ingest(description: Path, log: Path, *, overwrite: bool = False) -> Job[Path]:
    """The job of ``monai-app ingest``; gives the store.

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

    return Job(log, work)


def opened(path: Path) -> tuple[Session, Path | None]:
    """Open a stack, and find the run folder that was trained on it here last.

    Raises:
        AppError: as `Session`.
    """
    session = Session(path)
    folder = _runs_of(session.stack)
    if not folder.is_dir():
        return session, None
    from monai_app.bundle.runs import WEIGHTS, Runs  # loads torch, as above

    run = Runs(folder).current
    return session, run if run is not None and (run / WEIGHTS).is_file() else None


def labels_name(model: Path, z: int | None) -> str:
    """The name of the label image that a model's prediction of a slice, or of the stack, becomes."""
    return f"model_{model.stem}" if z is None else f"model_{model.stem}_slice"


def progress_in(text: str) -> tuple[float, float] | None:
    r"""How much is done, and of how much, as the last count in what a command says has it; None without any.

    Example:
        >>> progress_in("epoch 1/20: loss 1.8\nepoch 2/20: loss 1.2, val_mean_iou 0.4\n")
        (2.0, 20.0)
    """
    counts = _COUNT.findall(text)
    return (float(counts[-1][0]), float(counts[-1][1])) if counts else None


def _runs_of(stack: Stack) -> Path:
    """The folder of the runs that are trained on a stack here, beside it."""
    return stack.path.with_name(f"{stack.store_name}_runs")
