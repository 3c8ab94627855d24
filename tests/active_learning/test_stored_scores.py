"""Slices ranked by the confidence that lies beside a label image."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_app.active_learning.selection import next_slice
from monai_app.active_learning.stored_scores import most_uncertain, stored_scores
from monai_app.domain.region import Rect
from monai_app.errors import StackError
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import LABELS, Map

CONFIDENCE = {0: 200, 2: 100, 3: 30, 4: 180, 5: 20, 6: 10}
"""Of segmented slices; 1, 3 and 5 are annotated to train on and 6 to test on."""


@pytest.fixture(scope="module")
def stack(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder: Path = tmp_path_factory.mktemp("scores")
    stack = Stack.open(shutil.copytree(tiny_stack.path, folder / "tiny.ome.zarr"))
    stack.write_labels("bare", (np.ones(stack.shape[1:], np.uint8) for _ in range(stack.shape[0])))
    with stack.write_result("sure", fingerprint={}, maps=(Map("confidence", per_phase=False),)) as result:
        for z, confidence in CONFIDENCE.items():
            labels = np.zeros(stack.shape[1:], np.uint8)
            labels[20:60] = 2
            labels[20:30] = 1
            planes = {LABELS: labels, "confidence": np.where(labels > 0, confidence, 0).astype(np.uint8)}
            result.arrays.write(z, Rect.whole(stack.shape), planes)
        result.finish(sorted(CONFIDENCE))
    return stack


def test_scores_are_of_labelled_pixels(stack: Stack) -> None:
    scores = stored_scores(stack, "sure")
    assert sorted(scores) == sorted(CONFIDENCE)
    for z, confidence in CONFIDENCE.items():
        assert scores[z].uncertainty == pytest.approx(1 - confidence / 255)
        assert scores[z].fractions == pytest.approx((0.25, 0.75, 0))


def test_slices_that_nobody_annotated_come_the_most_uncertain_first(stack: Stack) -> None:
    assert [score.z for score in most_uncertain(stack, "sure")] == [2, 4, 0]


def test_the_next_slice_is_chosen_by_them(stack: Stack) -> None:
    scores = stored_scores(stack, "sure")
    chosen = next_slice(scores, scores, [5], stack.test_slices)
    assert chosen is not None
    assert chosen.z in (0, 2, 3)
    assert chosen.uncertainty == scores[chosen.z].uncertainty


def test_labels_without_confidence_are_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"'bare' .* was written without confidence"):
        most_uncertain(stack, "bare")
    with pytest.raises(StackError, match="no finished label image 'other'"):
        most_uncertain(stack, "other")
