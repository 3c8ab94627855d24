"""The files behind the page, byte by byte as they lie on the disk."""

from collections.abc import Iterator
from pathlib import Path

from monai_app.inference.report.confidence import TABLE as CONFIDENCE
from monai_app.inference.report.familiarity import TABLE as FAMILIARITY
from monai_app.reporting.content import Files, Section
from monai_app.reporting.sources import Sources
from monai_app.reporting.studies import Study
from monai_app.study.report.folder import COMPARISONS, DOCUMENT, RUNS, TABLE

_STUDY = {
    DOCUMENT: "all of the study: scores, differences, design, machine",
    TABLE: "a row for every variant",
    RUNS: "a row for every training",
    COMPARISONS: "a row for every difference",
}
_QUANTITIES = {"quantities.json": "all quantities, tables and versions", "phases.csv": "a row for every phase"}


def files(sources: Sources) -> Section | None:
    """Offer the files that evaluate, segment, quantify and study wrote."""
    found = list(_found(sources))
    if not found:
        return None
    lead = "All numbers of this page, for spreadsheets (CSV) and programs (JSON). They are part of the page."
    return Section("files", "Files", lead, [Files(found)])


def _found(sources: Sources) -> Iterator[tuple[Path, str]]:
    if sources.run and sources.run.scores:
        yield sources.run.scores.path, "scores with intervals, confusion matrices and calibration"
        yield sources.run.scores.path.with_suffix(".csv"), "scores: a row for every phase, slice and stack"
    if sources.labels:
        for name, what in ((CONFIDENCE, "confidence of every slice"), (FAMILIARITY, "how every slice looks")):
            if (sources.labels.folder / name).is_file():
                yield sources.labels.folder / name, what
    if sources.quantities:
        found, measures = sources.quantities, sources.quantities.document["measures"].values()
        tables = {f"{name}.csv": name.replace("_", " ") for each in measures for name in each["tables"]}
        for name, what in (_QUANTITIES | dict(sorted(tables.items()))).items():
            path = found.path / name
            if path.parent == found.path and path.is_file() and not path.is_symlink():  # a name may hold "../"
                yield path, what
    if sources.study:
        yield from _of_study(sources.study)


def _of_study(found: Study) -> Iterator[tuple[Path, str]]:
    parts = {f"{name}.csv": part["title"] for name, part in found.document["sections"].items()}
    for name, what in (_STUDY | parts).items():
        path = found.file(name)
        if path is not None:
            yield path, what
