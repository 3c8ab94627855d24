"""Differences between variants and their intervals."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from monai_app.study import Contrast, Difference, compare
from monai_app.study.comparison import interval_over_samples
from tests.conftest import CHECKOUT

CONTRAST = Contrast("detectors", "both", "one", (("both", "one"),))


def counts_of(rng: np.random.Generator, right: npt.NDArray[np.float64], pixels: int = 400) -> npt.NDArray[np.int64]:
    """Counts (seeds, blocks, 2, 2) of two phases of equal area, of which the share ``right`` is right."""
    hits = np.round(np.clip(right, 0, 1) * pixels).astype(np.int64)
    counts = np.zeros((*right.shape, 2, 2), np.int64)
    counts[..., 0, 0] = counts[..., 1, 1] = hits
    counts[..., 0, 1] = counts[..., 1, 0] = pixels - hits
    return counts


def iou(right: float) -> float:
    return right / (2 - right)


def simulated(rng: np.random.Generator, seeds: int, gain: float) -> dict[str, list[Any]]:
    """Two variants whose accuracy scatters with the seed and, alike for both, with the block."""
    blocks = rng.normal(0, 0.03, 9)
    return {
        name: [counts_of(rng, mean + rng.normal(0, 0.01, (seeds, 1)) + blocks + rng.normal(0, 0.01, (seeds, 9)))]
        for name, mean in (("one", 0.8), ("both", 0.8 + gain))
    }


def test_a_difference_is_that_of_the_mean_iou_over_seeds() -> None:
    rng = np.random.default_rng(0)
    counts = {
        "one": [counts_of(rng, np.array([[0.5, 0.7], [0.6, 0.8]]))],
        "both": [counts_of(rng, np.array([[0.9, 0.9], [0.7, 0.9]]))],
    }
    [found] = compare(counts, [CONTRAST])
    expected = (iou(0.9) + iou(0.8)) / 2 - (iou(0.6) + iou(0.7)) / 2
    assert found.value == pytest.approx(expected, abs=1e-3)


def test_intervals_hold_the_true_difference() -> None:
    """With three seeds and nine blocks, as a study has."""
    truth = iou(0.85) - iou(0.8)
    held, widths = 0, []
    for seed in range(100):
        [found] = compare(simulated(np.random.default_rng(seed), 3, 0.05), [CONTRAST])
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    assert held >= 90
    assert np.median(widths) < 0.1  # what three seeds and nine blocks of this scatter allow


def test_intervals_that_hold_together_are_wider() -> None:
    counts = simulated(np.random.default_rng(1), 3, 0.02)
    [alone] = compare(counts, [CONTRAST])
    several = compare(counts, [CONTRAST] * 5)
    assert (alone.corrected_low, alone.corrected_high) == (alone.low, alone.high)
    assert several[0].low == alone.low
    assert several[0].corrected_low < alone.low < alone.high < several[0].corrected_high


@pytest.mark.parametrize(("gain", "verdict"), [(0.1, "shown"), (-0.1, "the opposite is shown"), (0.0, "not shown")])
def test_a_verdict_follows_from_the_interval(gain: float, verdict: str) -> None:
    [found] = compare(simulated(np.random.default_rng(3), 3, gain), [CONTRAST])
    assert found.verdict == verdict


def test_blocks_that_are_hard_for_all_do_not_blur_a_difference() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.1, 9)
    counts = {
        name: [counts_of(rng, mean + hard + rng.normal(0, 0.002, (3, 9)))]
        for name, mean in (("one", 0.7), ("both", 0.75))
    }
    [found] = compare(counts, [CONTRAST])
    assert found.verdict == "shown"
    assert found.of_blocks < 0.01


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_show_nothing(seeds: int) -> None:
    [found] = compare(simulated(np.random.default_rng(0), seeds, 0.1), [CONTRAST])
    assert np.isnan(found.of_seeds) == (seeds == 1)
    assert found.verdict == "not shown"
    assert f"{seeds} seed" in found.unreliable[0]


def test_few_blocks_show_nothing() -> None:
    counts = {name: [own[0][:, :3]] for name, own in simulated(np.random.default_rng(0), 3, 0.1).items()}
    [found] = compare(counts, [CONTRAST])
    assert found.verdict == "not shown"
    assert "3 annotated blocks" in found.unreliable[0]


def test_stacks_are_averaged() -> None:
    rng = np.random.default_rng(0)
    first, second = simulated(rng, 3, 0.1), simulated(rng, 3, 0.0)
    both = {name: [*first[name], *second[name]] for name in first}
    values = [compare(each, [CONTRAST])[0].value for each in (first, second, both)]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)


def of_samples(rng: np.random.Generator, samples: int, scatter: float) -> dict[str, list[Any]]:
    """Two variants on several stacks, whose gain scatters from stack to stack."""
    each = [simulated(rng, 3, rng.normal(0.05, scatter)) for _ in range(samples)]
    return {name: [own[name][0] for own in each] for name in ("one", "both")}


def test_an_interval_over_samples_is_that_of_their_differences() -> None:
    counts = of_samples(np.random.default_rng(0), 4, 0.02)
    [found, *_] = compare(counts, [CONTRAST] * 5)
    alone = [compare({name: own[n : n + 1] for name, own in counts.items()}, [CONTRAST])[0].value for n in range(4)]
    for level, ends in (
        (0.95, (found.samples_low, found.samples_high)),
        (0.99, (found.samples_corrected_low, found.samples_corrected_high)),
    ):
        assert ends == pytest.approx(tuple(stats.ttest_1samp(alone, 0).confidence_interval(level)))


def test_samples_that_differ_are_a_source_of_chance() -> None:
    """The interval that is of these stacks alone holds the mean of all samples too seldom."""
    truth = 0.0758  # mean difference in IoU where accuracies of 0.8 gain 0.05 with this scatter
    of_these = over_samples = 0
    for seed in range(60):
        [found] = compare(of_samples(np.random.default_rng(seed), 4, 0.05), [CONTRAST])
        of_these += found.low <= truth <= found.high
        over_samples += found.samples_low <= truth <= found.samples_high
    assert over_samples >= 53
    assert of_these <= 40


def test_two_samples_have_no_interval() -> None:
    counts = of_samples(np.random.default_rng(0), 2, 0.02)
    [found] = compare(counts, [CONTRAST])
    assert np.isnan([found.samples_low, found.samples_high]).all()
    assert np.isnan(interval_over_samples(np.array([0.1, 0.2]))).all()


def test_the_blocks_of_each_stack_have_their_own_degrees_of_freedom() -> None:
    """A stack of many blocks that hardly scatter does not make one of four that do more certain."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        counts = {
            name: [
                counts_of(rng, np.full((3, 4), mean) + rng.normal(0, 0.06, 4)),
                counts_of(rng, np.full((3, 36), mean) + rng.normal(0, 0.001, 36)),
            ]
            for name, mean in (("one", 0.7), ("both", 0.75))
        }
        [found] = compare(counts, [CONTRAST])
        held += found.low <= iou(0.75) - iou(0.7) <= found.high
    assert held >= 90


