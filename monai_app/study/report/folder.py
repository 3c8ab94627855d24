"""The files of a study's results."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from monai_app import __version__
from monai_app.files import atomic_file
from monai_app.metrics import without_nan
from monai_app.pictures import as_png
from monai_app.study.findings import Findings
from monai_app.study.report.figure import FIGURE, results_figure
from monai_app.study.report.page import PAGE, page_lines
from monai_app.study.report.section import Section
from monai_app.study.report.tables import difference_row, run_row, variant_row

DOCUMENT, TABLE, RUNS, COMPARISONS = "results.json", "variants.csv", "runs.csv", "comparisons.csv"


def write_results(found: Findings, sections: Sequence[Section], folder: Path) -> None:
    """Write ``results.json``, ``variants.csv``, ``runs.csv``, ``comparisons.csv``, ``results.md`` and ``results.png``.

    Args:
        found: what the study found.
        sections: further parts, each with a table and a figure of its own.
        folder: the study's.
    """
    _write_csv(folder / TABLE, [variant_row(each) for each in found.variants])
    _write_csv(folder / RUNS, [run_row(each) for each in found.outcomes])
    _write_csv(folder / COMPARISONS, [difference_row(each) for each in (*found.differences, *found.pairs)])
    _write_figure(folder / FIGURE, results_figure(found))
    for each in sections:
        _write_csv(folder / f"{each.name}.csv", each.rows)
        if each.figure is not None:
            _write_figure(folder / f"{each.name}.png", each.figure)
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text("\n".join(page_lines(found, sections)) + "\n", encoding="utf8")
    with atomic_file(folder / DOCUMENT) as temporary:
        document = without_nan(_document(found, sections))
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf8")


def _document(found: Findings, sections: Sequence[Section]) -> dict[str, Any]:
    stacks = {each.run.stack.store_name: each.run.stack for each in found.outcomes}
    return {
        "monai_app": __version__,
        "design": found.design.model_dump(mode="json"),
        "stacks": [
            {"store": name, "name": stack.name, "identity": stack.identity, "test_slices": list(stack.test_slices)}
            for name, stack in stacks.items()
        ],
        "seeds_compared": list(found.seeds),
        "missing": [run.name for run in found.missing],
        "variants": [variant_row(each) for each in found.variants],
        "runs": [run_row(each) for each in found.outcomes],
        "differences": [difference_row(each) for each in found.differences],
        "pairs": [difference_row(each) for each in found.pairs],
        "sections": {
            each.name: {"title": each.title, "lines": list(each.lines), "rows": list(each.rows)} for each in sections
        },
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _write_figure(path: Path, figure: Figure) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(as_png(figure))
