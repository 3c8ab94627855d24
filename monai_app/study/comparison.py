"""Differences between variants, with intervals for chance in training and in where was scored."""

from collections import Counter
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
"""Draws of blocks that a standard error is taken from."""

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
        corrected_low, corrected_high: so wide that all contrasts of one claim together hold with 95 %.
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

    Two errors are added in squares. That of the seeds follows from how much the difference of each pair of variants
    scatters over them; pairs are trained apart. That of the blocks is their bootstrap's (see `block_interval`), with
    the same draw for all variants, as all are scored on the same blocks: a block that is hard for all blurs no
    difference. The quantile is Student's t with Satterthwaite's degrees of freedom (1946, doi 10.2307/3002019), because
    three seeds are few. Intervals of all contrasts of a claim together are
    Bonferroni's. Stacks are not drawn: what is said is
    said of these.

    Args:
        counts: variant -> for each stack (seeds, blocks, K, K) pixels, [true][predicted], in the same order of seeds
            and blocks for all variants.
        contrasts: between the variants.
        seed: of the draws.
    """
    shapes = [each.shape[:2] for each in next(iter(counts.values()))]
    generator = np.random.default_rng(seed)
    whole = [np.ones((1, blocks), np.int64) for _, blocks in shapes]
    drawn = [generator.multinomial(blocks, np.full(blocks, 1 / blocks), REPEATS) for _, blocks in shapes]
    of_seeds, of_draws = (
        {
            name: np.mean([_mean_ious(each, own) for each, own in zip(stacks, weights, strict=True)], axis=0)
            for name, stacks in counts.items()
        }
        for weights in (whole, drawn)
    )
    numbers = Counter(each.claim for each in contrasts)
    return [_difference(each, of_seeds, of_draws, shapes, 1 - (1 - LEVEL) / numbers[each.claim]) for each in contrasts]


def _mean_ious(counts: Counts, weights: Counts) -> Floats:
    """Mean IoU over the phases: (repeats, seeds).

    Args:
        counts: (seeds, blocks, K, K).
        weights: (repeats, blocks), how often each block counts.
    """
    confusion = np.einsum("rb,sbij->rsij", weights, counts)
    hits = confusion.diagonal(axis1=-2, axis2=-1)
    either = confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits
    ious = np.divide(hits, either, out=np.full(hits.shape, np.nan), where=either > 0)
    means: Floats = np.nanmean(ious, axis=-1)
    return means


def _difference(
    contrast: Contrast,
    of_seeds: Mapping[str, Floats],
    of_draws: Mapping[str, Floats],
    shapes: Sequence[tuple[int, ...]],
    level: float,
) -> Difference:
    """Return a contrast with its intervals.

    Args:
        contrast: between what.
        of_seeds: variant -> mean IoU (1, seeds).
        of_draws: variant -> mean IoU (repeats, seeds) of drawn blocks.
        shapes: seeds and blocks of each stack.
        level: of the intervals that hold together.
    """
    pairs = np.concatenate([of_seeds[better] - of_seeds[worse] for better, worse in contrast.pairs])
    number, seeds = pairs.shape
    by_seeds = pairs.var(axis=1, ddof=1) / seeds / number**2 if seeds > 1 else np.full(number, np.nan)
    draws = np.mean([of_draws[better] - of_draws[worse] for better, worse in contrast.pairs], axis=(0, 2))
    least, blocks = min(own for _, own in shapes), sum(own - 1 for _, own in shapes)
    by_blocks = draws.var() * least / (least - 1) if least > 1 else np.nan
    variances = np.array([*by_seeds, by_blocks])
    freedom = np.array([*[seeds - 1] * number, blocks])
    value, known = float(pairs.mean()), ~np.isnan(variances)
    total = variances[known].sum()
    effective = total**2 / (variances[known] ** 2 / freedom[known]).sum() if total > 0 else np.inf
    reach, corrected = (float(stats.t.ppf((1 + each) / 2, effective) * np.sqrt(total)) for each in (LEVEL, level))
    return Difference(
        contrast,
        value,
        value - reach,
        value + reach,
        value - corrected,
        value + corrected,
        float(np.sqrt(by_seeds.sum())),
        float(np.sqrt(by_blocks)),
        _reasons(seeds, least),
    )


def _reasons(seeds: int, blocks: int) -> tuple[str, ...]:
    """Say why intervals may be wrong."""
    reasons = []
    if seeds < LEAST_SEEDS:
        many = f"{seeds} seed{'s' * (seeds > 1)}"
        reasons.append(f"{many} say too little of what chance does in a training; {LEAST_SEEDS} are needed")
    if blocks < LEAST_BLOCKS:
        reasons.append(f"the test slices of a stack hold {blocks} annotated blocks; {LEAST_BLOCKS} are needed")
    return tuple(reasons)
