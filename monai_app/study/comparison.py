"""Differences between variants, with intervals for chance in training and in the choice of scored areas."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from monai_app.metrics.blocks import LEAST_BLOCKS, Counts
from monai_app.study.claims import Contrast

Floats = npt.NDArray[np.float64]

REPEATS = 1000
"""Draws of blocks that a standard error is taken from."""

LEVEL = 0.95

LEAST_SEEDS = 3
"""Of two, intervals are too wide, and simulated ones of one pair hold too seldom (docs/how-to/models/study.md)."""

LEAST_SAMPLES = 3
"""Of two, an interval over samples would be thirteen times as wide as they lie apart."""


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
        samples_low, samples_high: its 95 % interval over samples, see `interval_over_samples`; ``nan`` of fewer than
            three stacks.
        samples_corrected_low, samples_corrected_high: likewise, for all contrasts of one claim together.
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
    samples_low: float = np.nan
    samples_high: float = np.nan
    samples_corrected_low: float = np.nan
    samples_corrected_high: float = np.nan

    @property
    def verdict(self) -> str:
        """Whether the difference is shown: ``"shown"``, ``"the opposite is shown"`` or ``"not shown"``."""
        if self.unreliable or not (self.corrected_low > 0 or self.corrected_high < 0):
            return "not shown"
        return "shown" if self.corrected_low > 0 else "the opposite is shown"


def compare(
    counts: Mapping[str, Sequence[Counts]], contrasts: Sequence[Contrast], *, together: bool = True, seed: int = 0
) -> list[Difference]:
    """Estimate contrasts between the mean IoU of variants, which is the mean over stacks and seeds.

    Errors are added in squares. That of the seeds follows from how much the difference of each pair of variants
    scatters over them; pairs are trained apart, or else it follows from the scatter of their mean. That of the blocks
    of each stack is their bootstrap's (see `block_interval`), with the same draw for all variants, as all are scored on
    the same blocks: a block that is hard for all blurs no difference. The quantile is Student's t with Satterthwaite's
    degrees of freedom (1946, doi 10.2307/3002019), because three seeds are few. Intervals of all contrasts of a claim
    together are Bonferroni's. Stacks are not drawn, so the intervals apply to these stacks; `interval_over_samples`
    applies to samples like them.

    Args:
        counts: variant -> for each stack (seeds, blocks, K, K) pixels, ``[true][predicted]``, with
            seeds and blocks in the same order for all variants.
        contrasts: between the variants.
        together: whether all contrasts of a claim are to hold together; else each is corrected for itself alone.
        seed: of the draws.
    """
    shapes = [each.shape[:2] for each in next(iter(counts.values()))]
    generator = np.random.default_rng(seed)
    drawn = [generator.multinomial(blocks, np.full(blocks, 1 / blocks), REPEATS) for _, blocks in shapes]
    scores = {
        name: _Scores(
            np.stack([_mean_ious(each, np.ones((1, each.shape[1]), np.int64))[0] for each in stacks]),
            np.stack([_mean_ious(each, own).mean(axis=1) for each, own in zip(stacks, drawn, strict=True)]),
        )
        for name, stacks in counts.items()
    }
    blocks = np.array([own for _, own in shapes])
    numbers = Counter(each.claim for each in contrasts) if together else Counter()
    return [_difference(each, scores, blocks, 1 - (1 - LEVEL) / max(numbers[each.claim], 1)) for each in contrasts]


def interval_over_samples(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a mean over samples, by Student's t; ``nan`` of fewer than three.

    The samples are taken for a random choice of all that could have been studied. What chance does in each of them, in
    training and in where was scored, scatters their values too, so it is in the interval.

    Args:
        values: one of each sample.
        level: of the interval.

    Example:
        >>> low, high = interval_over_samples(np.array([0.01, 0.02, 0.03]))
        >>> round(low, 3), round(high, 3)
        (-0.005, 0.045)
    """
    return t_interval(values, LEAST_SAMPLES, level)


def t_interval(values: Floats, least: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a mean by Student's t; ``nan`` of fewer than ``least`` values."""
    if len(values) < least:
        return np.nan, np.nan
    reach = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


class _Scores(NamedTuple):
    """Mean IoU of a variant on every stack: with each seed (stacks, seeds), and of drawn blocks (stacks, repeats)."""

    of_seeds: Floats
    of_draws: Floats


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
    contrast: Contrast, scores: Mapping[str, _Scores], blocks: npt.NDArray[np.int64], level: float
) -> Difference:
    """Return a contrast with its intervals, ``nan`` if a variance is unknown.

    Args:
        contrast: between what.
        scores: of every variant.
        blocks: of every stack.
        level: of the intervals that hold together.
    """
    pairs = np.stack([(scores[one].of_seeds - scores[other].of_seeds).mean(axis=0) for one, other in contrast.pairs])
    draws = np.mean([scores[one].of_draws - scores[other].of_draws for one, other in contrast.pairs], axis=0)
    samples = np.mean([scores[one].of_seeds - scores[other].of_seeds for one, other in contrast.pairs], axis=(0, 2))
    if len({name for pair in contrast.pairs for name in pair}) < 2 * len(contrast.pairs):
        pairs = pairs.mean(axis=0, keepdims=True)  # some share a training, so their errors are not independent
    number, seeds = pairs.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        by_seeds = pairs.var(axis=1) / (seeds - 1) / number**2
        by_blocks = draws.var(axis=1) * (blocks / (blocks - 1)) / len(blocks) ** 2
    value, reaches = float(pairs.mean()), [np.nan, np.nan]
    if seeds > 1 and blocks.min() > 1:
        variances = np.concatenate([by_seeds, by_blocks])
        freedom = np.concatenate([np.full(number, seeds - 1), blocks - 1])
        reaches = [_reach(variances, freedom, each) for each in (LEVEL, level)]
    reach, corrected = reaches
    return Difference(
        contrast,
        value,
        value - reach,
        value + reach,
        value - corrected,
        value + corrected,
        float(np.sqrt(by_seeds.sum())),
        float(np.sqrt(by_blocks.sum())),
        _reasons(seeds, int(blocks.min())),
        *interval_over_samples(samples),
        *interval_over_samples(samples, level),
    )


def _reach(variances: Floats, freedom: npt.NDArray[np.int64], level: float) -> float:
    """Half the width of an interval, from variances that are added and the degrees of freedom of each."""
    total = variances.sum()
    if total == 0:
        return 0.0
    effective = total**2 / (variances**2 / freedom).sum()
    return float(stats.t.ppf((1 + level) / 2, effective) * np.sqrt(total))


def _reasons(seeds: int, blocks: int) -> tuple[str, ...]:
    """Say why intervals may be wrong."""
    reasons = []
    if seeds < LEAST_SEEDS:
        many = f"{seeds} seed{'s' * (seeds > 1)}"
        reasons.append(f"{many} is too few to estimate chance in training; {LEAST_SEEDS} are needed")
    if blocks < LEAST_BLOCKS:
        many = f"{blocks} annotated block{'s' * (blocks > 1)}"
        reasons.append(
            f"the test slices of a stack hold {many}, of which a single micrograph is one; {LEAST_BLOCKS} are needed"
        )
    return tuple(reasons)
