"""Agreement of labels and annotations, against scikit-learn."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from monai_app.active_learning.agreement import score_agreement
from monai_app.errors import AnnotationError
from tests.specs import PHASES


def test_slices_and_total_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    annotations = [rng.integers(0, 4, (20, 30), np.uint8), rng.integers(0, 3, (9, 7), np.uint8)]
    predicted = [np.where(rng.random(a.shape) < 0.6, np.maximum(a, 1), 3).astype(np.uint8) for a in annotations]
    found = score_agreement(zip((4, 9), annotations, predicted, strict=True), PHASES)
    assert [row.z for row in found.slices] == [4, 9]
    pairs = [(a[a > 0], p[a > 0]) for a, p in zip(annotations, predicted, strict=True)]
    for row, (true, label) in zip(found.slices, pairs, strict=True):
        present = np.unique(true)
        assert row.labelled == true.size
        assert row.mean_iou == pytest.approx(sklearn.jaccard_score(true, label, labels=present, average="macro"))
        assert row.pixel_accuracy == pytest.approx(sklearn.accuracy_score(true, label))
    true, label = (np.concatenate(values) for values in zip(*pairs, strict=True))
    iou = sklearn.jaccard_score(true, label, labels=[1, 2, 3], average=None)
    assert found.mean_iou == pytest.approx(iou.mean())
    assert [phase.iou for phase in found.total.phases] == pytest.approx(iou.tolist())
    assert found.mean_iou != pytest.approx(np.mean([row.mean_iou for row in found.slices]))


def test_a_slice_without_annotation_has_no_score_and_json_can_say_so() -> None:
    nothing = np.zeros((4, 4), np.uint8)
    (row,) = score_agreement([(3, nothing, nothing)], PHASES).slices
    assert math.isnan(row.mean_iou)
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False)) == {
        "z": 3,
        "labelled": 0,
        "mean_iou": None,
        "pixel_accuracy": None,
    }


def test_labels_that_do_not_fit_are_refused() -> None:
    ones = np.ones((4, 4), np.uint8)
    for annotation, predicted, message in [
        (ones, ones[:2], r"slice 7: labels of shape \(2, 4\) do not fit an annotation of \(4, 4\)"),
        (4 * ones, ones, "slice 7: annotation with values 4 to 4"),
        (ones, 0 * ones, "slice 7: labels with values 0 to 0"),
    ]:
        with pytest.raises(AnnotationError, match=message):
            score_agreement([(7, annotation, predicted)], PHASES)
    (row,) = score_agreement([(7, 0 * ones, 0 * ones)], PHASES).slices
    assert row.labelled == 0  # what is not annotated need not be labelled
