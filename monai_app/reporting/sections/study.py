"""A study: the scores of its variants, and which differences between them are significant."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from monai_app.reporting.content import Block, Listing, Note, Picture, Plot, Section, Table
from monai_app.reporting.figures import BLUE, GREY, RED, error_bars, figure, plain, points
from monai_app.reporting.sources import Sources
from monai_app.reporting.studies import Study
from monai_app.study.report.page import QUESTIONS, notes, variant_cells, verdict

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

_ROW = 34
"""Height in pixels of a row of a figure; names of differences need two lines."""


def study(sources: Sources) -> Section | None:
    """Describe the results of a study."""
    found = sources.study
    if found is None:
        return None
    return Section(
        "study",
        "Study",
        "Models that were trained under the same conditions except for the compared property, and scored on the same "
        "test slices. A difference counts if it is larger than can be explained by chance in training and in the "
        "choice of scored areas.",
        list(_blocks(found)),
    )


def _blocks(found: Study) -> Iterator[Block]:
    document = found.document
    columns, rows = variant_cells(document)
    yield Table("Means over the seeds", columns, rows)
    yield _scores(document)
    for claim, question in QUESTIONS.items():
        lines = [verdict(row) for row in document["differences"] if row["claim"] == claim]
        if lines:
            yield Listing(question, lines)
    drawn = [row for row in document["differences"] if not math.isnan(row["low"])]
    if drawn:
        yield _differences(drawn)
    yield from map(Note, notes(document))
    for each in document["sections"].values():
        yield from _part(found, each)


def _scores(document: Mapping[str, Any]) -> Plot:
    variants = document["variants"]
    runs = points(
        "a seed",
        ([row["mean_iou"] for row in document["runs"]], [plain(row["variant"]) for row in document["runs"]]),
        BLUE,
        "circle",
    )
    runs.marker.opacity = 0.6
    means = points(
        "mean",
        ([row["iou_mean"] for row in variants], [plain(row["variant"]) for row in variants]),
        "#222",
        "line-ns-open",
    )
    listed = "; ".join(f"{row['variant']} {row['iou_mean']:.3f}" for row in variants)
    return Plot(
        "Mean IoU of every seed, and mean of each variant",
        f"Points per variant: {listed}.",
        figure([runs, means], "mean IoU", "", yaxis={"autorange": "reversed"}),
        height=130 + _ROW * len(variants),
    )


def _differences(rows: Sequence[Mapping[str, Any]]) -> Plot:
    names = [f"{plain(row['better'])}<br>against {plain(row['worse'])}" for row in rows]
    bars = []
    for name, ends, colour, width in (
        ("all of one question together", ("corrected_low", "corrected_high"), GREY, 1),
        ("95 % interval", ("low", "high"), RED, 4),
    ):
        trace = error_bars(name, [("", row["value"], (row[ends[0]], row[ends[1]])) for row in rows], colour, "circle")
        trace.y, trace.error_x.thickness, trace.error_x.width = names, width, 0
        bars.append(trace)
    listed = "; ".join(verdict(row) for row in rows)
    line = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "#888", "width": 1}}
    return Plot(
        "Differences in mean IoU with intervals; to the right of the line, the first is better",
        f"Points with bars: {listed}.",
        figure(bars, "difference in mean IoU", "", yaxis={"autorange": "reversed"}, shapes=[line]),
        height=130 + _ROW * len(rows),
    )


def _part(found: Study, part: Mapping[str, Any]) -> Iterator[Block]:
    """Return an additional part: its Markdown and its figure."""
    yield from _markdown(part["title"], part["lines"])
    picture = found.file(part["figure"]) if part["figure"] else None
    if picture is not None:
        yield Picture(part["title"], f"{part['title']}: the numbers are in the table.", picture.read_bytes())


def _markdown(title: str, lines: Sequence[str]) -> Iterator[Block]:
    """Convert the paragraphs, lists, headings and tables under a heading to blocks."""
    yield Listing(title, [])
    name = "Numbers"
    for node in SyntaxTreeNode(_MARKDOWN.parse("\n".join(lines))).children:
        if node.type == "heading":
            name = _text(node)
            yield Listing(name, [])
        elif node.type == "table":
            head, *rows = ([_text(cell) for cell in row.children] for row in node.walk() if row.type == "tr")
            yield Table(name, head, rows)
        elif node.type == "bullet_list":
            yield Listing("", [_text(item) for item in node.children])
        else:
            yield Note(_text(node))


def _text(node: SyntaxTreeNode) -> str:
    """Return the text of a part of Markdown without markup."""
    return "".join(each.content or " " for each in node.walk() if not each.children).strip()
