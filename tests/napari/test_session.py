"""Labelling a stack without a window: what is saved, what somebody else saved, proposals, and what is possible when."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr

from monai_app.active_learning import stored_scores
from monai_app.active_learning.slice_scores import SliceScore
from monai_app.errors import AnnotationError, OutdatedError
from monai_app.napari.session import Session
from monai_app.stack import Role, Stack, annotate, ingest
from monai_app.stack.annotations.history import State
from monai_app.stack.annotations.listing import change_annotations
from tests.conftest import SAMPLE, write_tiny_sample


@pytest.fixture
def session(tiny_stack: Stack, tmp_path: Path) -> Session:
    return Session(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


def stored(session: Session) -> Stack:
    """The store as another program finds it."""
    return Stack.open(session.stack.path)


def test_what_is_painted_is_saved_as_an_annotation_and_nothing_else_changes(session: Session) -> None:
    session.labels[2, 10:20, 5:9] = 3
    session.labels[3, 0, 0] = 2
    assert (session.role(2), session.changed) == ("train", [2, 3])
    expected = {z: session.labels.plane(z).copy() for z in (1, 2, 3, 5, 6)}
    assert session.save() == [2, 3]
    stack = stored(session)
    assert (stack.train_slices, stack.test_slices) == ((1, 2, 3, 5), (6,))
    assert [stack.annotated_by(z) for z in (1, 2, 3)] == [None, "napari", "napari"]
    for z, labels in expected.items():
        np.testing.assert_array_equal(stack.read_annotation(z), labels)
    assert (session.changed, session.save()) == ([], [])
    np.testing.assert_array_equal(session.labels.plane(2), expected[2])


def test_painting_and_taking_back_is_no_change(session: Session) -> None:
    before = session.labels.plane(3).copy()
    session.labels[3, 4:9, 4:9] = 1
    session.labels[3, :, :] = before
    session.labels[2, 4, 4] = 1
    session.labels[2, 4, 4] = 0
    assert session.changed == []
    assert session.role(2) is None


def test_roles_are_saved_and_none_takes_the_annotation_back(session: Session) -> None:
    session.set_role(1, "test")
    session.set_role(3, None)
    session.labels[4, 0, 0] = 1
    session.set_role(4, None)
    assert session.removed == [3]
    assert session.changed == [1, 3]  # of slice 4 the store has nothing, and nothing is to be saved
    session.save()
    assert (stored(session).train_slices, stored(session).test_slices) == ((5,), (1, 6))
    assert not session.labels.plane(3).any()


def test_what_somebody_else_annotated_meanwhile_is_not_overwritten_unasked(session: Session) -> None:
    session.labels[2, 0, 0] = 1
    session.labels[3, 0, 0] = 1
    theirs = np.full(session.stack.shape[1:], 2, np.uint8)
    annotate(session.stack, {3: theirs}, source="tiny_0003")
    with pytest.raises(OutdatedError, match="slice 3 was annotated by tiny_0003 after it was opened here"):
        session.save()
    assert 2 not in stored(session).roles
    np.testing.assert_array_equal(stored(session).read_annotation(3), theirs)
    session.reload(3)
    assert session.changed == [2]
    np.testing.assert_array_equal(session.labels.plane(3), theirs)
    session.save()
    np.testing.assert_array_equal(stored(session).read_annotation(3), theirs)


@pytest.mark.parametrize("role", [None, "test"])
def test_a_role_does_not_hide_what_somebody_else_annotated_after_it_was_given(
    session: Session, role: Role | None
) -> None:
    session.set_role(3, role)
    session.labels.plane(0)
    theirs = np.full(session.stack.shape[1:], 2, np.uint8)
    annotate(session.stack, {3: theirs}, source="server")
    session.labels.plane(3)
    with pytest.raises(OutdatedError, match="slice 3 was annotated by server"):
        session.save()
    np.testing.assert_array_equal(stored(session).read_annotation(3), theirs)


@pytest.mark.parametrize("removed", [True, False])
def test_what_somebody_else_moved_or_removed_is_noticed_and_replaced_if_asked(session: Session, removed: bool) -> None:
    session.labels[3, 0, 0] = 1
    mine = session.labels.plane(3).copy()
    change_annotations(session.stack, {} if removed else {3: "test"}, [3] if removed else [])
    with pytest.raises(OutdatedError, match="another program"):
        session.save()
    session.save(overwrite=True)
    assert stored(session).roles[3] == "train"
    np.testing.assert_array_equal(stored(session).read_annotation(3), mine)


def test_what_somebody_else_annotated_on_other_slices_stays(session: Session) -> None:
    session.labels[2, 0, 0] = 1
    annotate(session.stack, {4: np.full(session.stack.shape[1:], 2, np.uint8)}, source="tiny_0004")
    session.save()
    assert stored(session).train_slices == (1, 2, 3, 4, 5)


def test_values_that_are_no_phases_are_refused_and_stay_painted(session: Session) -> None:
    session.labels[2, 0, 0] = 4
    with pytest.raises(AnnotationError, match=r"slice 2 holds 4 and the phases of tiny.ome.zarr are 1 to 3"):
        session.save()
    assert session.changed == [2]


def test_a_stack_without_phases_is_refused(tmp_path: Path) -> None:
    path = write_tiny_sample(tmp_path / "sample", slices=7, rows=32, columns=32)
    path.write_text(SAMPLE.partition("phases:")[0], encoding="utf8")
    shutil.rmtree(tmp_path / "sample" / "annotations")
    ingest(path, tmp_path / "tiny.ome.zarr")
    with pytest.raises(AnnotationError, match="has no phases"):
        Session(tmp_path / "tiny.ome.zarr")


def test_pixels_beside_a_moved_picture_are_not_saved_and_are_no_change_afterwards(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = np.ones(session.stack.shape[1:], bool)
    inside[:, :5] = False
    monkeypatch.setattr(Stack, "inside", lambda *_: inside)
    session.labels[2, 0, :10] = 1
    session.save()
    assert np.flatnonzero(stored(session).read_annotation(2)[0]).tolist() == [5, 6, 7, 8, 9]
    assert session.changed == []


def test_proposals_come_of_what_is_painted_and_corrections_win(session: Session) -> None:
    truth = session.labels.plane(5).copy()
    for z in (1, 3, 5):
        session.set_role(z, None)
    with pytest.raises(AnnotationError, match="paint pixels of at least two phases"):
        session.proposal(4)()
    session.labels[5, 40:56] = truth[40:56]  # a strip of one slice, not saved
    session.set_role(5, "train")
    session.labels[5, :40] = 0
    session.labels[5, 56:] = 0
    proposal = session.proposal(5)()
    rest = np.r_[8:40, 56:96]
    assert (proposal.labels[rest] == truth[rest]).mean() > 0.85
    session.labels[5, 60, 0:4] = 1
    indices, values = session.to_take(5, proposal.labels)
    assert all(index.itemsize == 1 for index in indices)
    session.labels[indices] = values
    np.testing.assert_array_equal(session.labels[5, 40:56], truth[40:56])
    assert session.labels[5, 60, 0:4].tolist() == [1] * 4
    np.testing.assert_array_equal(session.labels[5, 61:], proposal.labels[61:])
    assert session.changed == [1, 3, 5]


def test_painting_meanwhile_does_not_change_a_proposal(session: Session) -> None:
    session.labels[5, 0, 0] = 1
    expected = session.proposal(4)().labels
    work = session.proposal(4)
    session.labels[5, :, :] = 1
    np.testing.assert_array_equal(work().labels, expected)


def test_labels_are_hashed_when_they_were_painted_alone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    of = State.of

    def noted(role: Role, labels: npt.NDArray[np.uint8]) -> State:
        hashed.append(role)
        return of(role, labels)

    monkeypatch.setattr(State, "of", noted)
    session.labels[2, 0, 0] = 1
    assert [session.changed for _ in range(3)] == [[2]] * 3
    assert len(hashed) == 1
    session.labels[2, 0, 0] = 0
    assert session.changed == []
    session.labels[2, 0, 0] = 1
    session.set_role(2, "test")
    assert session.changed == [2]
    assert hashed == ["train", "test"]


def test_a_slice_that_became_a_test_slice_takes_no_proposal(session: Session) -> None:
    proposal = np.ones(session.stack.shape[1:], np.uint8)
    assert session.why_not_take(4, proposal) is None
    assert session.why_not_take(4, proposal * 0) == "there is no proposal for this slice"
    session.set_role(4, "test")
    assert session.why_not_take(4, proposal) == "it is a test slice, which must be labelled by a person"


def test_labels_of_test_slices_lend_nothing_to_proposals(session: Session) -> None:
    session.set_role(3, "test")
    before = session.proposal(4)().labels
    session.labels[3, :, :] = 1
    np.testing.assert_array_equal(session.proposal(4)().labels, before)


def test_what_cannot_be_done_yet_says_why(session: Session) -> None:
    assert session.why_no_proposal(6) == "it is a test slice, which must be labelled by a person"
    assert session.why_no_proposal(4) is None
    session.set_role(6, "train")
    assert session.why_no_proposal(6) == "save its new role first"
    session.set_role(6, "test")
    assert session.why_no_training() is None
    for z in (1, 3, 5):
        session.set_role(z, None)
    assert session.why_no_proposal(4) == "paint some pixels of two phases first"
    assert session.why_no_training() == "label a slice to train on first"
    assert session.why_no_ranking("model_0001") == "predict the stack first"


def test_the_most_uncertain_slices_without_labels_come_one_after_the_other(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking = [SliceScore(z, (), uncertainty=1 - 0.1 * n) for n, z in enumerate((2, 1, 4, 0, 7))]
    monkeypatch.setattr(stored_scores, "most_uncertain", lambda stack, labels: {"unet": ranking}[labels])
    order = [2]
    for _ in range(4):
        order.append(session.most_uncertain("unet", order[-1]))
    assert order == [2, 4, 0, 7, 2]
    assert session.most_uncertain("unet", 1) == 2
    for z in (0, 2, 4, 7):
        session.labels[z, 0, 0] = 1
    with pytest.raises(AnnotationError, match="every slice has labels already"):
        session.most_uncertain("unet", 1)


def test_other_programs_read_what_was_saved(session: Session) -> None:
    session.labels[2, 10:20, 5:9] = 3
    session.save()
    array: Any = zarr.open_array(session.stack.path / "labels" / "annotation" / "0", mode="r")
    expected = np.zeros((96, 80), np.uint8)
    expected[10:20, 5:9] = 3
    np.testing.assert_array_equal(array[2], expected)
