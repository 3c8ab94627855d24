"""A ``monai.bundle run`` call, in one process or several: the same object prints the command line and runs it."""

import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.settings import literally
from monai_app.bundle.launch import launch
from monai_app.errors import user_error
from monai_app.storage import refused


@dataclass(frozen=True)
class BundleCommand:
    """One ``python -m monai.bundle run`` call.

    Attributes:
        config_files: config files; each overrides those before it.
        overrides: config ids and their values, or options of MONAI's ``run`` such as ``tracking``.
        processes: number of processes on this machine, started as by ``torchrun``.
    """

    config_files: Sequence[Path]
    overrides: dict[str, Any] = field(default_factory=dict)
    processes: int = 1

    @property
    def arguments(self) -> list[str]:
        """The arguments after ``python -m monai.bundle``."""
        files = [str(path) for path in self.config_files]
        return [
            "run",
            "--config_file",
            files[0] if len(files) == 1 else str(files),
            *_options(literally(self.overrides)),
        ]

    @property
    def words(self) -> list[str]:
        """The words of the command line."""
        together = ["torchrun", "--standalone", "--nproc_per_node", str(self.processes)]
        return [*(["python"] if self.processes == 1 else together), "-m", "monai.bundle", *self.arguments]

    def __str__(self) -> str:
        """The command line, quoted for a POSIX shell."""
        return " ".join(map(_quoted, self.words))

    def run(self) -> None:
        """Run the call in this process, or in several new ones.

        Raises:
            AppError: the call failed for a reason that the user can correct, such as a full disk; without MONAI's
            wrapping.
        """
        if self.processes > 1:
            launch(["-m", "monai.bundle", *self.arguments], self.processes)
            return
        from monai.bundle import run as run_bundle

        files = [str(path) for path in self.config_files]
        try:
            with warnings.catch_warnings():
                # MONAI warns on every run that configs are code; `check_trusted` checks them.
                warnings.filterwarnings("ignore", message=".*GHSA-.*")
                run_bundle(config_file=files, **literally(self.overrides))
        except Exception as error:
            from monai_app.device.memory import training_full  # which loads torch

            cause = user_error(error) or refused(error) or training_full(error)
            if cause is None:
                raise
            raise cause from error


def command_line(task: str, options: Mapping[str, Any]) -> str:
    """Return the ``python -m monai.bundle`` command of a task other than ``run``, quoted for a POSIX shell."""
    return " ".join(map(_quoted, ["python", "-m", "monai.bundle", task, *_options(options)]))


def _options(options: Mapping[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", _word(value))]


def _quoted(word: str) -> str:
    """Quote a word for a POSIX shell; one that contains quotes is put in double quotes."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!\n') else shlex.quote(word)


def _word(value: Any) -> str:
    """Write a value so that Fire, which parses MONAI's command line, reads the same value.

    It evaluates words that look like Python: the strings ``"2024_11_22"`` and ``"[a]"`` need additional quotes.
    """
    from fire.parser import DefaultParseValue

    return value if isinstance(value, str) and DefaultParseValue(value) == value else repr(value)
