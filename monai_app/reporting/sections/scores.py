"""Scores on the test slices with intervals; confusion matrix; boundaries, surfaces and components."""

from collections.abc import Iterator, Mapping
from typing import Any

from monai_app.domain.phase import Phase
from monai_app.reporting.content import Block, Cell, Listing, Note, Plot, Section, Table
from monai_app.reporting.figures import confusion
from monai_app.reporting.formatting import MISSING, count, fixed, listed, number, percent
from monai_app.reporting.sources import Run, Scores, Sources

_Row = Mapping[str, Any]


def scores(sources: Sources) -> Section | None:
    """Describe how good the model is."""
    run = sources.run
    if run is None:
        return None
    return Section(
        "scores",
        "Scores",
        "How well the model labels held-out slices, compared with a person's labels: 1 is perfect agreement, 0 none. "
        "The interval shows how far the score on a larger area of this kind may differ from the measured one.",
        [Note(run.unscored, "missing")] if run.scores is None else list(_blocks(run, run.scores)),
    )


def interval(value: float | None, row: _Row, name: str) -> str:
    """Format a score with its 95 % interval."""
    low, high = fixed(row.get(f"{name}_low")), fixed(row.get(f"{name}_high"))
    return fixed(value) if MISSING in (low, high) else f"{fixed(value)} ({low} to {high})"


def _blocks(run: Run, found: Scores) -> Iterator[Block]:
    pooled, phases = found.pooled, run.spec.phases
    yield _phases(pooled, phases)
    if not all(row["reliable"] for row in pooled["intervals"]["phases"]):
        yield Note("* The phase occurs in too few places for a reliable interval.", "warning")
    yield _slices(found)
    yield Note(
        "IoU is the area to which both model and person assign the phase, divided by the area to which either does; "
        "Dice weighs agreement twice. Precision is the share of the predicted area that is correct, recall the share "
        "of the annotated area that was found. Intervals (95 %) come from resampling blocks of the slices "
        "(bootstrap); they cover neither slices of different appearance nor errors in the annotation."
    )
    yield _confusion(pooled, run.spec.phase_names)
    yield _boundaries(pooled, phases)
    yield Note(
        "Boundary IoU considers only a band along the boundaries, where errors are not outweighed by the interior of "
        "large grains. Use it to compare models, because annotations are often off by a pixel, too. Distances are "
        "between the predicted and the annotated surface; 95 % of the surface are closer than the last column."
    )
    if "structure" in pooled:
        yield from _structure(pooled["structure"], phases)
    reasons = pooled.get("unlike_training", {}).get("reasons", [])
    if reasons:
        yield Listing(
            "Test slices that differ in appearance from the training slices, so that their scores say less about "
            "others",
            reasons,
        )


def _phases(pooled: _Row, phases: tuple[Phase, ...]) -> Table:
    rows: list[list[Cell]] = []
    for phase, row, ends in zip(phases, pooled["phases"], pooled["intervals"]["phases"], strict=True):
        star = "" if ends["reliable"] else " *"
        others = (fixed(row[name]) for name in ("dice", "precision", "recall"))
        shares = (percent(row["fraction_true"]), percent(row["fraction_predicted"]))
        rows.append([phase, interval(row["iou"], ends, "iou") + star, *others, *shares, count(int(row["support"]))])
    mean = pooled["intervals"]["mean"]
    accuracy = interval(pooled["pixel_accuracy"], mean, "pixel_accuracy")
    rows.append(["mean", interval(pooled["mean_iou"], mean, "iou"), *[""] * 6])
    rows.append(["correct pixels", accuracy, *[""] * 6])
    columns = ("phase", "IoU (95 % interval)", "Dice", "precision", "recall", "annotated", "predicted", "pixels")
    return Table("All test slices together", columns, rows)


def _slices(found: Scores) -> Table:
    rows: list[list[Cell]] = []
    for folder, document in found.stacks.items():
        for part in document["parts"]:
            mean = part.get("intervals", {}).get("mean", {})
            scored = (("mean_iou", "iou"), ("pixel_accuracy", "pixel_accuracy"))
            rows.append([f"{folder.name}, slice {part['slice']}", *(interval(part[n], mean, e) for n, e in scored)])
    return Table("Every test slice", ("slice", "mean IoU (95 % interval)", "correct pixels"), rows)


def _confusion(pooled: _Row, names: list[str]) -> Plot:
    counts = pooled["confusion"]
    wrong = [(counts[i][j], names[i], names[j]) for i in range(len(names)) for j in range(len(names)) if i != j]
    most, annotated, predicted = max(wrong, default=(0, "", ""))
    worst = f" The most frequent error: {annotated} predicted as {predicted}, {count(most)} pixels." if most else ""
    return Plot(
        "Confusion matrix: rows are the annotation, columns the prediction; the diagonal is correct." + worst,
        f"A matrix of {listed(names)}.{worst}",
        confusion(counts, names),
        height=120 + 60 * len(names),
    )


def _boundaries(pooled: _Row, phases: tuple[Phase, ...]) -> Table:
    names = list(pooled["boundary"]["mean"])
    rows: list[list[Cell]] = []
    for phase, band, surface in zip(phases, pooled["boundary"]["phases"], pooled["surface"]["phases"], strict=True):
        distances = (number(surface["mean_nm"]), number(surface["hausdorff95_nm"]))
        rows.append([phase, *(fixed(band[name]) for name in names), *distances])
    rows.append(["mean", *(fixed(pooled["boundary"]["mean"][name]) for name in names), "", ""])
    widths = (f"boundary IoU, {name.removeprefix('iou_').removesuffix('px')} px" for name in names)
    return Table("Boundaries and surfaces", ("phase", *widths, "mean distance, nm", "95th percentile, nm"), rows)


def _structure(found: _Row, phases: tuple[Phase, ...]) -> Iterator[Block]:
    if not found["area_um2"]:
        yield Note("Boundary length and components are not compared: no scored slice is labelled without holes.")
        return
    rows: list[list[Cell]] = []
    for phase, row in zip(phases, found["phases"], strict=True):
        lengths = (number(row[f"perimeter_{of}"]) for of in ("true_per_um", "predicted_per_um", "ratio"))
        components = (count(int(row[f"components_{of}"])) for of in ("true", "predicted"))
        rows.append([phase, *lengths, *components, number(row["components_ratio"])])
    lengths_of = ("boundary annotated, 1/µm", "predicted, 1/µm", "ratio")
    columns = ("phase", *lengths_of, "components annotated", "predicted", "ratio")
    yield Table(f"Boundary length per area, and connected components, on {_complete(found)}", columns, rows)
    yield Note(
        "Single wrong pixels and ragged boundaries cost little IoU and add much boundary and many components: where a "
        "ratio is far from 1, surfaces and components measured on such labels are unreliable. Straight boundaries "
        "along rows or columns are measured 5 % too short."
    )


def _complete(found: _Row) -> str:
    return f"{found['slices']} of {found['of_slices']} slices, labelled without holes"
