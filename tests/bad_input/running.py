"""Runs a row's command line in this process, as a person would from a shell, and judges how it ends."""

import contextlib
import functools
import io
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from typer.core import TyperGroup
from typer.main import get_group

from monai_app import cli
from tests.bad_input.row import Place, Row

SECONDS = 5.0
LONGEST = 1500
KEPT = ("studies", ".studies.lock")
"""A label server's folder and its lock: it marks the folder as its own, logs why it ended, and takes it next time."""

States = dict[str, tuple[int, int]]


class Ending(NamedTuple):
    """How a command line ended."""

    code: int
    output: str
    errors: str

    @property
    def message(self) -> str:
        """What standard error says after warnings and progress: the program's own message, or that of its options."""
        found = re.search(r"^(?:monai-app: |Error: )(.*)\Z", self.errors.strip(), re.MULTILINE | re.DOTALL)
        return found[1] if found else self.errors.strip()


def run_line(words: list[str], folder: Path) -> Ending:
    """Run a command line in this process; what is not an error of the program comes out as it is."""
    code: object = 0
    output, errors = io.StringIO(), io.StringIO()
    with (
        _surroundings(),
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", ["monai-app", *words]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    return Ending(int(str(code or 0)), output.getvalue(), errors.getvalue())


@functools.cache
def _command() -> TyperGroup:
    """The command line, which Typer otherwise builds anew for every row: a fifth of the time that rows take."""
    return get_group(cli.app)


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """Restore what a command changes in its process, give it no terminal, and let nothing be served."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with (
        Path(os.devnull).open(encoding="utf8") as nothing,
        mock.patch.dict(os.environ),
        mock.patch("sys.stdin", nothing),
        mock.patch("uvicorn.Server.run", side_effect=AssertionError("it serves")),
        mock.patch("webbrowser.open", side_effect=AssertionError("it serves")),
        mock.patch.object(cli, "app", _command()),
    ):
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


def run_row(row: Row, place: Place, goods: States) -> str:
    """Run a row, check how it ends, and return its message, with paths shortened.

    Args:
        row: the row.
        place: where it runs; its folder is made.
        goods: `states` of the good inputs, which it must leave as they are.

    Raises:
        AssertionError: it ends otherwise than the row says.
    """
    place.folder.mkdir(parents=True)
    row.make(place)
    before = states(place.folder)
    started = time.process_time()
    ending = run_line(place.words(row.line), place.folder)
    assert time.process_time() - started < SECONDS
    assert states(place.goods) == goods, "a good input was changed"
    if not row.says:
        assert ending.code == 0, ending.errors
        row.check(place)
        return ""
    message = place.shortened(ending.message)
    check_message(ending, message, row.says)
    left = {name: state for name, state in states(place.folder).items() if name.split("/")[0] not in KEPT}
    assert left == before, f"something was left behind, or changed: {left.items() ^ before.items()}"
    return message


def check_message(ending: Ending, message: str, says: tuple[str, ...]) -> None:
    """Check that a command ended with one clean message, which holds these words."""
    assert ending.code in (2, 3), ending.output
    assert "Traceback" not in ending.output + ending.errors
    assert message, ending.output
    assert len(message) <= LONGEST, message
    assert all(character.isprintable() or character == "\n" for character in message), message
    for words in says:
        assert words in message, message
    if "Error: " not in ending.errors:  # Typer tells of options in its own words
        assert re.search(r"[;:.] ", message), f"{message}: no rule or remedy"


def states(folder: Path) -> States:
    """Return all that lies below a folder with size and time of change; folders have neither."""
    root = str(folder)
    found: States = {}
    for path, folders, files in os.walk(root):
        inside = path[len(root) + 1 :]
        found |= {os.path.join(inside, name): (0, 0) for name in folders}  # noqa: PTH118  # as fast as can be
        for name in files:
            state = os.lstat(f"{path}/{name}")
            found[os.path.join(inside, name)] = (state.st_size, state.st_mtime_ns)  # noqa: PTH118
    return found
