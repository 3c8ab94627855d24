"""What a row of the table of bad input is, and the place in which its command runs."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_Thing = TypeVar("_Thing")

GOODS = {
    "SAMPLE": "sample",
    "STACK": "tiny.ome.zarr",
    "RUN": "run",
    "EXPORTED": "model.ts",
    "ZIP": "model.zip",
    "UNPACKED": "unpacked",
}
"""Words of command lines, and the good inputs that they stand for."""


@dataclass(frozen=True)
class Place:
    """A row's folder, and the good inputs of all rows, which no row may change.

    Attributes:
        folder: where the command runs; targets are relative to it.
        goods: folder of the good inputs.
    """

    folder: Path
    goods: Path

    def copy(self, word: str) -> Path:
        """Return the row's own copy of a good input, to be bent; it is made at the first call."""
        good, copy = self.goods / GOODS[word], self.folder / GOODS[word]
        if copy.exists():
            return copy
        if good.is_dir():
            shutil.copytree(good, copy)
        else:
            shutil.copy2(good, copy)
        return copy

    def path(self, word: str) -> str:
        """Return a word of the command line with the path of the good input, or of the row's copy, that it names."""
        option, equals, value = word.rpartition("=")
        name, slash, rest = value.partition("/")
        if name not in GOODS:
            return word
        copy = self.folder / GOODS[name]
        return f"{option}{equals}{copy if copy.exists() else self.goods / GOODS[name]}{slash}{rest}"

    def words(self, line: str) -> list[str]:
        """Split a command line as a shell does."""
        return [self.path(word) for word in shlex.split(line)]

    def shortened(self, text: str) -> str:
        """Return a text with paths as the person of the row would see them."""
        for folder in (self.folder, self.goods):
            text = text.replace(f"{folder}/", "").replace(str(folder), ".")
        return re.sub(r"(choose one of auto, cpu).*", r"\1", text)  # which GPUs there are, others need not know


Make = Callable[[Place], object]


def nothing(place: Place) -> None:
    """Leave the good inputs as they are."""


@dataclass(frozen=True)
class Row:
    """One thing that people do, and what they get.

    Attributes:
        did: the input in Markdown, unique within the command.
        line: the command line after ``monai-app``, with the words of `GOODS`.
        says: what the message must hold; empty where the input is odd, but right.
        make: makes the input.
        check: looks at the result of what is taken.
    """

    did: str
    line: str
    says: tuple[str, ...]
    make: Make = nothing
    check: Make = nothing

    @property
    def command(self) -> str:
        """The command that it belongs to."""
        return self.line.split()[0]


def refused(did: str, line: str, *says: str, make: Make = nothing) -> Row:
    """A row that ends in a message."""
    return Row(did, line, says, make)


def taken(did: str, line: str, check: Make, make: Make = nothing) -> Row:
    """A row whose input is odd, but right."""
    return Row(did, line, (), make, check)


def in_turn(*changes: Callable[[_Thing], object]) -> Callable[[_Thing], None]:
    """Return a change that does several to one thing."""

    def change(thing: _Thing) -> None:
        for each in changes:
            each(thing)

    return change


def edit_text(path: Path, old: str, new: str) -> None:
    """Replace what occurs in a file once."""
    text = path.read_text(encoding="utf8")
    assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf8")


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON document in place; what ``change`` returns, where it does, takes its place."""
    content = json.loads(path.read_text(encoding="utf8"))
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed), encoding="utf8")
