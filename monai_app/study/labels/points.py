"""What variants reach with each amount of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from monai_app.stack import Stack
from monai_app.study.labels.amount import Amount, size_of
from monai_app.study.outcomes import Outcome
from monai_app.study.runs import complete_seeds, seed_means


@dataclass(frozen=True)
class Point:
    """The runs of one variant with one amount of labels.

    Attributes:
        variant: its name with all labels.
        amount: None for all labels.
        rows: of its runs, see `run_rows`.
    """

    variant: str
    amount: Amount | None
    rows: Sequence[dict[str, Any]]

    @cached_property
    def scores(self) -> dict[int, float]:
        """Seed -> mean IoU, mean over the stacks."""
        return seed_means((row["seed"], row["mean_iou"]) for row in self.rows)

    @property
    def mean(self) -> float:
        """Mean IoU over stacks and seeds."""
        return float(np.mean([*self.scores.values()]))

    @property
    def slices(self) -> str:
        """Which slices are labelled, for people."""
        slices = () if self.amount is None else self.amount.slices
        return f"slice{'s' * (len(slices) > 1)} {'+'.join(map(str, slices))}" if slices else "all slices"

    @property
    def percent(self) -> float:
        """Labelled area in percent of the area of one slice, mean of the runs."""
        return float(np.mean([row["percent_of_slice"] for row in self.rows]))

    @property
    def um2(self) -> float:
        """Labelled area, mean of the runs."""
        return float(np.mean([row["area_um2"] for row in self.rows]))


def points_of(variants: Sequence[str], outcomes: Sequence[Outcome], samples: int) -> list[Point]:
    """Gather the outcomes of variants, with all labels and with fewer, in ascending order of the labelled area.

    Args:
        variants: their names with all labels.
        outcomes: of the runs that are done; of seeds with which one of the samples lacks, none is taken.
        samples: number of samples.
    """
    found: dict[tuple[str, Amount | None], list[Outcome]] = {}
    for each in outcomes:
        variant = each.run.variant
        if variant.with_all_labels in variants:
            found.setdefault((variant.with_all_labels, variant.labels), []).append(each)
    area = lru_cache(None)(_area)
    points = []
    for key, own in found.items():
        seeds = complete_seeds((each.run for each in own), samples)
        rows = [_row(each, *area(each.run.stack)) for each in own if each.run.seed in seeds]
        if rows:
            points.append(Point(*key, rows))
    return sorted(points, key=lambda point: (variants.index(point.variant), point.percent))


def by_size(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Gather points that differ in nothing but which slices are labelled, by how much that is."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(size_of(point.amount), []).append(point)
    return found


def _area(stack: Stack) -> tuple[float, float]:
    """Labelled area to train and validate on: in um2, and in percent of a slice."""
    pixels = sum(np.count_nonzero(stack.read_annotation(z)) for z in stack.train_slices)
    _, rows, columns = stack.shape
    _, high, wide = stack.voxel_nm
    return pixels * high * wide / 1e6, 100 * pixels / (rows * columns)


def _row(outcome: Outcome, um2: float, percent: float) -> dict[str, Any]:
    run = outcome.run
    return {
        "stack": run.sample,
        "variant": run.variant.with_all_labels,
        "labels": "all" if run.variant.labels is None else str(run.variant.labels),
        "seed": run.seed,
        "area_um2": um2,
        "percent_of_slice": percent,
        "mean_iou": outcome.scores.mean_iou,
    }
