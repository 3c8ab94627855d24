"""The runs of one model in one folder, ``0001``, ``0002``, ...: which counts, and which was never finished."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.run_folder import CHECKPOINT, RECORD, check_idle
from monai_app.errors import ConfigError
from monai_app.files import atomic_file
from monai_app.names import check_file_name
from monai_app.stack import Stack, snapshot

Command = Callable[[Sequence[str], Path], None]
"""Runs our command line, given the words after ``monai-app``, adds what it says to a log, and raises its errors."""

CURRENT = "current.json"
"""File beside the runs that names the one which counts and the one whose training has not ended well.

It is replaced when a training begins in another folder and when one has succeeded, each time as a whole.
"""

WEIGHTS = Path("models") / "model.pt"


@dataclass(frozen=True)
class Runs:
    """The runs in a folder, which need not be there yet.

    Attributes:
        folder: the folder.
    """

    folder: Path

    @property
    def current(self) -> Path | None:
        """The run folder that counts, whether it is there or not; None where none ever did."""
        name = self._read().get("run")
        return None if name is None else self._path(name)

    @property
    def unfinished(self) -> Path | None:
        """The run folder whose training began last and never came to count; None where there is none to go on with."""
        name = self._read().get("unfinished")
        return None if name is None or not (self._path(name) / RECORD).is_file() else self._path(name)

    def begin(self) -> Path:
        """Return the folder for a training: the unfinished one's, or the next.

        Its name is noted before anything is made. So what a training finds in the folder that it is given is what one
        before it left that did not come to count: that is gone on with or replaced, and no other folder is touched. A
        run that counts now or once did is not noted as unfinished, whatever its number, and a folder that is no run
        was made by something else: it keeps its name, and the training gets another number.
        """
        noted = self._read()
        name = noted.get("unfinished")
        if name is not None and (self.unfinished or not self._path(name).exists()):
            return self._path(name)
        names = [path.name.removesuffix(".ome.zarr") for path in self.folder.glob("[0-9]*")]
        run = self.folder / f"{max((int(name) for name in names if name.isdecimal()), default=0) + 1:04d}"
        self._write(noted.get("run"), unfinished=run.name)
        return run

    @property
    def stopped(self) -> Path | None:
        """The unfinished run, if it has complete epochs to go on after; None otherwise."""
        run = self.unfinished
        return run if run is not None and (run / CHECKPOINT).is_file() else None

    def set_aside(self) -> None:
        """Keep the folder of the stopped run, if there is one: the next training gets another."""
        if self.stopped is not None:
            self._write(self._read().get("run"), unfinished=None)

    def publish(self, run: Path) -> None:
        """Let a trained run count from now on.

        Raises:
            ConfigError: it has no weights.
        """
        if not (run / WEIGHTS).is_file():
            raise ConfigError(f"{run} holds no trained weights; the model before it stays")
        self._write(run.name, unfinished=None)

    def _path(self, name: object) -> Path:
        return self.folder / check_file_name(str(name), f"{self.folder / CURRENT}: run")

    def _read(self) -> dict[str, Any]:
        pointer = self.folder / CURRENT
        return read_json(pointer, ("run",)) if pointer.is_file() else {}

    def _write(self, run: str | None, *, unfinished: str | None) -> None:
        with atomic_file(self.folder / CURRENT) as temporary:
            temporary.write_text(json.dumps({"run": run, "unfinished": unfinished}) + "\n", encoding="utf8")


def snapshot_of(run: Path) -> Path:
    """Return the path of the snapshot that a run reads; it lies beside the run's folder."""
    return run.with_name(f"{run.name}.ome.zarr")


def train_next(
    runs: Runs, stack: Stack, options: Sequence[str], log: Path, command: Command, *, resume: bool = True
) -> Path:
    """Train the next run on the annotations that a stack has now, and let it count.

    The command is ``monai-app train SNAPSHOT RUN``. Where the last training did not come to count and was the same, it
    is resumed; any other training takes its place, and its run and snapshot are gone.

    Args:
        runs: of the model.
        stack: the stack; annotations that come while this goes on are not trained on.
        options: more words of the command.
        log: file to which all that is said is added.
        command: runs the command.
        resume: whether to go on with the last training.

    Returns:
        The run folder.

    Raises:
        AppError: it cannot be trained, or failed; the run that counted before still counts.
    """
    run = runs.begin()
    check_idle(run)
    # Labels may come in while this goes on; what is trained on stays as it was, and can be looked up.
    data = snapshot(stack, snapshot_of(run), overwrite=True)
    words, again = ["train", str(data.path), str(run), *options], [] if resume else ["--overwrite"]
    begun = _time(run / CHECKPOINT)
    try:
        command([*words, *again], log)
    except ConfigError as error:
        if again or not run.exists() or _time(run / CHECKPOINT) != begun:
            raise
        with log.open("a", encoding="utf8") as lines:
            lines.write(f"{error}\na new training replaces {run.name}\n")
        command([*words, "--overwrite"], log)
    runs.publish(run)
    return run


def resume_stopped(runs: Runs, options: Sequence[str], log: Path, command: Command) -> Path:
    """Go on with the stopped training, on the annotations that it began with, and let its run count.

    Args:
        runs: of the model; one was stopped.
        options: more words of the command, as it began with.
        log: file to which all that is said is added.
        command: runs the command.

    Returns:
        The run folder.

    Raises:
        ConfigError: there is no such run, or it began with other options; it stays as it is.
        AppError: it failed; the run that counted before still counts.
    """
    run = runs.stopped
    if run is None:
        raise ConfigError(f"{runs.folder} has no stopped training; train a new one")
    command(["train", str(snapshot_of(run)), str(run), *options], log)
    runs.publish(run)
    return run


def _time(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.is_file() else None
