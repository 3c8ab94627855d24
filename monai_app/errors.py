"""The errors of this package; most also derive from a builtin that callers may already catch.

A message names the value, the rule and the remedy. The command line shows it without a traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

REFUSED = 3
"""Exit code of a command that failed with an `AppError`."""


class AppError(Exception):
    """Base of every error that a user can cause and correct.

    Attributes:
        status: the HTTP status with which the label server answers.
    """

    status: ClassVar[int] = 422


class StackError(AppError, ValueError):
    """Images or a stored stack cannot be used: missing slices, inconsistent detectors, unreadable files."""


class AnnotationError(AppError, ValueError):
    """Annotations do not fit the stack or its phases."""


class ConfigError(AppError, ValueError):
    """A description, simulator configuration, bundle or command-line value is invalid."""


class TargetExistsError(AppError, FileExistsError):
    """The target exists and may not be replaced."""

    status = 409


class BusyError(AppError, RuntimeError):
    """Another process is writing the same target."""

    status = 409


class OutdatedError(AppError, RuntimeError):
    """The data to change was changed by another process or user in the meantime."""

    status = 409


class DivergedError(AppError, ArithmeticError):
    """A training diverged: its loss or weights are not finite."""


class NotTrainedError(AppError, RuntimeError):
    """The model has no weights yet."""

    status = 409


class StorageError(AppError, OSError):
    """A disk is full or read-only, or a file system lacks a feature; ``errno`` is that of the operating system."""

    def __str__(self) -> str:
        """Return the message; OSError would build one from ``errno`` and ``strerror``."""
        return str(self.args[0])


class StoppedError(AppError, RuntimeError):
    """The user or the system stopped the work; completed work is kept."""

    status = 409


class SignalError(StoppedError):
    """A signal to this process, such as that of Ctrl-C, stopped the work; completed work is kept."""


class InsufficientSpaceError(AppError, RuntimeError):
    """Memory, disk or quota is or would be exhausted."""

    status = 507


class NotFoundError(AppError, LookupError):
    """The requested object does not exist."""

    status = 404


class RunningError(AppError, RuntimeError):
    """A job of this kind is already running."""

    status = 429


class FailedError(AppError, RuntimeError):
    """Work failed unexpectedly, or its process died."""

    status = 500


class UnavailableError(AppError, RuntimeError):
    """The queue is full, or the server is shutting down."""

    status = 503


class Faults:
    """Collects independent errors and raises them together, so that the user can correct all of them at once.

    Example:
        >>> faults = Faults()
        >>> for value in (3, 300, 400):
        ...     with faults.noted():
        ...         if value > 255:
        ...             raise ConfigError(f"{value} is more than 255; correct it")
        >>> faults.check()
        Traceback (most recent call last):
        monai_app.errors.ConfigError: 300 is more than 255; correct it
        400 is more than 255; correct it

    Errors of three files or more that differ only in the file are merged into one line.
    """

    _SHOWN = 12

    def __init__(self) -> None:
        self._found: list[AppError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    @staticmethod
    def _together(lines: list[str]) -> list[str]:
        """Return one line for several errors that differ only in the file."""
        if len(lines) < 3:
            return lines
        (first, _, what), (second, *_) = (line.partition(": ") for line in lines[:2])
        return [f"{first}, {second} and {len(lines) - 2} more: {what}"]

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Record an error of the body, which ends there."""
        try:
            yield
        except AppError as error:
            self._found.append(error)

    def check(self) -> None:
        """Raise the recorded errors as one error of the first one's type.

        Raises:
            AppError: with a line or more for each, limited to the first ones.
        """
        if not self._found:
            return
        alike: dict[str, list[str]] = {}
        for line in dict.fromkeys("\n".join(map(str, self._found)).splitlines()):
            file, _, what = line.partition(": ")
            alike.setdefault(what if os.path.exists(file) else line, []).append(line)  # noqa: PTH110  # any text
        lines = [line for same in alike.values() for line in self._together(same)]
        rest = len(lines) - self._SHOWN
        text = "\n".join(lines[: self._SHOWN] + ([f"and {rest} more"] if rest > 0 else []))
        raise type(self._found[0])(text) from None


DISK_FULL = "the disk is full; remove files that are no longer needed (uploads, labels), and try again"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error was caused by a full disk or an exhausted quota."""
    return any(isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes(error))


def user_error(error: BaseException | None) -> AppError | None:
    """Find the package's own error in a chain of causes, because MONAI wraps errors in configs."""
    return next((each for each in causes(error) if isinstance(each, AppError)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its chain of causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
