"""The runs of one model in one folder, ``0001``, ``0002``, ...: the current one and an unfinished one."""

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
"""Runs ``monai-app`` with these arguments, appends its output to a log, and raises its errors."""

CURRENT = "current.json"
"""File next to the runs that names the current run and the unfinished one.

It is replaced atomically when a training starts in another folder and when one succeeds.
"""

WEIGHTS = Path("models") / "model.pt"


@dataclass(frozen=True)
class Runs:
    """The runs in a folder, which need not exist yet.

    Attributes:
        folder: the folder.
    """

    folder: Path

    @property
    def current(self) -> Path | None:
        """The current run folder, which may be missing; None if there never was one."""
        name = self._read().get("run")
        return None if name is None else self._path(name)

    @property
    def unfinished(self) -> Path | None:
        """The run folder of the last training if it is unfinished; None if there is none to resume."""
        name = self._read().get("unfinished")
        return None if name is None or not (self._path(name) / RECORD).is_file() else self._path(name)

    def begin(self) -> Path:
        """Return the folder for a training: that of the unfinished one, or the next.

        Its name is recorded before anything is created. So the content of the folder, if any, was left by an unfinished
        training, which is resumed or replaced, and no other folder is touched. A current or former run is never
        recorded as unfinished, and a folder that is not a run keeps its name: the training gets another number.
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
        """The unfinished run if it has complete epochs to resume from; None otherwise."""
        run = self.unfinished
        return run if run is not None and (run / CHECKPOINT).is_file() else None

    def set_aside(self) -> None:
        """Keep the folder of the stopped run, if any: the next training gets another one."""
        if self.stopped is not None:
            self._write(self._read().get("run"), unfinished=None)

    def publish(self, run: Path) -> None:
        """Make a trained run the current one.

        Raises:
            ConfigError: it has no weights.
        """
        if not (run / WEIGHTS).is_file():
            raise ConfigError(f"{run} has no trained weights; the previous model stays current")
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
    """Return the path of the snapshot that a run reads, next to the run folder."""
    return run.with_name(f"{run.name}.ome.zarr")


def train_next(
    runs: Runs, stack: Stack, options: Sequence[str], log: Path, command: Command, *, resume: bool = True
) -> Path:
    """Train the next run on the current annotations of a stack, and make it the current run.

    The command is ``monai-app train SNAPSHOT RUN``. If the last training is unfinished and was the same, it is resumed;
    any other training replaces it, with its run and snapshot.

    Args:
        runs: of the model.
        stack: the stack; annotations that arrive during training are not used.
        options: further arguments of the command.
        log: file to which all output is appended.
        command: runs the command.
        resume: whether to resume the last training.

    Returns:
        The run folder.

    Raises:
        AppError: it cannot be trained, or failed; the previous run stays current.
    """
    run = runs.begin()
    check_idle(run)
    # Labels may arrive during training; the snapshot preserves what is trained on.
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
    """Resume the stopped training with its original annotations, and make its run the current one.

    Args:
        runs: of the model; one was stopped.
        options: further arguments of the command, the same as at its start.
        log: file to which all output is appended.
        command: runs the command.

    Returns:
        The run folder.

    Raises:
        ConfigError: there is no such run, or it was started with other options; it stays unchanged.
        AppError: it failed; the previous run stays current.
    """
    run = runs.stopped
    if run is None:
        raise ConfigError(f"{runs.folder} has no stopped training; train a new one")
    command(["train", str(snapshot_of(run)), str(run), *options], log)
    runs.publish(run)
    return run


def _time(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.is_file() else None
