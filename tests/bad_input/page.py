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
    "init": "Describing a folder",
    "ingest": "Ingesting a sample",
    "inspect": "Inspecting a stack",
    "annotate": "Importing annotations",
    "annotations": "Listing and changing annotations",
    "propose": "Proposing labels",
    "train": "Training",
    "evaluate": "Scoring",
    "segment": "Segmenting",
    "labels": "Exporting and removing label images",
    "view": "Viewing a stack",
    "quantify": "Measuring",
    "report": "Writing a report",
    "study": "Studies",
    "save": "Saving labels (old spelling)",
    "export": "Exporting a model",
    "package": "Packaging",
    "unpack": "Unpacking",
    "check": "Checking a package",
    "trust": "Trusting",
    "simulate": "Simulating",
    "serve": "The label server",
    "settings": "Listing settings",
}
REFUSED, TAKEN = "refused", "accepted"
TOP = """# Error messages

How the commands respond to wrong or unusual input. Every row is a test (`tests/bad_input/`): it runs the command, and
checks that it ends within seconds with one message and no traceback, and that nothing is left behind or changed. Input
that is *accepted* is unusual, but valid.

{rows} rows: {refused} refused, {taken} accepted. `python tools/make_bad_input.py` writes this page from the tests.
"""


def all_rows() -> list[Row]:
    """Return the rows of all modules."""
    modules = (importlib.import_module(f"tests.bad_input.rows.{name}") for name in MODULES)
    return [row for module in modules for row in module.ROWS]


def key(row: Row) -> str:
    """Return what identifies a row: its command and its input."""
    return f"{row.command}: {_cell(row.did)}"


def outcome(row: Row) -> str:
    """How a row ends, in a word."""
    return REFUSED if row.says else TAKEN


def line_of(row: Row, message: str) -> str:
    """Return a row of the page's table."""
    shown = "<br>".join(f"`` {_cell(line)} ``" for line in message.splitlines() if line.strip())
    return f"| {_cell(row.did)} | {outcome(row)} | {shown} |"


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
        head = "| input | outcome | message |\n|---|---|---|"
        parts.append(f"## {heading}: `monai-app {command}`\n\n{head}\n" + "\n".join(own) + "\n")
    return "\n".join(parts)


def lines_by_key(page: str) -> Iterator[tuple[str, str]]:
    """Yield the table's rows of a page by command and input."""
    command = ""
    for line in page.splitlines():
        if found := re.match(r"## .*`monai-app (\w+)`$", line):
            command = found[1]
        elif line.startswith("| ") and not line.startswith("| input |"):
            yield f"{command}: {re.split(r' [|] (?:refused|accepted) [|] ', line)[0][2:]}", line
