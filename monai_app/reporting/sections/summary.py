"""The summary: the most important numbers."""

from collections.abc import Iterator

from monai_app.reporting.content import Cell, Facts, Note, Section, Table
from monai_app.reporting.formatting import fixed, percent
from monai_app.reporting.sections.quantities import phases_of
from monai_app.reporting.sections.scores import interval
from monai_app.reporting.sources import LabelImage, Quantities, Scores, Sources
from monai_app.reporting.studies import Study


def summary(sources: Sources) -> Section:
    """Return the most important numbers, and which of them are missing."""
    facts: list[tuple[str, str]] = []
    notes = []
    if sources.run and sources.run.scores:
        facts += _scores(sources.run.scores)
    elif sources.run:
        notes.append(Note(sources.run.unscored, "missing"))
    if sources.labels:
        facts += _labels(sources.labels)
    if sources.study:
        facts += _study(sources.study)
    tables = [_fractions(sources.quantities)] if sources.quantities else []
    lead = "The most important numbers; the sections below explain how each was obtained and how reliable it is."
    return Section("summary", "In short", lead, [Facts(facts), *tables, *notes])


def _scores(found: Scores) -> Iterator[tuple[str, str]]:
    pooled = found.pooled
    mean = pooled["intervals"]["mean"]
    yield "mean IoU on test slices (95 % interval)", interval(pooled["mean_iou"], mean, "iou")
    yield "correct pixels (95 % interval)", interval(pooled["pixel_accuracy"], mean, "pixel_accuracy")


def _labels(own: LabelImage) -> Iterator[tuple[str, str]]:
    yield "segmented slices", str(len(own.slices))
    if "confidence" in own.attributes:
        yield "mean confidence", fixed(own.attributes["confidence"]["mean"])
    if "unlike_training" in own.attributes:
        yield "slices that differ from the training slices", str(len(own.attributes["unlike_training"]["slices"]))


def _study(found: Study) -> Iterator[tuple[str, str]]:
    best = max(found.document["variants"], key=lambda row: row["iou_mean"])
    yield "best variant of the study (mean IoU)", f"{best['variant']} ({fixed(best['iou_mean'])})"
    shown = [row for row in found.document["differences"] if row["verdict"] != "not shown"]
    yield "significant differences", f"{len(shown)} of {len(found.document['differences'])}"


def _fractions(found: Quantities) -> Table:
    numbers = {name: of for each in found.document["measures"].values() for name, of in each["quantities"].items()}
    known = {
        "as labelled": numbers.get("volume_fraction", {}),
        "corrected by the test slices (interval: labelling errors)": numbers.get("corrected_fraction", {}),
        "of the material (interval: sampling by this volume)": numbers.get("material_fraction", {}),
    }
    rows: list[list[Cell]] = []
    for phase in phases_of(found):
        cells = (of.get(phase.name) for of in known.values())
        rows.append([phase, *("" if each is None else _share(each["value"], each["interval"]) for each in cells)])
    return Table("Volume fractions", ("phase", *known), rows)


def _share(value: float | None, ends: list[float] | None) -> str:
    text = percent(value)
    return text if not ends else f"{text} ({fixed(100 * ends[0], 1)} to {fixed(100 * ends[1], 1)})"
