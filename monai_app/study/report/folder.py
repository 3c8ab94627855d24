"""The files of a study's results."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from monai_app.files import atomic_file
from monai_app.metrics import without_nan
from monai_app.pictures import as_png
from monai_app.study.findings import Findings
from monai_app.study.report.document import document_of
from monai_app.study.report.figure import FIGURE, results_figure
from monai_app.study.report.page import page_lines
from monai_app.study.report.section import Section

DOCUMENT, PAGE, TABLE, RUNS, COMPARISONS = "results.json", "results.md", "variants.csv", "runs.csv", "comparisons.csv"


def write_results(found: Findings, sections: Sequence[Section], folder: Path, command: str) -> None:
    """Write ``results.json``, ``variants.csv``, ``runs.csv``, ``comparisons.csv``, ``results.md`` and ``results.png``.

    Args:
        found: what the study found.
        sections: additional parts, each with its own table and figure.
        folder: the study's.
        command: that was given.
    """
    document = document_of(found, sections, command)
    _write_table(folder / TABLE, document["variants"])
    _write_table(folder / RUNS, document["runs"])
    _write_table(folder / COMPARISONS, [*document["differences"], *document["pairs"]])
    _write_figure(folder / FIGURE, results_figure(document))
    for each in sections:
        _write_table(folder / f"{each.name}.csv", each.rows)
        if each.figure is not None:
            _write_figure(folder / f"{each.name}.png", each.figure)
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text("\n".join(page_lines(document)) + "\n", encoding="utf8")
    with atomic_file(folder / DOCUMENT) as temporary:
        text = json.dumps(without_nan(document), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf8")


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _write_figure(path: Path, figure: Figure) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(as_png(figure))
