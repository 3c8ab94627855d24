"""The labels: what was segmented by which model, its confidence along the stack, and which slices to check."""

import csv
from collections.abc import Iterator
from pathlib import Path

from monai_app.inference.report.confidence import TABLE as CONFIDENCE
from monai_app.inference.report.confidence import THRESHOLDS
from monai_app.progress import counted
from monai_app.reporting.content import Block, Facts, Legend, Listing, Note, Plot, Section
from monai_app.reporting.figures import BLUE, GREEN, ORANGE, RED, figure, line, points
from monai_app.reporting.formatting import count, fixed, percent, slices
from monai_app.reporting.sources import LabelImage, Sources, Store

_NO_CONFIDENCE = (
    "The labels have no confidence map, so it is unknown where the model is uncertain: run `monai-app segment` with "
    "`--confidence max`."
)

_KINDS = {
    "max": "the probability of the predicted phase",
    "entropy": "1 minus the normalised entropy of the phases' probabilities (1 where one phase is certain, 0 where "
    "all are equally likely)",
}
"""Definition of confidence by the name of the stored map."""


def labels(sources: Sources) -> Section | None:
    """Describe the label image and its reliability along the stack."""
    store = sources.store
    if store is None:
        return None
    kind = _KINDS.get(store.labels.confidence or "") if store.labels else None
    lead = (
        f"The predicted phase of every pixel. {f'Confidence is {kind}; slices' if kind else 'Slices'} where "
        "confidence drops, or that differ from the training slices, should be checked by eye."
    )
    if store.labels is None:
        missing = Note("The stack has no finished labels: run `monai-app segment STACK RUN`.", "missing")
        return Section("labels", "Labels", lead, [missing])
    own = store.labels
    confidence = list(_confidence(own)) if "confidence" in own.attributes else [Note(_NO_CONFIDENCE, "missing")]
    return Section("labels", "Labels", lead, [*_what(store, own), *confidence, *_unlike(own)])


def _what(store: Store, own: LabelImage) -> Iterator[Block]:
    rows, columns = store.stack.shape[1:]
    part = own.region.rect.shape if own.region else (rows, columns)
    made = own.attributes
    by = [made[name] for name in ("run", "monai_app") if name in made]
    facts = [
        ("label image", own.name),
        ("made by", ", monai-app ".join(by) if by else "not recorded"),
        ("slices", f"{slices(own.slices)}, {count(len(own.slices))} of {count(store.stack.shape[0])}"),
    ]
    if part != (rows, columns):
        facts.append(("part of each slice", f"{part[0]} × {part[1]} of {rows} × {columns} pixels"))
    if made.get("stand_ins"):
        parts = (f"{taken} in place of {part}" for part, taken in made["stand_ins"].items())
        facts.append(("detectors", "; ".join(parts)))
    yield Facts(facts)
    if own.phases != store.stack.phases:
        yield Legend(own.phases)
    if len(own.slices) < store.stack.shape[0]:
        yield Note("The other slices are not segmented and not described on this page.", "warning")


def _confidence(own: LabelImage) -> Iterator[Block]:
    rows = _read(own.folder / CONFIDENCE)
    known = [row for row in rows if row["slice"] != "all" and row["mean"]]
    if not known:
        yield Note("No pixel is labelled, so there is no confidence.", "missing")
        return
    total = own.attributes["confidence"]
    shares = [(f"pixels below {each:g}", percent(total[f"below_{each:g}"])) for each in THRESHOLDS]
    yield Facts([("mean confidence", fixed(total["mean"])), *shares])
    if own.attributes.get("calibrated") is None:
        yield Note("The model was not calibrated: use its confidence to compare slices, not as an absolute number.")
    zs = [int(row["slice"]) for row in known]
    means = [float(row["mean"]) for row in known]
    least = min(range(len(zs)), key=means.__getitem__)
    where = f"lowest in slice {zs[least]}, mean {fixed(means[least])}"
    yield Plot(
        f"Mean confidence of every slice: {where}",
        f"A curve over {counted(len(zs), 'slice')} between {fixed(min(means))} and {fixed(max(means))}; {where}.",
        figure([line("mean", (zs, means), BLUE), *_marks(own, zs, means)], "slice", "mean confidence"),
        height=280,
    )
    looks = zip(THRESHOLDS, (RED, ORANGE, GREEN), ("solid", "dash", "dot"), strict=True)
    drawn = [
        line(f"below {each:g}", (zs, [100 * float(row[f"below_{each:g}"]) for row in known]), colour, dash)
        for each, colour, dash in looks
    ]
    yield Plot(
        "Share of pixels in every slice with a confidence below a threshold",
        f"Curves over {counted(len(zs), 'slice')} for confidence below 0.5, 0.7 and 0.9.",
        figure(drawn, "slice", "share, %", yaxis={"rangemode": "tozero"}),
        height=280,
    )


def _marks(own: LabelImage, zs: list[int], means: list[float]) -> list[object]:
    """Return markers on the slices that differ from the training slices."""
    flagged = [z for z in own.attributes.get("unlike_training", {}).get("slices", []) if z in zs]
    values = [means[zs.index(z)] for z in flagged]
    return [points("different from the training slices", (flagged, values), RED, "x")] if flagged else []


def _unlike(own: LabelImage) -> Iterator[Block]:
    if "unlike_training" not in own.attributes:
        yield Note(
            "It is unknown whether slices resemble the training slices, because the model has no record of them.",
            "missing",
        )
        return
    found = own.attributes["unlike_training"]
    if not found["slices"]:
        yield Note("All segmented slices resemble the training slices in brightness, noise, sharpness and curtaining.")
        return
    yield Listing(f"Slices that differ from the training slices ({len(found['slices'])})", found["reasons"])
    yield Note("On such slices the model may be worse than its scores suggest: check their labels by eye.", "warning")


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf8") as handle:
        return list(csv.DictReader(handle))
