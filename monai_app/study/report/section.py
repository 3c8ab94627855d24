"""An additional part of a study's results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Section:
    """A part of a study's results: text, table and figure about one question.

    Attributes:
        name: of its files ``NAME.csv`` and ``NAME.png``, and its key in ``results.json``.
        title: its heading.
        lines: Markdown below the heading.
        rows: of ``NAME.csv`` and of ``results.json``.
        figure: a matplotlib figure; None if there is none.
    """

    name: str
    title: str
    lines: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    figure: Figure | None = None