def test_what_is_unknown_is_no_interval() -> None:
    [found] = compare(simulated(np.random.default_rng(0), 1, 0.1), [CONTRAST])
    assert np.isnan([found.low, found.high, found.corrected_low, found.corrected_high]).all()


def test_pairs_are_not_corrected_for_their_number() -> None:
    [found, _] = compare(simulated(np.random.default_rng(0), 3, 0.1), [CONTRAST] * 2, together=False)
    assert (found.corrected_low, found.corrected_high) == (found.low, found.high)


def test_the_numbers_of_the_page_were_measured() -> None:
    page = (CHECKOUT / "docs" / "how-to" / "models" / "study.md").read_text()
    document = json.loads((CHECKOUT / "docs" / "results" / "study_coverage.json").read_text())
    measured = document["rows"]
    rows = {
        f"| {row['seeds']} | {row['pairs']} | {row['shared']} | {100 * row['held']:.0f} % | {row['median_width']:.3f} |"
        for row in measured
    }
    told = re.findall(r"^\| \d \| \d \| .* \|$", page, re.MULTILINE)
    assert len(told) == 6
    assert rows.issuperset(told)
    over_samples = [
        f"| {row['samples']} | {row['of_sample']} | "
        + " | ".join(
            f"{100 * row[own]['held']:.0f} % | {row[own]['median_width']:.3f}" for own in ("of_these", "over_samples")
        )
        + " |"
        for row in document["samples"]
    ]
    assert [row in page for row in over_samples] == [True] * 6


def test_the_error_of_the_blocks_is_that_of_a_mean_over_them() -> None:
    """Of four blocks, a bootstrap alone would give sqrt(3/4) of it."""
    rng = np.random.default_rng(0)
    gains = np.array([0.01, 0.02, 0.03, 0.04])
    counts = {
        name: [counts_of(rng, np.tile(0.8 + own, (3, 1)), 100_000)]
        for name, own in (("one", 0 * gains), ("both", gains))
    }
    [found] = compare(counts, [CONTRAST])
    slope = 2 / (2 - 0.8125) ** 2  # of the IoU over the share of right pixels
    assert found.of_blocks == pytest.approx(slope * gains.std(ddof=1) / 2, rel=0.05)
    assert found.of_seeds == 0


def test_a_verdict_holds_together_with_the_others() -> None:
    found = Difference(CONTRAST, 0.02, 0.01, 0.03, -0.01, 0.05, 0.005, 0.005, ())
    assert found.verdict == "not shown"
    assert dataclasses.replace(found, corrected_low=0.001).verdict == "shown"
