"""The package's errors: one small tree, each leaf also the builtin a caller may already catch.

A message names the offending value, the rule it breaks and the remedy. The command line shows it without a traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

REFUSED = 3
"""Exit code of a command that ended with an `AppError`."""


class AppError(Exception):
    """Base of every error that a user can cause and correct.

    Attributes:
        status: the HTTP status with which the label server answers.
    """

    status: ClassVar[int] = 422


class StackError(AppError, ValueError):
    """Images or a stored stack that cannot be used: missing slices, unequal detectors, unreadable files."""


class AnnotationError(AppError, ValueError):
    """Annotations that do not fit the stack or its phases."""


class ConfigError(AppError, ValueError):
    """A description, simulator configuration, bundle or command-line value that breaks its rule."""


class TargetExistsError(AppError, FileExistsError):
    """The target is there already and may not be replaced unasked."""

    status = 409


class BusyError(AppError, RuntimeError):
    """Another process is writing the same target."""

    status = 409


class OutdatedError(AppError, RuntimeError):
    """What was to be changed is not what it was when the change began: somebody else changed it."""

    status = 409


class DivergedError(AppError, ArithmeticError):
    """A training whose loss or weights are not finite numbers any more."""


class NotTrainedError(AppError, RuntimeError):
    """The model has no weights yet."""

    status = 409


class StorageError(AppError, OSError):
    """A disk that is full or read-only, or a file system that lacks what is needed; ``errno`` is the system's."""

    def __str__(self) -> str:
        """Return the message, where OSError would make one of ``errno`` and ``strerror``."""
        return str(self.args[0])


class StoppedError(AppError, RuntimeError):
    """A person or the system stopped the work; what is done is kept."""

    status = 409


class InsufficientSpaceError(AppError, RuntimeError):
    """Memory or disk are full, or would be."""

    status = 507


class NotFoundError(AppError, LookupError):
    """There is no such thing."""

    status = 404


class RunningError(AppError, RuntimeError):
    """Work of this kind runs already."""

    status = 429


class FailedError(AppError, RuntimeError):
    """Work ended in a way that nobody foresaw, or its process died."""

    status = 500


class UnavailableError(AppError, RuntimeError):
    """As much work waits as may, or whatever does it ends."""

    status = 503


class Faults:
    """Errors that do not depend on each other, told together, so that a person corrects all of them at once.

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

    Faults of three files or more that differ in the file alone are told once.
    """

    _SHOWN = 12

    def __init__(self) -> None:
        self._found: list[AppError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    @staticmethod
    def _together(lines: list[str]) -> list[str]:
        """One line for several that differ in the file alone."""
        if len(lines) < 3:
            return lines
        (first, _, what), (second, *_) = (line.partition(": ") for line in lines[:2])
        return [f"{first}, {second} and {len(lines) - 2} more: {what}"]

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note an error of the body, which ends there."""
        try:
            yield
        except AppError as error:
            self._found.append(error)

    def check(self) -> None:
        """Raise what was noted, as an error of the first one's type.

        Raises:
            AppError: a line, or more, for each; the first ones where there are many.
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


DISK_FULL = "the disk is full; remove what is not needed any more (uploads, labels), and try again"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk, or of a quota that is used up."""
    return any(isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes(error))


def user_error(error: BaseException | None) -> AppError | None:
    """Find the package's own error in a chain of causes: MONAI wraps what fails in a config."""
    return next((each for each in causes(error) if isinstance(each, AppError)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, what caused that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
