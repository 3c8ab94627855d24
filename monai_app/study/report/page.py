"""The results as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from monai_app.device.machine import PACKAGES
from monai_app.progress import counted, duration
from monai_app.study.report.document import Document
from monai_app.study.report.figure import FIGURE
from monai_app.study.report.over_samples import over_samples, samples_note

_IDENTITY = 12
"""Digits of a stack's identity that are shown."""

QUESTIONS = {
    "detectors": "Are all detectors together better than fewer?",
    "slices": "Do neighbouring slices help?",
    "both": "Is another network on neighbouring slices better than the U-Net on one?",
    "network": "Is another network better than the U-Net on the same slices?",
    "cleaning": "Does cleaning the images help networks?",
    "baselines": "Are networks on raw images better than other methods on cleaned ones?",
}
"""The questions that the differences answer, by claim."""

_INTERVALS = (
    "Differences in mean IoU. The intervals cover chance in training (seeds) and in the choice of scored areas "
    "(blocks of the test slices) on these stacks, not on others; those in brackets are corrected so that all "
    "comparisons of a question hold together with 95 %."
)


def page_lines(document: Document) -> Iterator[str]:
    """Return all results as Markdown lines."""
    yield from variants_table(document)
    yield from ("", figure_line(), "")
    yield from verdict_lines(document, "##")
    for section in document["sections"].values():
        yield from ("", f"## {section['title']}", "")
        yield from part_lines(section)
    yield from ("", "## Methods", "")
    yield from origin_lines(document)


def figure_line(figures: str = "") -> str:
    """Show the figure; ``figures`` stands before its name."""
    return f"![mean IoU of the variants, and differences with intervals]({figures}{FIGURE})"


def part_lines(section: Mapping[str, Any], figures: str = "") -> Iterator[str]:
    """Return the lines of an additional part without its heading."""
    yield from section["lines"]
    if section["figure"]:
        yield from ("", f"![{section['title']}]({figures}{section['figure']})")


def origin_lines(document: Document) -> Iterator[str]:
    """Describe the command, data and machine that produced the results."""
    design, machine = document["design"], document["machine"]
    yield from ("```", document["command"], "```", "")
    budget = f"{counted(design['epochs'], 'epoch')}, size `{design['size']}`"
    changed = "".join(f", `{name}` {value}" for name, value in design["settings"].items())
    yield f"- {_listed('seed', design['seeds'])}; networks: {budget}{changed}"
    for stack in document["stacks"]:
        scored = _listed("slice", stack["test_slices"])
        yield f"- {stack['name']} (`{stack['store']}`, identity {stack['identity'][:_IDENTITY]}), scored on {scored}"
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", *PACKAGES))
    yield f"- {machine['processor']}, {machine['cores']} cores; monai-app {document['monai_app']}, {versions}"


def variants_table(document: Document) -> Iterator[str]:
    """Return the scores of the variants as a table."""
    columns, rows = variant_cells(document)
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    bold = columns.index("mean IoU")
    for row in rows:
        row[0], row[bold] = f"`{row[0]}`", f"**{row[bold]}**"
        yield f"| {' | '.join(row)} |"


def variant_cells(document: Document) -> tuple[list[str], list[list[str]]]:
    """Return column names, and a row of strings per variant."""
    phases = document["phases"]
    columns = ["variant", *phases, "mean IoU", "over seeds", "boundary IoU", "fraction error", "trained", "s/Mpixel"]
    return columns, [_cells(row, phases) for row in document["variants"]]


def verdict_lines(document: Document, heading: str) -> Iterator[str]:
    """Return a verdict for every comparison, grouped by question."""
    for claim, question in QUESTIONS.items():
        own = [row for row in document["differences"] if row["claim"] == claim]
        if own:
            yield from (f"{heading} {question}", "", *(f"- {verdict(row)}" for row in own), "")
    yield from notes(document)


def notes(document: Document) -> Iterator[str]:
    """Return notes on how to read differences, and on missing runs."""
    if document["differences"]:
        yield _INTERVALS + samples_note(document["differences"])
    if document["missing"]:
        seeds = ", ".join(map(str, document["seeds_compared"])) or "none"
        number = len(document["missing"])
        yield f"{number} run{'s are' if number > 1 else ' is'} not done; differences are based on seeds {seeds}."


def verdict(row: Mapping[str, Any]) -> str:
    """Return a sentence on what a difference shows."""
    better, worse = row["better"], row["worse"]
    result = {
        "shown": f"{better} is better than {worse}",
        "the opposite is shown": f"{better} is worse than {worse}",
        "not shown": f"{better} is not shown to be better than {worse}",
    }[row["verdict"]]
    why = f"; {row['unreliable']}" if row["unreliable"] else ""
    return f"{result}: {row['value']:+.3f}, {_interval(row)}{why}"


def _listed(name: str, numbers: Sequence[int]) -> str:
    return f"{name}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _interval(row: Mapping[str, Any]) -> str:
    if np.isnan(row["low"]):
        return "without an interval"
    ends = (row["low"], row["high"]), (row["corrected_low"], row["corrected_high"])
    single, corrected = (f"{low:+.3f} to {high:+.3f}" for low, high in ends)
    return f"95 % interval {single} [{corrected}]{over_samples(row)}"


def _cells(row: Mapping[str, Any], phases: Sequence[str]) -> list[str]:
    seconds, cost = row["seconds_mean"], row["seconds_per_megapixel_mean"]
    return [
        row["variant"],
        *(f"{row[f'iou_{phase}_mean']:.3f}" for phase in phases),
        f"{row['iou_mean']:.3f}",
        f"{row['iou_least']:.3f} to {row['iou_greatest']:.3f}" if row["seeds"] > 1 else "one seed",
        f"{row['boundary_iou_mean']:.3f}",
        f"{row['fraction_error_mean']:.4f}",
        "resumed" if np.isnan(seconds) else duration(seconds),
        "not timed" if np.isnan(cost) else f"{cost:.2f}",
    ]
