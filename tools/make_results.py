"""Write what docs say of studies: every block between markers, from the study's `docs/results/NAME.json`.

A block of a page, which this script fills, is

    <!-- study:NAME:PART -->
    <!-- end of study -->

PART is `table`, `figure`, `verdicts`, `origin` (command, machine, versions), or a further part of the study by its
name, such as `robustness`.

    python tools/make_results.py                      # after a change to a JSON file or to markers
    python tools/make_results.py --study FOLDER NAME  # take the results of a study as docs/results/NAME.json first
"""

import argparse
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from monai_app.files import atomic_file
from monai_app.metrics import read_scores
from monai_app.pictures import as_png
from monai_app.study.report.document import Document
from monai_app.study.report.figure import results_figure
from monai_app.study.report.folder import DOCUMENT
from monai_app.study.report.page import figure_line, origin_lines, part_lines, variants_table, verdict_lines

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
HEADING = "####"
BLOCK = re.compile(r"(<!-- study:([\w-]+):([\w-]+) -->\n).*?(<!-- end of study -->)", re.DOTALL)


def main() -> None:
    """Take the results of a study, where one is given, and write all blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", nargs=2, metavar=("FOLDER", "NAME"), help="a study's folder, and its name in docs")
    study = parser.parse_args().study
    if study:
        take(Path(study[0]), study[1])
    for page in pages():
        text = page.read_text(encoding="utf8")
        if (filled := fill(page)) != text:
            with atomic_file(page) as temporary:
                temporary.write_text(filled, encoding="utf8")


def take(folder: Path, name: str) -> None:
    """Copy a study's document and figures into the docs."""
    shutil.copyfile(folder / DOCUMENT, DOCS / "results" / f"{name}.json")
    document = read_scores(folder / DOCUMENT)
    (DOCS / "images" / f"study_{name}_results.png").write_bytes(as_png(results_figure(document)))
    for part in document["sections"].values():
        if part["figure"]:
            shutil.copyfile(folder / part["figure"], DOCS / "images" / f"study_{name}_{part['figure']}")


def pages() -> list[Path]:
    """Return the pages that have blocks."""
    every = [CHECKOUT / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [page for page in every if BLOCK.search(page.read_text(encoding="utf8"))]


def fill(page: Path) -> str:
    """Return the text of a page with all blocks as the JSON files have them."""

    def block(match: re.Match[str]) -> str:
        begin, name, part, end = match.groups()
        images = Path(os.path.relpath(DOCS / "images", page.parent)).as_posix()
        figures = f"{images}/study_{name}_"
        lines = lines_of(read_scores(DOCS / "results" / f"{name}.json"), part, figures)
        return "\n".join([begin.rstrip("\n"), *lines, end])

    return BLOCK.sub(block, page.read_text(encoding="utf8"))


def lines_of(document: Document, part: str, figures: str) -> Iterator[str]:
    """Write a part of a study's results; ``figures`` stands before the names of its figures."""
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "table": lambda: variants_table(document),
        "figure": lambda: iter([figure_line(figures)]),
        "verdicts": lambda: verdict_lines(document, HEADING),
        "origin": lambda: origin_lines(document),
    }
    yield ""
    yield from parts[part]() if part in parts else part_lines(document["sections"][part], figures)
    yield ""


if __name__ == "__main__":
    main()
