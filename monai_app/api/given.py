"""Types of arguments: a path or a string for a file, an opened stack or its path for a stack."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monai_app.stack import Stack

PathLike = str | os.PathLike[str]
"""A path, also as a string."""

StackLike = Stack | PathLike
"""A stack, also as the path of its store."""

Report = Callable[[str], None]
"""Called with messages about what was done, line by line."""

Show = Callable[[Any], None]
"""Called with the equivalent ``python -m monai.bundle run`` command before the work starts."""


def ignore(anything: object) -> None:
    """Ignore reported messages."""


def opened(stack: StackLike) -> Stack:
    """Return an opened stack.

    Raises:
        StackError: there is no stack at the path.
    """
    return stack if isinstance(stack, Stack) else Stack.open(Path(stack))


def opened_all(stacks: StackLike | Sequence[StackLike]) -> list[Stack]:
    """Return one stack, or all of several, opened.

    Raises:
        StackError: there is no stack at a path.
    """
    return [opened(stacks)] if isinstance(stacks, Stack | str | os.PathLike) else [*map(opened, stacks)]
