"""What a study found: each variant's scores over its seeds, and the differences between variants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.metrics import spread
from monai_app.study.claims import contrasts_of, single_pairs
from monai_app.study.comparison import Counts, Difference, compare
from monai_app.study.design import Design
from monai_app.study.outcomes import Outcome
from monai_app.study.runs import StudyRun


@dataclass(frozen=True)
class VariantScores:
    """The scores of a variant over stacks and seeds, each as `spread` gives them.

    Attributes:
        variant: its name.
        mean_iou: mean IoU of the phases.
        boundary_iou: the same of the bands along boundaries.
        fraction_error: absolute difference between predicted and true share of the area, mean of the phases.
        seconds: of the trainings that were not resumed.
        seconds_per_megapixel: of predicting, of the runs that were timed.
        phases: name of the phase -> its IoU.
    """

    variant: str
    mean_iou: dict[str, float]
    boundary_iou: dict[str, float]
    fraction_error: dict[str, float]
    seconds: dict[str, float]
    seconds_per_megapixel: dict[str, float]
    phases: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes:
        design: what was compared.
        outcomes: of the runs that are done.
        missing: the runs that are not.
        variants: scores of each variant that has any.
        seeds: those that every run is done of, from which the differences are taken.
        differences: that answer the study's questions, see `contrasts_of`.
        pairs: the single differences that they are made of; their intervals are not corrected for their number.
    """

    design: Design
    outcomes: Sequence[Outcome]
    missing: Sequence[StudyRun]
    variants: Sequence[VariantScores]
    seeds: Sequence[int]
    differences: Sequence[Difference]
    pairs: Sequence[Difference]


def findings(design: Design, runs: Sequence[StudyRun], outcomes: Sequence[Outcome]) -> Findings:
    """Summarise the outcomes of a study, whether or not all of its runs are done; those of fewer labels stand apart."""
    runs = [run for run in runs if run.variant.labels is None]
    outcomes = [each for each in outcomes if each.run.variant.labels is None]
    done = {each.run.folder for each in outcomes}
    missing = [run for run in runs if run.folder not in done]
    unfinished = {run.seed for run in missing}
    seeds = [seed for seed in design.seeds if seed not in unfinished]
    variants = [scores for name in design.variants if (scores := _scores(name, outcomes)) is not None]
    contrasts = contrasts_of(design.variants)
    counts = counts_of(design.variants, outcomes, seeds)
    differences = compare(counts, contrasts) if seeds else []
    pairs = compare(counts, single_pairs(contrasts), together=False) if seeds else []
    return Findings(design, outcomes, missing, variants, seeds, differences, pairs)


def _scores(variant: str, outcomes: Sequence[Outcome]) -> VariantScores | None:
    own = [each for each in outcomes if each.run.variant.name == variant]
    if not own:
        return None
    phases: dict[str, list[float]] = {}
    for each in own:
        for phase in each.scores.phases:
            phases.setdefault(phase.phase, []).append(phase.iou)
    return VariantScores(
        variant,
        spread([each.scores.mean_iou for each in own]),
        spread([each.boundary_iou for each in own]),
        spread([each.fraction_error for each in own]),
        spread([each.seconds for each in own if each.seconds is not None]),
        spread([each.cost.seconds_per_megapixel for each in own if each.cost is not None]),
        {name: spread(values) for name, values in phases.items()},
    )


def counts_of(variants: Sequence[str], outcomes: Sequence[Outcome], seeds: Sequence[int]) -> dict[str, list[Counts]]:
    """Return what `compare` takes: variant -> for each stack (seeds, blocks, K, K)."""
    blocks = {(each.run.variant.name, each.run.sample, each.run.seed): each.blocks for each in outcomes}
    stacks = dict.fromkeys(each.run.sample for each in outcomes)
    return {
        variant: [np.stack([blocks[variant, stack, seed] for seed in seeds]) for stack in stacks]
        for variant in variants
        if seeds
    }
