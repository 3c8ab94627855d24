"""The page of the table, ``docs/reference/bad_input.md``: written from the rows and their messages."""

import importlib
import re
from collections import Counter
from collections.abc import Iterator

from tests.bad_input.row import Row
from tests.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "bad_input.md"
MODULES = (
    *("descriptions", "init", "alignment", "images", "sources", "labels", "stores", "annotations"),
    *("train", "results", "studies", "segment", "segment_images", "quantify", "proposals"),
    *("report", "saving", "view", "inspect", "others"),
)
HEADINGS = {
    "init": "Folders whose description is to be written",
    "ingest": "The description, images and labels of a sample",
    "inspect": "Stacks that are looked at",
    "annotate": "Label images that become annotations",
    "annotations": "Annotations that are listed and changed",
    "propose": "Proposed labels",
    "train": "Trainings",
    "evaluate": "Scores",
    "segment": "Segmentations",
    "labels": "Label images of a stack",
    "view": "Stacks in viewers",
    "quantify": "Quantities",
    "report": "Reports",
    "study": "Studies",
    "save": "Saved files",
    "export": "Exported files",
    "package": "Packages that are made",
    "unpack": "Packages that are unpacked",
    "check": "Packages that are checked",
    "trust": "What is trusted",
    "simulate": "Simulated samples",
    "serve": "The label server",
    "settings": "Lists of settings",
}
REFUSED, TAKEN = "refused", "taken"
TOP = """# Bad input

What people give to the commands by mistake, and what they are told. Every row is a test (`tests/bad_input/`): it runs
the command, and checks that it ends within seconds, with one message and without a traceback, and that nothing is left
behind or changed. Rows that are *taken* are odd, but right.

{rows} rows: {refused} refused, {taken} taken. This page is written from the tests: `python tools/make_bad_input.py`.
"""


def all_rows() -> list[Row]:
    """Return the rows of all modules."""
    modules = (importlib.import_module(f"tests.bad_input.rows.{name}") for name in MODULES)
    return [row for module in modules for row in module.ROWS]


def key(row: Row) -> str:
    """What tells a row from others: its command and what a person did."""
    return f"{row.command}: {_cell(row.did)}"


def outcome(row: Row) -> str:
    """How a row ends, in a word."""
    return REFUSED if row.says else TAKEN


def line_of(row: Row, message: str) -> str:
    """Return a row of the page's table."""
    told = "<br>".join(f"`` {_cell(line)} ``" for line in message.splitlines() if line.strip())
    return f"| {_cell(row.did)} | {outcome(row)} | {told} |"


def _cell(text: str) -> str:
    return re.sub(r"(\w)\1{40,}", r"\1\1\1...", text.strip()).replace("|", "\\|")


def written(rows: list[Row], lines: dict[str, str]) -> str:
    """Return the page.

    Args:
        rows: of all commands.
        lines: of the table, of every row, by `key`.
    """
    counts = Counter(map(outcome, rows))
    parts = [TOP.format(rows=len(rows), refused=counts[REFUSED], taken=counts[TAKEN])]
    for command, heading in HEADINGS.items():
        own = [lines[key(row)] for row in rows if row.command == command]
        head = "| what a person did | outcome | what the program says |\n|---|---|---|"
        parts.append(f"## {heading}: `monai-app {command}`\n\n{head}\n" + "\n".join(own) + "\n")
    return "\n".join(parts)


def lines_by_key(page: str) -> Iterator[tuple[str, str]]:
    """Yield the table's rows of a page by the command and what a person did."""
    command = ""
    for line in page.splitlines():
        if found := re.match(r"## .*`monai-app (\w+)`$", line):
            command = found[1]
        elif line.startswith("| ") and not line.startswith("| what a person did"):
            yield f"{command}: {re.split(r' [|] (?:refused|taken) [|] ', line)[0][2:]}", line
