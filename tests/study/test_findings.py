"""Scores of variants over seeds, where there are several samples."""

from pathlib import Path

import numpy as np
import pytest

from monai_app.metrics import score
from monai_app.stack import Stack
from monai_app.study import Design, Outcome, StudyRun
from monai_app.study.findings import findings
from monai_app.study.variants import read_study_variant

NAME = "unet_ICE_1"


def outcome(seed: int, sample: str, right: int, stack: Stack) -> Outcome:
    counts = np.full((4, 2, 2), 100 - right)
    counts[:, range(2), range(2)] = right
    run = StudyRun(read_study_variant(NAME), seed, sample, stack, Path(f"{sample}_{seed}"))
    return Outcome(run, counts, score(counts.sum(axis=0), ["one", "other"]), 0.5, 60.0 + seed, None)


def test_the_spread_over_seeds_is_not_that_over_samples(tiny_stack: Stack) -> None:
    """One sample is easy and one is hard, with every seed alike."""
    outcomes = [outcome(seed, *each, tiny_stack) for seed in range(3) for each in (("easy", 90), ("hard", 60))]
    runs = [each.run for each in outcomes]
    (found,) = findings(Design(variants=(NAME,)), runs, outcomes).variants
    ious = [outcomes[n].scores.mean_iou for n in range(2)]
    assert found.mean_iou["mean"] == pytest.approx(np.mean(ious))
    assert found.mean_iou["std"] == pytest.approx(0)
    assert (found.runs, found.mean_iou["number"]) == (6, 3)
    assert found.seconds["mean"] == pytest.approx(61)
    (half,) = findings(Design(variants=(NAME,)), runs, outcomes[:-1]).variants  # of the last seed one sample lacks
    assert half.mean_iou["mean"] == pytest.approx(np.mean(ious))
    assert (half.runs, half.mean_iou["number"]) == (4, 2)
