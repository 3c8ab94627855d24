"""The annotated slices of a stack are listed, moved and removed."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import AnnotationError
from monai_app.stack import Stack, annotate
from monai_app.stack.annotations.listing import annotated_slices, change_annotations, slices_of_role


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


def test_slices_are_listed_with_their_pixels(stack: Stack) -> None:
    plane = np.zeros(stack.shape[1:], np.uint8)
    plane[:2], plane[2] = 3, 1
    stack = annotate(stack, {0: plane}, role="test", source="painted.png")
    first, second = annotated_slices(stack, (0, 1))
    assert (first.z, first.name, first.role, first.source) == (0, "slice_0", "test", "painted.png")
    assert first.pixels == (93 * 80, 80, 0, 160)
    assert first.labelled == pytest.approx(3 / 96)
    assert (second.z, second.source, sum(second.pixels)) == (1, None, 96 * 80)


def test_moving_keeps_labels_and_who_set_them(stack: Stack) -> None:
    stack = annotate(stack, {0: stack.read_annotation(1)}, source="case_a")
    after = change_annotations(stack, {0: "test", 6: "train", 3: "train"}, [5])
    assert (after.train_slices, after.test_slices) == ((1, 3, 6), (0,))
    assert (after.annotated_by(0), after.annotated_by(3)) == ("case_a", None)
    for z in (0, 6):
        np.testing.assert_array_equal(after.read_annotation(z), stack.read_annotation(z))
    again = change_annotations(after, {6: "test"})
    assert again.annotated_by(6) is None, "it is as it was ingested"


def test_what_cannot_be_moved_or_removed_changes_nothing(stack: Stack) -> None:
    for roles, removed, text in (
        ({2: "train"}, [1], "slice 2 of .* is not annotated"),
        ({1: "test"}, [2], "slice 2 is not annotated"),
        ({1: "test"}, [1], "slice 1 is both moved and removed"),
    ):
        with pytest.raises(AnnotationError, match=text):
            change_annotations(stack, roles, removed)  # type: ignore[arg-type]
    assert stack.reopened().identity == stack.identity


def test_a_missing_role_is_remedied_by_the_command_that_is_named(stack: Stack) -> None:
    assert slices_of_role(stack, "train") == (1, 3, 5)
    stack = change_annotations(stack, {}, [6])
    with pytest.raises(AnnotationError, match=r"tiny\.ome\.zarr has no test slice; annotate one") as caught:
        slices_of_role(stack, "test")
    (command,) = re.findall(r"\(monai-app (annotations .*?)\)", str(caught.value))
    done = CliRunner().invoke(app, command.replace("N=", "3=").split())
    assert done.exit_code == 0, done.output
    assert slices_of_role(stack.reopened(), "test") == (3,)


def test_missing_phases_are_named_before_missing_slices(stack: Stack) -> None:
    stack = change_annotations(stack, {}, [1, 3, 5, 6])
    stack.phases = ()
    with pytest.raises(AnnotationError, match=r"has no phases.*list 'phases' in its description"):
        slices_of_role(stack, "train")


def test_a_stack_without_annotations_has_none_to_move(stack: Stack) -> None:
    stack = change_annotations(stack, {}, [1, 3, 5, 6])
    with pytest.raises(AnnotationError, match=r"no train slice; annotate one \(monai-app annotate .* --role train\)$"):
        slices_of_role(stack, "train")
