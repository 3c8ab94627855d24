"""Label images are listed with what is known of them, and removed."""

import multiprocessing
import shutil
from pathlib import Path

import pytest

from monai_app import files
from monai_app.errors import BusyError, ConfigError, StackError
from monai_app.stack import Stack
from monai_app.stack.label_images import removing
from monai_app.stack.label_images.listing import label_images, unfinished_labels
from monai_app.stack.label_images.removing import remove_labels
from tests.stack.samples import SampleFolder, label_plane, pixels
from tests.stack.segmenting import PHASES, SHAPE, killed, segment


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from monai_app.stack import ingest

    sample = SampleFolder(tmp_path_factory.mktemp("removing"))
    sample.detector("ICE", pixels(*SHAPE))
    sample.annotate({1: label_plane(*SHAPE[1:])}, train=[1], test=[])
    made = ingest(sample.write(), sample.target)
    assert len(made.phases) == PHASES
    segment(made, "a", attributes={"run": "unet", "weights_sha256": "ab" * 32, "stack_identity": made.identity})
    return made.path


@pytest.fixture
def stack(ingested: Path, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(ingested, tmp_path / "s.ome.zarr"))


def test_what_is_known_of_label_images(stack: Stack) -> None:
    stack.write_labels("b", (stack.read_labels("a", z) for z in range(SHAPE[0])))
    first, second = label_images(stack)
    assert (first.name, first.model, first.weights_sha256, first.maps) == (
        "a",
        "unet",
        "ab" * 32,
        ("confidence", "probability"),
    )
    assert (first.slices, first.stack_identity) == (tuple(range(SHAPE[0])), stack.identity)
    assert (second.name, second.model, second.region, second.maps) == ("b", None, None, ())


def test_removed_labels_leave_nothing_and_their_name_is_free(stack: Stack) -> None:
    before = {path.name for path in (stack.path / "labels").iterdir()}
    remove_labels(stack.path, "a")
    assert stack.label_names() == ()
    assert {path.name for path in (stack.path / "labels").iterdir()} == before - {"a"}
    assert stack.reopened().train_slices == (1,)
    assert len(segment(stack, "a")) == 6
    assert stack.label_names() == ("a",)


def test_only_what_is_there_and_no_annotation_is_removed(stack: Stack) -> None:
    with pytest.raises(StackError, match="has no label image 'b'; its label images are a: name one"):
        remove_labels(stack.path, "b")
    for name, text in (("annotation", "slice by slice"), ("../0", "label name"), ("zarr.json", "label name")):
        with pytest.raises(ConfigError, match=text):
            remove_labels(stack.path, name)
    with files.lock(files.lock_path(stack.path / "labels" / "a")), pytest.raises(BusyError, match="being written"):
        remove_labels(stack.path, "a")
    assert stack.label_names() == ("a",)


def test_unfinished_labels_are_listed_and_removed(stack: Stack) -> None:
    process = multiprocessing.get_context("fork").Process(target=killed, args=(stack.path, "tile 3", True))
    process.start()
    process.join()
    assert (unfinished_labels(stack), stack.label_names()) == (["a"], ("a",))
    remove_labels(stack.path, "a")
    assert (unfinished_labels(stack), stack.label_names()) == ([], ())


@pytest.mark.parametrize("step", ["unregister", "rename", "remove"])
def test_after_a_kill_labels_are_whole_or_can_be_removed(
    step: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "unregister":
            patch.setattr(removing, "unregister", die)
        elif step == "rename":
            patch.setattr(Path, "rename", die)
        else:
            patch.setattr(files, "remove_tree", lambda path: die() if (path / "zarr.json").is_file() else None)
        with pytest.raises(KeyboardInterrupt):
            remove_labels(stack.path, "a")
    assert stack.label_names() == (("a",) if step == "unregister" else ())
    if step == "unregister":
        assert stack.read_labels("a", 0).any()
        remove_labels(stack.path, "a")
    assert len(segment(stack, "a")) == 6, "nothing of the removed one is resumed"
