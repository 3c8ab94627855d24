"""Predictions of a study's runs on any images."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from monai_app.metrics import count_pixels
from monai_app.stack import ArrayStack, Stack
from monai_app.study import Design, read_outcomes, runs_of
from monai_app.study.baselines import process
from monai_app.study.baselines.forest import Forest
from monai_app.study.baselines.process import train_and_score
from monai_app.study.prediction import slice_predictor
from tests.study.conftest import VARIANTS


def in_memory(stack: Stack) -> ArrayStack:
    """The images of a stack, its detectors in another order."""
    names = stack.detectors[::-1]
    return ArrayStack(names, np.stack([stack.read_slab(z, names, 1) for z in range(stack.shape[0])], axis=1))


def test_a_run_labels_slices_as_it_was_scored(study: tuple[Path, str], tiny_stack: Stack) -> None:
    runs = runs_of(Design(variants=VARIANTS, seeds=(0,)), [tiny_stack], study[0])
    (z,) = tiny_stack.test_slices
    for outcome in read_outcomes(runs):
        labels = slice_predictor(outcome.run)(in_memory(tiny_stack), z)
        counts = count_pixels(tiny_stack.read_annotation(z), labels, len(tiny_stack.phases))
        np.testing.assert_array_equal(counts, np.array(outcome.scores.confusion))


def test_a_forest_learns_the_same_again(tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "Forest", partial(Forest, trees=4, samples=500))
    (run,) = runs_of(Design(variants=("forest_ICE+TLD_3",), seeds=(4,)), [tiny_stack], tmp_path)
    train_and_score(tiny_stack, run.variant, run.seed, run.folder, (0.25, 32))
    (outcome,) = read_outcomes([run])
    labels = slice_predictor(run)(in_memory(tiny_stack), 6)
    counts = count_pixels(tiny_stack.read_annotation(6), labels, len(tiny_stack.phases))
    np.testing.assert_array_equal(counts, np.array(outcome.scores.confusion))
