"""Proposals from painted pixels: right, repeatable, bounded by what people painted, and blind to slices of tests."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, StackError
from monai_app.metrics import count_pixels, mean_iou
from monai_app.proposals import examples as examples_module
from monai_app.proposals import features, propose, train_forest
from monai_app.proposals.examples import examples
from monai_app.stack import ArrayStack, Stack, annotate
from tests.proposals.samples import SIDE, TARGET, Labels, strokes, truth

BLANK = np.zeros((SIDE, SIDE), np.uint8)


def without_4(labels: Labels) -> Labels:
    """Leave the phase out that looks like another one on slices beside the target."""
    return np.where(labels == 4, 0, labels).astype(np.uint8)


def test_phases_are_found_that_one_detector_or_neighbouring_slices_alone_show(quarters: Stack) -> None:
    calls: list[tuple[int, int]] = []
    proposal = propose(quarters, TARGET, labels={TARGET: strokes()}, progress=lambda *call: calls.append(call))
    assert proposal.labels.dtype == np.uint8
    assert proposal.confidence.dtype == np.float32
    assert proposal.labels.shape == proposal.confidence.shape == (SIDE, SIDE)
    assert mean_iou(count_pixels(truth(), proposal.labels, 4), annotated_only=True) > 0.9
    assert proposal.missing == ()
    assert calls == [(0, 1), (1, 1)]


def test_a_slice_is_labelled_by_what_is_painted_on_another_one(quarters: Stack) -> None:
    proposal = propose(quarters, 3, labels={1: without_4(strokes()).astype(np.uint32)})
    known = truth() != 4
    assert (proposal.labels == truth())[known].mean() > 0.95
    assert [phase.name for phase in proposal.missing] == ["in neighbours"]
    assert 4 not in proposal.labels


def test_one_pixel_of_each_phase_is_enough_to_begin_with(quarters: Stack) -> None:
    painted = BLANK.copy()
    painted[10, 10], painted[10, 50] = 1, 2
    labels = propose(quarters, TARGET, labels={0: BLANK, TARGET: painted}).labels
    assert (labels == truth())[truth() < 3].mean() > 0.8


def test_confidence_is_a_probability_and_lower_between_the_phases(quarters: Stack) -> None:
    confidence = propose(quarters, TARGET, labels={TARGET: strokes()}).confidence
    assert 0.25 <= confidence.min() < confidence.max() == 1
    middle = SIDE // 2
    assert confidence[middle - 2 : middle + 2].mean() < confidence[4:12, 4:60].mean() - 0.1


def test_tiles_change_nothing_and_trees_count_alike(quarters: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = train_forest(quarters, {TARGET: strokes()})
    whole = forest.propose(TARGET)
    slab = quarters.read_slab(TARGET, quarters.detectors, 3)
    pixels = features.pixel_features(slab, Rect.whole((SIDE, SIDE))).reshape(SIDE * SIDE, -1)
    greatest = forest._trees.predict_proba(pixels).max(axis=1).reshape(SIDE, SIDE)
    unpainted = strokes() == 0
    np.testing.assert_allclose(whole.confidence[unpainted], greatest[unpainted], rtol=1e-6)
    monkeypatch.setattr(features, "_TILE", 12)
    tiled = forest.propose(TARGET)
    np.testing.assert_array_equal(tiled.labels, whole.labels)
    np.testing.assert_array_equal(tiled.confidence, whole.confidence)


def test_the_same_seed_gives_the_same_proposal_and_another_one_another(quarters: Stack) -> None:
    first, again, other = (propose(quarters, TARGET, labels={TARGET: strokes()}, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    assert (first.confidence != other.confidence).any()


def test_painted_pixels_keep_their_phase(quarters: Stack) -> None:
    painted = strokes()
    painted[2:4, 2:4] = 3  # in the matrix
    proposal = propose(quarters, TARGET, labels={TARGET: painted})
    np.testing.assert_array_equal(proposal.labels[painted > 0], painted[painted > 0])
    assert (proposal.confidence[painted > 0] == 1).all()


def test_what_is_painted_and_not_saved_takes_the_place_of_the_stored_annotation(quarters: Stack) -> None:
    with pytest.raises(AnnotationError, match=r"only matrix is painted .* paint pixels of at least two phases"):
        propose(quarters, TARGET)
    with pytest.raises(AnnotationError, match="nothing is painted"):
        propose(quarters, TARGET, labels={0: BLANK})
    proposal = propose(quarters, 0, labels={0: without_4(strokes())})
    assert (proposal.labels == truth())[truth() != 4].mean() > 0.95


def test_labels_of_slices_to_test_on_are_never_used(quarters: Stack, tmp_path: Path) -> None:
    other = annotate(
        Stack.open(shutil.copytree(quarters.path, tmp_path / "other.ome.zarr")), {4: 5 - truth()}, role="test"
    )
    painted = {TARGET: strokes()}
    first = propose(quarters, TARGET, labels=painted)
    for second in (
        propose(other, TARGET, labels=painted),
        propose(quarters, TARGET, labels={**painted, 4: 5 - truth()}),
    ):
        np.testing.assert_array_equal(first.labels, second.labels)
        np.testing.assert_array_equal(first.confidence, second.confidence)
    with pytest.raises(AnnotationError, match="nothing is painted"):
        propose(quarters, TARGET, labels={0: BLANK, 4: truth()})


def test_where_a_moved_slice_has_no_pixels_nothing_is_proposed(
    quarters: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = np.ones((SIDE, SIDE), bool)
    inside[:, :5] = False
    monkeypatch.setattr(Stack, "inside", lambda self, z, rect: inside[rect.index])
    proposal = propose(quarters, TARGET, labels={TARGET: strokes()})
    np.testing.assert_array_equal(proposal.labels > 0, inside)
    np.testing.assert_array_equal(proposal.confidence > 0, inside)


@pytest.mark.parametrize(
    ("z", "labels", "error", "says"),
    [
        (6, strokes(), StackError, "slice 6 does not exist"),
        (-1, strokes(), StackError, "slice -1 does not exist"),
        (4, strokes(), AnnotationError, "slice 4 of quarters.ome.zarr is a test slice"),
        (2, strokes()[1:], AnnotationError, r"shape \(63, 64\)"),
        (2, strokes() * 9, AnnotationError, "holds 36 and the phases"),
        (2, strokes().astype(float), AnnotationError, "must be integers"),
    ],
)
def test_what_cannot_be_proposed_is_refused(
    quarters: Stack, z: int, labels: npt.NDArray[Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        propose(quarters, z, labels={TARGET: labels})


def test_of_slices_that_are_painted_all_over_some_tiles_are_enough(
    quarters: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_TILE", 8)
    monkeypatch.setattr(examples_module, "_TILES", 3)
    monkeypatch.setattr(examples_module, "_MOST", 40)
    seen: list[Rect] = []

    def watched(slab: npt.NDArray[np.integer], tile: Rect) -> features.Features:
        seen.append(tile)
        return features.pixel_features(slab, tile)

    monkeypatch.setattr(examples_module, "pixel_features", watched)
    rng = np.random.default_rng(0)
    found, phases = examples(quarters, {1: truth(), TARGET: truth()}, rng)
    assert found.shape == (len(phases), 40)
    assert np.bincount(phases).tolist() == [0, 40, 40, 40, 40]
    assert len(seen) <= 2 * 4 * 3
    # Tiles that hold little of a phase are not enough of it.
    corner = np.where(np.indices((SIDE, SIDE)).min(axis=0) < 1, truth(), 0).astype(np.uint8)
    _, phases = examples(quarters, {1: corner}, rng)
    assert np.bincount(phases).tolist() == [0, 40, 32, 32]


def test_slices_of_few_and_of_many_painted_pixels_count_alike(quarters: Stack) -> None:
    forest = train_forest(quarters, {1: truth(), TARGET: strokes()})
    assert forest.missing == ()
    stack = ArrayStack(["A"], np.zeros((1, 2, SIDE, SIDE), np.uint8))
    whole = np.ones((SIDE, SIDE), np.uint8)
    _, phases = examples(stack, {0: whole, 1: 2 * strokes().clip(0, 1)}, np.random.default_rng(0))
    assert np.bincount(phases).tolist() == [0, 1500, 80]
