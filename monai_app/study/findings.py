"""The results of a study: each variant's scores over its seeds, and the differences between variants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.metrics import Counts, spread
from monai_app.study.claims import contrasts_of, single_pairs
from monai_app.study.comparison import Difference, compare
from monai_app.study.design import Design
from monai_app.study.outcomes import Outcome
from monai_app.study.runs import StudyRun, complete_seeds, seed_means


@dataclass(frozen=True)
class VariantScores:
    """The scores of a variant, each as `spread` gives the means over the stacks of the seeds.

    Attributes:
        variant: its name.
        runs: their number.
        mean_iou: mean IoU of the phases.
        boundary_iou: the same of the bands along boundaries.
        fraction_error: absolute difference between predicted and true share of the area, mean of the phases.
        seconds: of the trainings that were not resumed.
        seconds_per_megapixel: of predicting, of the runs that were timed.
        phases: name of the phase -> its IoU.
    """

    variant: str
    runs: int
    mean_iou: dict[str, float]
    boundary_iou: dict[str, float]
    fraction_error: dict[str, float]
    seconds: dict[str, float]
    seconds_per_megapixel: dict[str, float]
    phases: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Findings:
    """The results of a study.

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
    samples = len({run.sample for run in runs})
    seeds = [seed for seed in design.seeds if seed not in unfinished]
    variants = [scores for name in design.variants if (scores := _scores(name, outcomes, samples)) is not None]
    contrasts = contrasts_of(design.variants)
    counts = counts_of(design.variants, outcomes, seeds)
    differences = compare(counts, contrasts) if seeds else []
    pairs = compare(counts, single_pairs(contrasts), together=False) if seeds else []
    return Findings(design, outcomes, missing, variants, seeds, differences, pairs)


def _scores(variant: str, outcomes: Sequence[Outcome], samples: int) -> VariantScores | None:
    """Summarise a variant by the seeds with which every sample is done, if there are any."""
    done = [each for each in outcomes if each.run.variant.name == variant]
    seeds = complete_seeds((each.run for each in done), samples)
    own = [each for each in done if each.run.seed in seeds] or done
    if not own:
        return None

    def over_seeds(value: Callable[[Outcome], float | None]) -> dict[str, float]:
        found = [(each.run.seed, value(each)) for each in own]
        known = ((seed, one) for seed, one in found if one is not None and not np.isnan(one))
        return spread([*seed_means(known).values()])

    return VariantScores(
        variant,
        len(own),
        over_seeds(lambda each: each.scores.mean_iou),
        over_seeds(lambda each: each.boundary_iou),
        over_seeds(lambda each: each.fraction_error),
        over_seeds(lambda each: each.seconds),
        over_seeds(lambda each: None if each.cost is None else each.cost.seconds_per_megapixel),
        {phase.phase: over_seeds(_iou_of(number)) for number, phase in enumerate(own[0].scores.phases)},
    )


def _iou_of(number: int) -> Callable[[Outcome], float]:
    return lambda each: each.scores.phases[number].iou


def counts_of(variants: Sequence[str], outcomes: Sequence[Outcome], seeds: Sequence[int]) -> dict[str, list[Counts]]:
    """Return what `compare` takes: variant -> for each stack (seeds, blocks, K, K)."""
    blocks = {(each.run.variant.name, each.run.sample, each.run.seed): each.blocks for each in outcomes}
    stacks = dict.fromkeys(each.run.sample for each in outcomes)
    return {
        variant: [np.stack([blocks[variant, stack, seed] for seed in seeds]) for stack in stacks]
        for variant in variants
        if seeds
    }
