"""What a study of made-up scores finds: a second detector gains 0.03 to 0.06, Sensor-3D nothing."""

from pathlib import Path

import numpy as np

from monai_app.metrics import score
from monai_app.stack import Stack
from monai_app.study import default_design, runs_of
from monai_app.study.execution import Cost
from monai_app.study.findings import Findings, findings
from monai_app.study.outcomes import Outcome
from monai_app.study.runs import StudyRun

BLOCKS, PIXELS = 9, 1000


def findings_made_up(stack: Stack, folder: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> Findings:
    """Nine variants of two detectors, each with every seed."""
    design = default_design(stack).replaced(seeds=seeds)
    runs, generator = runs_of(design, [stack], folder), np.random.default_rng(0)
    hard = generator.normal(0, 0.02, BLOCKS)
    return findings(design, runs, [_outcome(run, hard, generator) for run in runs])


def _outcome(run: StudyRun, hard: np.ndarray, generator: np.random.Generator) -> Outcome:
    phases = [phase.name for phase in run.stack.phases]
    right = 0.8 + 0.05 * len(run.variant.seen) + hard + generator.normal(0, 0.003)
    wrong = ((1 - right) / (len(phases) - 1))[:, np.newaxis, np.newaxis]
    shares = wrong + np.eye(len(phases)) * (right[:, np.newaxis, np.newaxis] - wrong)
    counts = (PIXELS * shares).round().astype(np.int64)
    return Outcome(run, counts, score(counts.sum(axis=0), phases), float(right.mean()) / 2, 100.0, Cost(0.5, 2, "cpu"))
