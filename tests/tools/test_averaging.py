"""The benchmark of averaged passes."""

import numpy as np
import pytest
from averaging import CHOSEN, FLIPS, OF_PASSES, PLAIN, back, over_variants, row, there

TURNS = OF_PASSES["flips and quarter turns"]


@pytest.mark.parametrize("turn", TURNS)
def test_what_was_turned_is_turned_back(turn: tuple[bool, bool, bool]) -> None:
    planes = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    assert (back(there(planes, turn), turn) == planes).all()


def test_all_turns_differ_and_flips_keep_the_shape() -> None:
    planes = np.arange(3 * 5, dtype=np.float32).reshape(1, 3, 5)
    assert len({there(planes, turn).tobytes() for turn in TURNS}) == 8
    assert {there(planes, turn).shape for turn in FLIPS} == {planes.shape}


def test_an_average_that_labels_more_pixels_right_has_an_interval_above_0() -> None:
    right = np.random.default_rng(0).integers(70, 80, (3, 9))
    counts = {PLAIN: _counts(right), "better": _counts(right + 10)}
    plain, better = (row("one", name, counts) for name in counts)
    assert better["low"] > 0
    assert better["value"] == pytest.approx(np.mean(better["mean_iou"]) - np.mean(plain["mean_iou"]), abs=1e-3)


def test_over_variants_the_model_that_validated_best_is_compared_too() -> None:
    rows = [
        each
        for best, change in ((0, 0.01), (1, 0.02), (2, 0.03))
        for each in (
            {"average": PLAIN, "mean_iou": [0.5, 0.6, 0.7], "validation": np.eye(3)[best]},
            {"average": "flips", "value": change},
        )
    ]
    chosen, flips = over_variants(rows)
    assert chosen == {"average": CHOSEN, "value": pytest.approx(0), "low": -0.2484, "high": 0.2484}
    assert flips == {"average": "flips", "value": 0.02, "low": -0.0048, "high": 0.0448}


def _counts(right: np.ndarray) -> np.ndarray:
    """Of two phases with 100 pixels each: (seeds, blocks, 2, 2), from how many pixels of a phase are right."""
    wrong = 100 - right
    return np.stack([np.stack([right, wrong], -1), np.stack([wrong, right], -1)], -2)
