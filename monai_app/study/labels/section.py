"""The part of a study's results on how few labels suffice."""

from collections.abc import Iterator, Sequence

import numpy as np

from monai_app.progress import counted
from monai_app.study.comparison import compare
from monai_app.study.design import Design
from monai_app.study.findings import counts_of
from monai_app.study.labels.contrasts import label_contrasts
from monai_app.study.labels.figure import labels_figure
from monai_app.study.labels.points import Point, by_size, points_of
from monai_app.study.outcomes import Outcome
from monai_app.study.report.document import difference_row
from monai_app.study.report.page import verdict
from monai_app.study.report.section import Section
from monai_app.study.variants import read_study_variant

_INTRODUCTION = (
    "Mean IoU on the same test slices of variants that were trained on fewer labels: mean over the seeds (minimum to "
    "maximum). The area is that labelled for training and validation."
)


def labels_section(design: Design, outcomes: Sequence[Outcome], samples: Sequence[str]) -> Section | None:
    """Return the section on fewer labels; None if a design asks for none, or no such run is done.

    Args:
        design: what is compared.
        outcomes: of the runs that are done.
        samples: names of their stores.
    """
    if design.labels is None:
        return None
    variants = design.labels.variants
    points = points_of(variants, outcomes, len(samples))
    if all(point.amount is None for point in points):
        return None
    lines = [
        _INTRODUCTION,
        "",
        *_table(variants, points),
        "",
        *(line for variant in variants for line in _sentences([each for each in points if each.variant == variant])),
        *_verdicts(design, outcomes, samples),
        *_unfinished(design, outcomes, samples),
    ]
    rows = [row for point in points for row in point.rows]
    return Section("labels", "How few labels suffice?", lines, rows, labels_figure(variants, points))


def _table(variants: Sequence[str], points: Sequence[Point]) -> Iterator[str]:
    columns = ["labels", "um²", "% of a slice", *(f"`{variant}`" for variant in variants)]
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    there = {(point.variant, point.amount): point for point in points}
    area = {point.amount: (point.um2, point.percent) for point in points}
    for amount, (um2, percent) in sorted(area.items(), key=lambda each: each[1]):
        cells = [_cell(there.get((variant, amount))) for variant in variants]
        yield f"| {' | '.join(['all' if amount is None else str(amount), f'{um2:.3g}', f'{percent:.3g}', *cells])} |"


def _cell(point: Point | None) -> str:
    if point is None:
        return ""
    scores = point.scores.values()
    spread = f" ({min(scores):.3f} to {max(scores):.3f})" if len(scores) > 1 else ""
    return f"{point.mean:.3f}{spread}"


def _sentences(points: Sequence[Point]) -> Iterator[str]:
    """Return what share of its score a variant reaches with fewer labels, and the effect of the choice of slices."""
    everything = [point for point in points if point.amount is None]
    sizes = by_size([point for point in points if point.amount is not None])
    for whole in everything:
        reached = (
            f"{np.mean([each.mean for each in own]) / whole.mean:.0%} with {size}" for size, own in sizes.items()
        )
        yield f"- `{whole.variant}` reaches {whole.mean:.3f} with all labels; of that {', '.join(reached)}."
    for size, own in sizes.items():
        if len(own) > 1:
            yield f"- `{own[0].variant}` with {size}: {_choice(own)}."


def _choice(points: Sequence[Point]) -> str:
    """Compare the effect of the choice of slices with that of the seed."""
    low, high = min(points, key=lambda each: each.mean), max(points, key=lambda each: each.mean)
    span = f"{low.mean:.3f} ({low.slices}) to {high.mean:.3f} ({high.slices})"
    seeds = sorted(set.intersection(*(set(each.scores) for each in points)))
    if len(seeds) < 2:
        return span
    scores = np.array([[each.scores[seed] for seed in seeds] for each in points])
    choice, chance = (float(np.sqrt(scores.var(axis=axis, ddof=1).mean())) for axis in (0, 1))
    return f"{span}; standard deviation {choice:.3f} between choices of slices, {chance:.3f} between seeds"


def _verdicts(design: Design, outcomes: Sequence[Outcome], samples: Sequence[str]) -> Iterator[str]:
    """Compare numbers of complete slices, over the seeds for which all their runs are done."""
    contrasts = label_contrasts([*map(read_study_variant, design.trained)])
    names = {name for each in contrasts for pair in each.pairs for name in pair}
    done = {(each.run.variant.name, each.run.sample, each.run.seed) for each in outcomes}
    seeds = [seed for seed in design.seeds if all((name, sample, seed) in done for name in names for sample in samples)]
    if contrasts and seeds:
        differences = compare(counts_of([*names], outcomes, seeds), contrasts)
        yield from (f"- {verdict(difference_row(each))}" for each in differences)


def _unfinished(design: Design, outcomes: Sequence[Outcome], samples: Sequence[str]) -> Iterator[str]:
    done = [each for each in outcomes if each.run.variant.labels is not None]
    missing = len(set(design.trained) - set(design.variants)) * len(design.seeds) * len(samples) - len(done)
    if missing:
        yield from ("", f"Not done: {counted(missing, 'run')} with fewer labels.")
