"""Fractions corrected by test slices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from monai_app.metrics.blocks import BLOCKS
from monai_app.quantify.labels import Voxels
from monai_app.quantify.uncertainty.cells import Counts
from monai_app.quantify.uncertainty.segmentation import (
    CorrectedFraction,
    adjusted_fractions,
    confusion_of_blocks,
    correct_fractions,
)
from tests.quantify.shapes import blobs

VOXEL = (20.0, 10.0, 10.0)


def count(voxels: Voxels) -> Counts:
    return np.bincount(voxels.ravel(), minlength=4)[1:]


def mistaken(truth: Voxels, seed: int) -> Voxels:
    """Labels with errors in patches: one phase is taken for the next, at a rate that differs from phase to phase."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(truth.shape), 3)
    limits = np.quantile(field, [0.05, 0.15, 0.1])[truth - 1]
    return np.where(field < limits, truth % 3 + 1, truth).astype(np.uint8)


def corrected(truth: Voxels, labels: Voxels, slices: list[int]) -> tuple[CorrectedFraction, ...]:
    blocks = confusion_of_blocks([(z, truth[z], labels[z]) for z in slices], 3, VOXEL)
    return correct_fractions(count(labels), blocks)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_annotating_everything_gives_the_true_fractions(seed: int) -> None:
    truth, labels = np.random.default_rng(seed).integers(1, 4, (2, 3, 12, 12), np.uint8)
    counts = confusion_of_blocks([(z, truth[z], labels[z]) for z in range(3)], 3, VOXEL).sum(axis=0)
    np.testing.assert_allclose(adjusted_fractions(counts, count(labels) / labels.size), count(truth) / truth.size)


def test_the_true_fractions_lie_in_95_of_100_intervals() -> None:
    held, widths, errors = [], [], []
    for seed in range(40):
        truth = blobs((10, 72, 72), 3, seed)
        labels = mistaken(truth, seed + 1000)
        true = count(truth) / truth.size
        for each, fraction in zip(corrected(truth, labels, [seed % 10]), true, strict=True):
            held.append(each.low <= fraction <= each.high)
            widths.append(each.high - each.low)
            errors.append((abs(each.labelled - fraction), abs(each.corrected - fraction)))
    assert np.mean(held) >= 0.9
    assert np.median(widths) < 0.08
    uncorrected, left = np.mean(errors, axis=0)
    assert left < 0.6 * uncorrected


def test_the_inverse_of_the_other_confusion_would_scatter_more() -> None:
    """Two phases that are often confused: counts of a small test area, of the composition of the whole."""
    rng = np.random.default_rng(0)
    joint = np.array([[0.27, 0.23], [0.2, 0.3]])  # [true][labelled]
    shares = joint.sum(axis=0)
    ours, inverse = [], []
    for _ in range(200):
        counts = rng.multinomial(400, joint.ravel()).reshape(2, 2)
        ours.append(adjusted_fractions(counts, shares)[0])
        inverse.append(np.linalg.solve((counts / counts.sum(axis=1, keepdims=True)).T, shares)[0])
    assert np.std(inverse) > 5 * np.std(ours)


def test_more_test_slices_make_intervals_shorter_unless_they_are_neighbours() -> None:
    truth = blobs((40, 96, 96), 3)
    labels = mistaken(truth, 1)
    one, near, far = (corrected(truth, labels, slices)[0] for slices in ([20], [20, 21], [2, 20, 38]))
    assert far.blocks == 3 * one.blocks == 3 * BLOCKS
    assert near.blocks == BLOCKS
    assert far.high - far.low < one.high - one.low


@given(st.permutations(range(9)))
@settings(deadline=None, max_examples=10)
def test_the_order_of_blocks_changes_nothing_but_the_draws(order: list[int]) -> None:
    truth = blobs((1, 60, 60), 3)
    blocks = confusion_of_blocks([(0, truth[0], mistaken(truth, 1)[0])], 3, VOXEL)
    one, other = (correct_fractions(count(truth), each)[1] for each in (blocks, blocks[order]))
    assert other.corrected == pytest.approx(one.corrected)
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.2)


def test_unannotated_and_unsegmented_pixels_are_no_evidence() -> None:
    truth = blobs((1, 60, 60), 3)[0]
    labels = mistaken(truth[None], 1)[0]
    holes = [each.copy() for each in (truth, labels)]
    holes[0][:20] = 0
    holes[1][:, :20] = 0
    part = [(0, truth[20:, 20:], labels[20:, 20:])]
    found = confusion_of_blocks([(0, *holes)], 3, VOXEL)
    np.testing.assert_array_equal(found.sum(axis=0), confusion_of_blocks(part, 3, VOXEL).sum(axis=0))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([[9, 1, 0], [1, 9, 0], [0, 0, 0]], "none of it, so nothing is known"),
        ([[9, 1, 0], [1, 9, 0], [0, 0, 5]], "show no error"),
        ([[9, 1, 1], [1, 9, 0], [0, 0, 0]], "annotated nowhere"),
        ([[9, 1, 0], [1, 9, 0], [1, 0, 0]], "no annotated pixel is labelled as it"),
    ],
)
def test_what_the_test_slices_cannot_tell_is_marked(counts: list[list[int]], reason: str) -> None:
    blocks = np.stack([np.array(counts)] * 9)
    found = correct_fractions(np.array([505, 485, 10]), blocks)
    assert reason in "; ".join(found[2].unreliable)
    assert found[0].unreliable == ()


def test_every_phase_is_marked_where_much_of_the_volume_has_labels_without_evidence() -> None:
    """What is labelled as the third phase may be of any phase, and no interval shows it."""
    blocks = np.stack([np.array([[900 + n, 10, 0], [9, 800 - n, 0], [0, 0, 0]]) for n in range(9)])
    found = correct_fractions(np.array([35, 25, 40]), blocks)
    assert all("40 % of the labels are of phases that no annotated pixel" in "; ".join(x.unreliable) for x in found)


def test_a_phase_in_few_blocks_is_marked_and_one_block_gives_no_interval() -> None:
    blocks = np.zeros((9, 3, 3), np.int64)
    blocks[:, :2, :2] = [[8, 1], [2, 7]]
    blocks[:3, 2, 2], blocks[:3, 2, 0] = 5, 1
    found = correct_fractions(np.array([50, 40, 10]), blocks)
    assert found[2].unreliable == ("it stands in 3 of the annotated blocks only; 4 are needed",)
    alone = correct_fractions(np.array([50, 40, 10]), blocks[:1])
    assert np.isnan(alone[0].low)
    assert alone[0].unreliable
