"""Types of arguments: a path or a string for a file, an opened stack or its path for a stack."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from monai_app.errors import ConfigError
from monai_app.stack import Stack

PathLike = str | os.PathLike[str]
"""A path, also as a string."""

StackLike = Stack | PathLike
"""A stack, also as the path of its store."""

Report = Callable[[str], None]
"""Called with messages about what was done, line by line."""

Show = Callable[[Any], None]
"""Called with the equivalent ``python -m monai.bundle run`` command before the work starts."""

Stream = Literal["stdout", "stderr"]
"""Name of the stream that is logged to."""

LogConfig = Callable[[Stream], str]
"""Returns a config file of Python's ``logging`` that logs to a stream; called when MONAI's loggers exist."""


def ignore(anything: object) -> None:
    """Ignore reported messages."""


def path_of(value: object, name: str) -> Path:
    """Return the path that the argument of this name gives.

    Raises:
        ConfigError: it is not a path.
    """
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} {value!r} is not a path; give a string or a Path")
    return Path(value)


_Value = TypeVar("_Value")


def several(values: _Value | Iterable[_Value]) -> list[_Value]:
    """Return values as a list; a lone one, such as a name, is a list of one."""
    return [values] if isinstance(values, str) or not isinstance(values, Iterable) else [*values]


def opened(stack: StackLike) -> Stack:
    """Return a stack with its current annotations.

    Raises:
        ConfigError: it is neither a stack nor a path.
        StackError: there is no stack at the path, or another one was ingested in its place.
    """
    return stack.reopened() if isinstance(stack, Stack) else Stack.open(path_of(stack, "stack"))


def opened_all(stacks: StackLike | Sequence[StackLike]) -> list[Stack]:
    """Return one stack, or all of several, with their current annotations.

    Raises:
        ConfigError: there is none, or see `opened`.
        StackError: see `opened`.
    """
    given: list[StackLike] = several(stacks)
    if not given:
        raise ConfigError("no stack is given; give one or several")
    return [*map(opened, given)]
