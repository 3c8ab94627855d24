"""The files behind the page, byte by byte as they lie on the disk."""

from collections.abc import Iterator
from pathlib import Path

from monai_app.inference.report.confidence import TABLE as CONFIDENCE
from monai_app.inference.report.familiarity import TABLE as FAMILIARITY
from monai_app.report.content import Files, Section
from monai_app.report.sources import Sources

_QUANTITIES = {"quantities.json": "all quantities, tables and versions", "phases.csv": "a row for every phase"}


def files(sources: Sources) -> Section | None:
    """Offer the files that evaluate, segment and quantify wrote."""
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
