"""Content of sections, which the templates render and escape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from markupsafe import Markup

from monai_app.domain.phase import Phase

Cell = str | Phase
"""A cell of a table; a phase is shown as its name with its colour."""


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table whose first column contains row headings.

    Args:
        caption: what it shows.
        columns: names, with units.
        rows: their cells.
        numbers: whether the columns after the first contain numbers.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    numbers: bool = True


@dataclass(frozen=True)
class Plot:
    """An interactive figure.

    Args:
        caption: what it shows.
        alt: alternative text.
        figure: ``data`` and ``layout`` of plotly, JSON values.
        height: pixels.
        width: maximum pixels; None means the width of the page.
        half: whether two are placed side by side if they fit.
    """

    kind: ClassVar[str] = "plot"
    caption: str
    alt: str
    figure: Mapping[str, Any]
    height: int = 340
    width: int | None = None
    half: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture, as PNG."""

    kind: ClassVar[str] = "picture"
    caption: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Note:
    """A sentence: an explanation, something missing, or a warning."""

    kind: ClassVar[str] = "note"
    text: str
    tone: Literal["plain", "missing", "warning"] = "plain"


@dataclass(frozen=True)
class Listing:
    """A list of sentences under a heading; either may be empty."""

    kind: ClassVar[str] = "listing"
    heading: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Legend:
    """The phases with their colours."""

    kind: ClassVar[str] = "legend"
    phases: Sequence[Phase]


@dataclass(frozen=True)
class Widget:
    """Interactive HTML that is already escaped."""

    kind: ClassVar[str] = "widget"
    html: Markup


@dataclass(frozen=True)
class Text:
    """Paragraphs with a button that copies them."""

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Files:
    """Files to download, unchanged, each with a description."""

    kind: ClassVar[str] = "files"
    files: Sequence[tuple[Path, str]]


Block = Facts | Table | Plot | Picture | Note | Listing | Legend | Widget | Text | Files


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        name: its anchor.
        title: its heading.
        lead: how to read it, for someone unfamiliar with the data.
        blocks: its content.
    """

    name: str
    title: str
    lead: str
    blocks: Sequence[Block]
