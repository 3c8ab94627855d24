"""How often the intervals of a study's differences hold the true one, on simulated counts of pixels.

    python tools/benchmarks/study_coverage.py --target docs/results/study_coverage.json

Each case simulates the accuracy of the models of a study: a mean, a part of each block that is alike for all models,
and parts of each seed and of each model in each block. ``shared`` is how much a seed helps one side of all pairs alike,
which the method takes for impossible. Rows of several samples let the gain scatter from one to the next, and count how
often the true mean gain of all samples is held: by the interval for these stacks, and by the one over samples.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import command, write_json

from monai_app.study import Contrast, compare

CASES = 400
BLOCKS = 9
PIXELS = 400
ACCURACY, GAIN = 0.8, 0.05
OF_BLOCK, OF_SEED, OF_MODEL = 0.03, 0.01, 0.01
"""Standard deviations of the accuracy."""
OF_SAMPLE = (0.0, 0.02)
"""Of the gain, from sample to sample."""


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=Path("docs/results/study_coverage.json"))
    arguments = parser.parse_args()
    rows = [measure(*case) for case in product((2, 3, 5), (1, 3), (0.0, 0.01))]
    for row in rows:
        print(row)
    samples = [measure_over_samples(*case) for case in product((3, 4, 8), OF_SAMPLE)]
    for row in samples:
        print(row)
    content = {"command": command(), "cases": CASES, "blocks": BLOCKS, "rows": rows, "samples": samples}
    write_json(arguments.target, content)


def measure(seeds: int, pairs: int, shared: float) -> dict[str, Any]:
    """Count how many of the intervals hold the true difference."""
    truth = _iou(ACCURACY + GAIN) - _iou(ACCURACY)
    contrast = Contrast("", "better", "worse", tuple((f"better {n}", f"worse {n}") for n in range(pairs)))
    held, widths = 0, []
    for case in range(CASES):
        counts = simulate(np.random.default_rng(case), seeds, pairs, shared)
        (found,) = compare(counts, [contrast])
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    width = round(float(np.median(widths)), 3)
    return {"seeds": seeds, "pairs": pairs, "shared": shared, "held": held / CASES, "median_width": width}


def measure_over_samples(samples: int, scatter: float) -> dict[str, Any]:
    """Count how many of both kinds of intervals hold the true mean difference of all samples, of three seeds."""
    gains = np.random.default_rng(0).normal(GAIN, scatter, 100_000)
    truth = float(np.mean(_iou(ACCURACY + gains))) - _iou(ACCURACY)
    held, widths = np.zeros(2, np.int64), []
    for case in range(CASES):
        rng = np.random.default_rng(case)
        stacks = [simulate(rng, 3, 1, 0.0, rng.normal(GAIN, scatter)) for _ in range(samples)]
        counts = {name: [own[name][0] for own in stacks] for name in stacks[0]}
        (found,) = compare(counts, [Contrast("", "better", "worse", (("better 0", "worse 0"),))])
        ends = np.array([[found.low, found.high], [found.samples_low, found.samples_high]])
        held += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        widths.append(ends[:, 1] - ends[:, 0])
    told = zip(("of_these", "over_samples"), held / CASES, np.median(widths, axis=0), strict=True)
    numbers = {name: {"held": float(share), "median_width": round(float(width), 3)} for name, share, width in told}
    return {"samples": samples, "of_sample": scatter, **numbers}


def simulate(
    rng: np.random.Generator, seeds: int, pairs: int, shared: float, mean_gain: float = GAIN
) -> dict[str, list[npt.NDArray[np.int64]]]:
    """Simulate the counts of all variants, on one stack."""
    of_blocks, of_gain = rng.normal(0, OF_BLOCK, BLOCKS), rng.normal(0, OF_MODEL, BLOCKS)
    of_seeds = rng.normal(0, shared, (seeds, 1))
    found = {}
    for n in range(pairs):
        for side, gain in (("better", mean_gain + of_seeds + of_gain), ("worse", 0.0)):
            own = rng.normal(0, OF_SEED, (seeds, 1)) + rng.normal(0, OF_MODEL, (seeds, BLOCKS))
            found[f"{side} {n}"] = [_counts(ACCURACY + gain + of_blocks + own)]
    return found


def _counts(right: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Counts (seeds, blocks, 2, 2) of two phases of equal area, of which the share ``right`` is right."""
    hits = np.round(np.clip(right, 0, 1) * PIXELS).astype(np.int64)
    counts = np.stack([hits, PIXELS - hits, PIXELS - hits, hits], axis=-1)
    return counts.reshape(*right.shape, 2, 2)


def _iou(accuracy: float | npt.NDArray[np.float64]) -> Any:
    return accuracy / (2 - accuracy)


if __name__ == "__main__":
    main()
