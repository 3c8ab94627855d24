import csv
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from sklearn import metrics as sklearn

from monai_app.metrics import (
    Part,
    count_pixels,
    mean_iou,
    mean_iou_metric,
    phase_confusion,
    read_scores,
    score,
    write_scores,
)

NAMES = ["pore", "hydrate", "clinker"]


def confusion_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.asarray(sklearn.confusion_matrix(truth.ravel(), prediction.ravel(), labels=[1, 2, 3]))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(0, 1, 2, 3), (1, 2), (3,), (0, 1)]))
@settings(deadline=None, max_examples=60)
def test_every_score_equals_scikit_learn(seed: int, values: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice(values, 500)
    prediction = np.where(rng.random(500) < 0.6, np.maximum(truth, 1), rng.choice([1, 2, 3], 500))
    prediction, truth = prediction[truth > 0], truth[truth > 0]
    if not len(truth):
        return
    scores = score(confusion_of(truth, prediction), NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of phases that are absent
        iou = sklearn.jaccard_score(truth, prediction, labels=[1, 2, 3], average=None)
        precision, recall, dice, support = sklearn.precision_recall_fscore_support(
            truth, prediction, labels=[1, 2, 3], zero_division=np.nan
        )
    for k, row in enumerate(scores.phases):
        expected = {"iou": iou[k], "dice": dice[k], "precision": precision[k], "recall": recall[k]}
        for name, value in expected.items():
            if (truth == k + 1).any() or (prediction == k + 1).any():
                assert getattr(row, name) == pytest.approx(value, nan_ok=True), name
        assert row.support == support[k]
        assert row.fraction_error == pytest.approx(abs((truth == k + 1).mean() - (prediction == k + 1).mean()))
    present = [k for k in (1, 2, 3) if (truth == k).any() or (prediction == k).any()]
    assert scores.mean_iou == pytest.approx(
        sklearn.jaccard_score(truth, prediction, labels=present, average="macro", zero_division=0)
    )
    assert scores.pixel_accuracy == pytest.approx(sklearn.accuracy_score(truth, prediction))


def test_the_ignite_metric_accumulates_labelled_pixels_over_a_run() -> None:
    rng = np.random.default_rng(0)
    truths = [rng.integers(0, 4, (5, 7)) for _ in range(3)]
    logits = [torch.from_numpy(rng.normal(size=(3, 5, 7))) for _ in range(3)]
    confusion = phase_confusion(3)
    engine = Engine(lambda _, i: [{"pred": logits[i], "label": torch.from_numpy(truths[i])[None]}])
    confusion.attach(engine, "confusion")
    mean_iou_metric(confusion).attach(engine, "mean_iou")
    state = engine.run([0, 1, 2])
    state = engine.run([0, 1, 2])  # a second run starts from zero
    predictions = np.stack([each.argmax(0).numpy() + 1 for each in logits])
    labelled = np.stack(truths) > 0
    expected = confusion_of(np.stack(truths)[labelled], predictions[labelled])
    np.testing.assert_array_equal(state.metrics["confusion"].numpy(), expected)
    assert state.metrics["mean_iou"] == pytest.approx(score(expected, NAMES).mean_iou)


def test_a_stray_pixel_of_an_unannotated_phase_does_not_move_the_key_metric() -> None:
    clean, stray = np.array([[8, 2, 0], [0, 9, 0], [0, 0, 0]]), np.array([[7, 2, 1], [0, 9, 0], [0, 0, 0]])
    assert mean_iou(clean, annotated_only=True) - mean_iou(stray, annotated_only=True) < 0.1
    assert mean_iou(clean) - mean_iou(stray) > 0.2  # in an evaluation the phase counts: it was predicted


def test_the_key_metric_counts_every_annotated_phase_and_no_other() -> None:
    """The third phase is predicted alone, the fourth is one annotated pixel that was missed, the fifth is nowhere."""
    confusion = np.zeros((5, 5), int)
    confusion[0, :3], confusion[1, 1], confusion[3, 0] = (7, 2, 1), 9, 1
    assert mean_iou(confusion, annotated_only=True) == pytest.approx((7 / 11 + 9 / 11 + 0) / 3)
    assert mean_iou(confusion) == pytest.approx((7 / 11 + 9 / 11 + 0 + 0) / 4)
    assert math.isnan(mean_iou(np.zeros((2, 2), int), annotated_only=True))


def test_an_absent_phase_is_undefined_and_not_in_the_mean() -> None:
    scores = score(np.array([[5, 1, 0], [0, 4, 0], [0, 0, 0]]), NAMES)
    assert math.isnan(scores.phases[2].iou)
    assert scores.mean_iou == pytest.approx((5 / 6 + 4 / 5) / 2)


def test_scores_are_written_as_csv_and_json(tmp_path: Path) -> None:
    scores = score(np.array([[5, 1, 0], [0, 4, 0], [0, 0, 0]]), NAMES)
    write_scores(tmp_path, Part(scores), [], {"slices": [27], "stack": "x"})
    with (tmp_path / "scores.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["phase"] for row in rows] == [*NAMES, "mean"]
    assert float(rows[0]["iou"]) == pytest.approx(5 / 6)
    text = (tmp_path / "scores.json").read_text()
    document = json.loads(text)
    assert document["slices"] == [27]
    assert document["phases"][2]["iou"] is None
    assert document["confusion"][0] == [5, 1, 0]
    assert "[ 5, 1, 0 ]" in text
    assert math.isnan(read_scores(tmp_path / "scores.json")["phases"][2]["iou"])


def test_scores_of_stacks_and_slices_come_after_those_of_all(tmp_path: Path) -> None:
    whole, part = (score(np.diag([right, 4, 1]), NAMES) for right in (5, 2))
    rows: list[Any] = [{"phase": name, "width_nm": number} for number, name in enumerate(NAMES)]
    edges = {"definition": "a text\n[\n1", "phases": rows, "mean": {"width_nm": 7}}
    sections: dict[str, dict[str, Any]] = {"edges": edges, "more": {"n": 1}}
    parts = [Part(part, {}, "a"), Part(part, sections, "a", 27)]
    write_scores(tmp_path, Part(whole), parts, {})
    with (tmp_path / "scores.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["phase"] for row in rows] == [*NAMES, "mean"] * 3
    assert [(row["stack"], row["slice"], row["support"]) for row in rows[::4]] == [
        ("", "", "5"), ("a", "", "2"), ("a", "27", "2"),
    ]  # fmt: skip
    assert [row["edges_width_nm"] for row in rows[7:]] == ["", "0", "1", "2", "7"]
    document = json.loads((tmp_path / "scores.json").read_text())
    assert [(each["stack"], each["slice"]) for each in document["parts"]] == [("a", None), ("a", 27)]
    assert document["parts"][1]["confusion"] == [[2, 0, 0], [0, 4, 0], [0, 0, 1]]
    assert document["parts"][1]["edges"] == sections["edges"]


def test_the_counts_of_a_slice_are_scikit_learns_without_unlabelled_pixels() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, (9, 11), np.uint8), rng.integers(1, 4, (9, 11), np.uint8)
    labelled = truth > 0
    wanted = confusion_of(truth[labelled], predicted[labelled])
    np.testing.assert_array_equal(count_pixels(truth, predicted, 3), wanted)
