"""The files on which the page is based, unchanged."""

from collections.abc import Iterator
from pathlib import Path

from monai_app.inference.report.confidence import TABLE as CONFIDENCE
from monai_app.inference.report.familiarity import TABLE as FAMILIARITY
from monai_app.reporting.content import Files, Section
from monai_app.reporting.sources import Sources
from monai_app.reporting.studies import Study
from monai_app.study.report.folder import COMPARISONS, DOCUMENT, RUNS, TABLE

_STUDY = {
    DOCUMENT: "the complete study: scores, differences, design, machine",
    TABLE: "one row per variant",
    RUNS: "one row per training",
    COMPARISONS: "one row per difference",
}
_QUANTITIES = {"quantities.json": "all quantities, tables and versions", "phases.csv": "one row per phase"}


def files(sources: Sources) -> Section | None:
    """Offer the files written by evaluate, segment, quantify and study."""
    found = list(_found(sources))
    if not found:
        return None
    lead = "All numbers of this page for spreadsheets (CSV) and programs (JSON). They are embedded in the page."
    return Section("files", "Files", lead, [Files(found)])


def _found(sources: Sources) -> Iterator[tuple[Path, str]]:
    if sources.run and sources.run.scores:
        yield sources.run.scores.path, "scores with intervals, confusion matrices and calibration"
        yield sources.run.scores.path.with_suffix(".csv"), "scores: one row per phase, slice and stack"
    if sources.labels:
        for name, what in ((CONFIDENCE, "confidence of every slice"), (FAMILIARITY, "appearance of every slice")):
            if (sources.labels.folder / name).is_file():
                yield sources.labels.folder / name, what
    if sources.quantities:
        found, measures = sources.quantities, sources.quantities.document["measures"].values()
        tables = {f"{name}.csv": name.replace("_", " ") for each in measures for name in each["tables"]}
        for name, what in (_QUANTITIES | dict(sorted(tables.items()))).items():
            path = found.path / name
            if path.parent == found.path and path.is_file() and not path.is_symlink():  # a name may contain "../"
                yield path, what
    if sources.study:
        yield from _of_study(sources.study)


def _of_study(found: Study) -> Iterator[tuple[Path, str]]:
    parts = {f"{name}.csv": part["title"] for name, part in found.document["sections"].items()}
    for name, what in (_STUDY | parts).items():
        path = found.file(name)
        if path is not None:
            yield path, what
