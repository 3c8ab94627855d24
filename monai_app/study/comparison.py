"""Differences between variants, with intervals for chance in training and in where was scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from monai_app.metrics.blocks import LEAST_BLOCKS
from monai_app.study.claims import Contrast

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

REPEATS = 1000
"""Resamples that a standard error is taken from."""

LEVEL = 0.95

LEAST_SEEDS = 3
"""Of two, simulated intervals held the true difference in 89 % of cases; of three in 95 %."""


@dataclass(frozen=True)
class Difference:
    """A difference in mean IoU.

    Attributes:
        contrast: between what.
        value: the difference.
        low, high: its 95 % interval.
        corrected_low, corrected_high: so wide that all contrasts of the study together hold with 95 %.
        of_seeds: standard error by the seeds; ``nan`` of one seed.
        of_blocks: standard error by the blocks of the test slices.
        unreliable: why the intervals may be wrong.
    """

    contrast: Contrast
    value: float
    low: float
    high: float
    corrected_low: float
    corrected_high: float
    of_seeds: float
    of_blocks: float
    unreliable: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Whether the difference is shown: ``"shown"``, ``"the opposite is shown"`` or ``"not shown"``."""
        if self.unreliable or not (self.corrected_low > 0 or self.corrected_high < 0):
            return "not shown"
        return "shown" if self.corrected_low > 0 else "the opposite is shown"


def compare(
    counts: Mapping[str, Sequence[Counts]], contrasts: Sequence[Contrast], *, seed: int = 0
) -> list[Difference]:
    """Estimate contrasts between the mean IoU of variants, which is the mean over stacks and seeds.

    Seeds and blocks are crossed: every model of every seed is scored on the same blocks. Both are drawn with
    replacement, the same draw for all variants, so that a hard block or a lucky split is hard or lucky for all (the
    pigeonhole bootstrap; Owen 2007, doi 10.1214/07-AOAS122). The standard errors by seeds and by blocks are added in
    squares; the quantile is Student's t with Satterthwaite's degrees of freedom (1946, doi 10.2307/3002019), because
    three seeds are few. Intervals for all contrasts together are Bonferroni's. Stacks are not drawn: what is said is
    said of these.

    Args:
        counts: variant -> for each stack (seeds, blocks, K, K) pixels, [true][predicted], in the same order of seeds
            and blocks for all variants.
        contrasts: between the variants.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    shapes = [each.shape[:2] for each in next(iter(counts.values()))]
    drawn = [[generator.multinomial(n, np.full(n, 1 / n), REPEATS) for n in shape] for shape in shapes]
    whole = [(np.ones((1, seeds)), np.ones((1, blocks))) for seeds, blocks in shapes]
    by_seeds = [(of_seeds, np.ones((1, own.shape[1]))) for (of_seeds, _), (_, own) in zip(drawn, whole, strict=True)]
    by_blocks = [(np.ones((1, own.shape[1])), of_blocks) for (_, of_blocks), (own, _) in zip(drawn, whole, strict=True)]
    estimates, seeds_drawn, blocks_drawn = (
        {variant: _mean_ious(own, weights) for variant, own in counts.items()}
        for weights in (whole, by_seeds, by_blocks)
    )
    level = 1 - (1 - LEVEL) / max(len(contrasts), 1)
    reasons = _reasons(shapes)
    found = []
    for contrast in contrasts:
        value = float(contrast.of(estimates)[0])
        errors = [
            _error(contrast.of(values), [shape[axis] for shape in shapes])
            for axis, values in enumerate((seeds_drawn, blocks_drawn))
        ]
        reach, corrected = (_reach(errors, shapes, each) for each in (LEVEL, level))
        ends = (value - reach, value + reach, value - corrected, value + corrected)
        found.append(Difference(contrast, value, *ends, errors[0], errors[1], reasons))
    return found


def _mean_ious(stacks: Sequence[Counts], weights: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Mean IoU of a variant over stacks and seeds: (repeats,)."""
    return np.mean([_of_stack(counts, *own) for counts, own in zip(stacks, weights, strict=True)], axis=0)


def _of_stack(counts: Counts, seeds: Floats, blocks: Floats) -> Floats:
    confusion = np.einsum("rb,sbij->rsij", blocks, counts)
    hits = confusion.diagonal(axis1=-2, axis2=-1)
    either = confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits
    ious = np.divide(hits, either, out=np.full(hits.shape, np.nan), where=either > 0)
    weighted: Floats = (np.nanmean(ious, axis=-1) * seeds).sum(axis=-1) / seeds.sum(axis=-1)
    return weighted


def _error(values: Floats, numbers: Sequence[int]) -> float:
    """Standard error from draws; drawing from n gives a variance that is too small by (n - 1) / n."""
    least = min(numbers)
    return float(values.std() * np.sqrt(least / (least - 1))) if least > 1 else np.nan


def _reach(errors: Sequence[float], shapes: Sequence[tuple[int, ...]], level: float) -> float:
    variances = np.square(errors)
    freedom = [sum(shape[axis] - 1 for shape in shapes) for axis in range(2)]
    total = float(np.nansum(variances))
    if total == 0 or np.isnan(variances[1]):
        return np.nan if np.isnan(variances[1]) else 0.0
    parts = [variance**2 / own for variance, own in zip(variances, freedom, strict=True) if own > 0]
    return float(stats.t.ppf((1 + level) / 2, total**2 / np.nansum(parts)) * np.sqrt(total))


def _reasons(shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    seeds, blocks = (min(shape[axis] for shape in shapes) for axis in range(2))
    reasons = []
    if seeds < LEAST_SEEDS:
        many = f"{seeds} seed{'s' * (seeds > 1)}"
        reasons.append(f"{many} say too little of what chance does in a training; {LEAST_SEEDS} are needed")
    if blocks < LEAST_BLOCKS:
        reasons.append(f"the test slices of a stack hold {blocks} annotated blocks; {LEAST_BLOCKS} are needed")
    return tuple(reasons)
