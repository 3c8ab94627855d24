"""How often the intervals of a study's differences hold the true one, on simulated counts of pixels.

    python tools/benchmarks/study_coverage.py --target docs/results/study_coverage.json

Each case simulates the accuracy of the models of a study: a mean, a part of each block that is alike for all models,
and parts of each seed and of each model in each block. ``shared`` is how much a seed helps one side of all pairs alike,
which the method takes for impossible.
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


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=Path("docs/results/study_coverage.json"))
    arguments = parser.parse_args()
    rows = [measure(*case) for case in product((2, 3, 5), (1, 3), (0.0, 0.01))]
    for row in rows:
        print(row)
    write_json(arguments.target, {"command": command(), "cases": CASES, "blocks": BLOCKS, "rows": rows})


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


def simulate(rng: np.random.Generator, seeds: int, pairs: int, shared: float) -> dict[str, list[npt.NDArray[np.int64]]]:
    """Simulate the counts of all variants, on one stack."""
    of_blocks, of_gain = rng.normal(0, OF_BLOCK, BLOCKS), rng.normal(0, OF_MODEL, BLOCKS)
    of_seeds = rng.normal(0, shared, (seeds, 1))
    found = {}
    for n in range(pairs):
        for side, gain in (("better", GAIN + of_seeds + of_gain), ("worse", 0.0)):
            own = rng.normal(0, OF_SEED, (seeds, 1)) + rng.normal(0, OF_MODEL, (seeds, BLOCKS))
            found[f"{side} {n}"] = [_counts(ACCURACY + gain + of_blocks + own)]
    return found


def _counts(right: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Counts (seeds, blocks, 2, 2) of two phases of equal area, of which the share ``right`` is right."""
    hits = np.round(np.clip(right, 0, 1) * PIXELS).astype(np.int64)
    counts = np.stack([hits, PIXELS - hits, PIXELS - hits, hits], axis=-1)
    return counts.reshape(*right.shape, 2, 2)


def _iou(accuracy: float) -> float:
    return accuracy / (2 - accuracy)


if __name__ == "__main__":
    main()
