"""Stacks with a part of the annotations."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_app.errors import ConfigError
from monai_app.stack import Stack, annotate
from monai_app.study import Design, StudyRun, runs_of
from monai_app.study.labels import stacks as module
from monai_app.study.labels.amount import read_amount
from monai_app.study.labels.selection import left_labels
from monai_app.study.labels.stacks import check_labels, with_fewer_labels

VALIDATION = (0.25, 32)


def design(*amounts: str, **changes: object) -> Design:
    labels = {"variants": ["otsu_ICE_1"], "amounts": amounts}
    settings = {"validation_block": VALIDATION[1]}
    own = {"variants": ("otsu_ICE_1",), "seeds": (0, 1), "settings": settings, "labels": labels}
    return Design.model_validate({**own, **changes})


def fewer(stack: Stack, chosen: Design, folder: Path) -> dict[tuple[str, int], StudyRun]:
    runs = with_fewer_labels(runs_of(chosen, [stack], folder), chosen, folder)
    return {(run.variant.name, run.seed): run for run in runs}


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    """A copy that may be annotated."""
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


def test_runs_see_fewer_labels_and_the_same_images_and_test_slices(stack: Stack, tmp_path: Path) -> None:
    runs = fewer(stack, design("1+3", "all:40%blocks"), tmp_path)
    assert len(runs) == 6
    assert runs["otsu_ICE_1", 0].stack.path == stack.path
    pair, again = (runs["otsu_ICE_1@labels=1+3", seed].stack for seed in (0, 1))
    assert pair.path == again.path == tmp_path / "stacks" / "tiny@labels=1+3.ome.zarr"
    assert (pair.train_slices, pair.test_slices) == ((1, 3), stack.test_slices)
    np.testing.assert_array_equal(pair.read_annotation(3), stack.read_annotation(3))
    shares = [runs["otsu_ICE_1@labels=all:40%blocks", seed].stack for seed in (0, 1)]
    first, second = (np.stack([each.read_annotation(z) for z in each.train_slices]) for each in shares)
    whole = np.stack([stack.read_annotation(z) for z in stack.train_slices])
    assert (first != second).any()
    for left in (first, second):
        np.testing.assert_array_equal(left[left > 0], whole[left > 0])
        assert np.count_nonzero(left) == pytest.approx(0.4 * np.count_nonzero(whole), rel=0.1)
    for each in (pair, *shares):
        np.testing.assert_array_equal(each.read_annotation(6), stack.read_annotation(6))
        np.testing.assert_array_equal(each.read_slab(4, ["TLD"], 3), stack.read_slab(4, ["TLD"], 3))
        assert (each.path / "0").is_symlink()


def test_they_are_made_once_until_the_stack_changes(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = design("1:40%blocks")
    before = fewer(stack, chosen, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "left_labels", None)
        check_labels(chosen, [stack], tmp_path)
        again = fewer(stack, chosen, tmp_path)
    assert [run.stack.identity for run in again.values()] == [run.stack.identity for run in before.values()]
    changed = stack.read_annotation(1)
    changed[:40] = 0
    annotate(stack, {1: changed}, source="test")
    check_labels(chosen, [stack.reopened()], tmp_path)
    for run in fewer(stack.reopened(), chosen, tmp_path).values():
        if run.variant.labels is not None:
            assert not run.stack.read_annotation(1)[:40].any()
            assert run.stack.identity not in {each.stack.identity for each in before.values()}


def test_one_that_a_kill_left_without_its_record_is_made_again(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = design("1+3", seeds=(0,))
    fewer(stack, chosen, tmp_path)
    (tmp_path / "stacks" / "tiny@labels=1+3.json").write_text('{"stack_identity": "of before"}')
    with monkeypatch.context() as patch:
        patch.delattr(module, "annotate")
        with pytest.raises(NameError):
            fewer(stack, chosen, tmp_path)  # killed with all labels in it
    assert Stack.open(tmp_path / "stacks" / "tiny@labels=1+3.ome.zarr").train_slices == (1, 3, 5)
    assert fewer(stack, chosen, tmp_path)["otsu_ICE_1@labels=1+3", 0].stack.train_slices == (1, 3)


def test_a_seed_gives_the_same_labels_and_every_phase_trains_and_validates(tiny_stack: Stack) -> None:
    for seed in range(5):
        first, second = (left_labels(tiny_stack, read_amount("1:15%blocks"), seed, VALIDATION) for _ in range(2))
        np.testing.assert_array_equal(first[1], second[1])
        assert set(np.unique(first[1])) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("2", "slice 2 of tiny.ome.zarr is not annotated for training; choose among 1, 3, 5"),
        ("6", "slice 6 of tiny.ome.zarr is not annotated for training"),
        ("1+3+5", "are all training labels of tiny.ome.zarr"),
        ("1:1%blocks", "seed 1: pore has no pixel to train on"),
        ("all:60%scribbles", "scribbles fit on .* % of the labelled area"),
    ],
)
def test_amounts_that_cannot_be_are_refused(amount: str, message: str, tiny_stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        check_labels(design(amount), [tiny_stack], tmp_path)


def test_the_phase_that_a_slice_lacks_is_named(stack: Stack, tmp_path: Path) -> None:
    plane = stack.read_annotation(3)
    rare = stack.phases[2]
    plane[plane == rare.value] = 0
    annotate(stack, {3: plane}, source="test")
    with pytest.raises(ConfigError, match=f"labels 3 of tiny.ome.zarr, seed 0: {rare.name} has no pixel to train on"):
        check_labels(design("3"), [stack.reopened()], tmp_path)
