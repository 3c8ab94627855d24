"""Pixels on the disk that are damaged or missing are never read as others."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monai_app.domain.region import Rect, Span
from monai_app.errors import StackError
from monai_app.stack import Stack, annotate, ingest, snapshot
from monai_app.stack.label_images.arrays import LABELS, Checksum, Map
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (3, 1031, 40)  # three levels, two chunks a slice
LEFT_OUT = 2
MAPS = (Map("confidence", per_phase=False),)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slices 0 (train) and 1 (test) annotated; labels `a` of the first two slices, nothing in their lower rows."""
    sample = SampleFolder(tmp_path_factory.mktemp("damage"))
    for seed, name in enumerate(("ICE", "TLD")):
        sample.detector(name, pixels(*SHAPE, seed=seed))
    half = label_plane(*SHAPE[1:])
    half[1024:] = 255
    sample.annotate({0: half, 1: label_plane(*SHAPE[1:], 1)}, train=[0], test=[1])
    stack = ingest(sample.write(), sample.target)
    rect = Rect(Span(0, 1024), Span(0, 40))
    with stack.write_result("a", fingerprint={}, maps=MAPS) as result:
        for z in range(LEFT_OUT):
            planes = {LABELS: np.ones(rect.shape, np.uint8), "confidence": np.full(rect.shape, 9, np.uint8)}
            checksum = Checksum()
            checksum.add(z, planes)
            result.arrays.write(z, rect, planes)
            result.record(z, checksum.value)
        result.finish(range(LEFT_OUT))
    return stack.path


@pytest.fixture
def stack(made: Path, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(made, tmp_path / "s.ome.zarr"))


READS: dict[str, tuple[str, Callable[[Stack, int], object]]] = {
    "image": ("0/c/1", lambda stack, z: stack.read_slab(z, ["TLD"], 1)),
    "overview": ("2/c/1", lambda stack, z: stack.read_overview(z, ["TLD"])),
    "annotation": ("labels/annotation/0/c", lambda stack, z: stack.read_annotation(z)),
    "labels": ("labels/a/0/c", lambda stack, z: stack.read_labels("a", z)),
    "map": ("labels/a/confidence/0/c", lambda stack, z: stack.read_map("a", "confidence", z)),
}


def chunks(stack: Stack, folder: str, z: int) -> list[Path]:
    return sorted(path for path in (stack.path / folder / str(z)).rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", READS)
def test_a_missing_chunk_is_refused(stack: Stack, kind: str) -> None:
    folder, read = READS[kind]
    for z in range(LEFT_OUT):
        files = chunks(stack, folder, z)
        assert len(files) == (1 if kind == "overview" else 2)  # those without a label too
        for file in files:
            content = file.read_bytes()
            file.unlink()
            with pytest.raises(StackError, match=rf"{re.escape(str(file))} is missing\); restore the file"):
                read(stack, z)
            file.write_bytes(content)
        read(stack, z)


@pytest.mark.parametrize("kind", READS)
def test_every_flipped_bit_is_refused(stack: Stack, kind: str) -> None:
    folder, read = READS[kind]
    rng = np.random.default_rng(0)
    for file in chunks(stack, folder, 1):
        content = file.read_bytes()
        for _ in range(12):
            bit = int(rng.integers(len(content) * 8))
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            with pytest.raises(StackError, match=rf"{re.escape(str(file))}: its bytes do not match their checksum"):
                read(stack, 1)
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(StackError, match=rf"{re.escape(str(file))}: "):
            read(stack, 1)
        file.write_bytes(b"")
        with pytest.raises(StackError, match="cannot be read"):
            read(stack, 1)
        file.write_bytes(content)
        read(stack, 1)


def test_slices_that_were_left_out_have_no_chunks_and_are_0(stack: Stack) -> None:
    assert chunks(stack, "labels/a/0/c", LEFT_OUT) == chunks(stack, "labels/annotation/0/c", LEFT_OUT) == []
    assert not stack.read_labels("a", LEFT_OUT).any()
    assert not stack.read_map("a", "confidence", LEFT_OUT).any()
    assert not stack.read_labels("a", 1)[1024:].any()


def test_labels_whose_metadata_were_edited_are_refused(stack: Stack) -> None:
    file = stack.path / "labels/a/zarr.json"
    file.write_text(re.sub(r'"slices":\s*\[\s*0,\s*1\s*\]', '"slices": [0]', file.read_text()))
    with pytest.raises(StackError, match="does not match its checksum"):
        stack.read_labels("a", 1)


@pytest.fixture(params=["annotated", "snapshot"])
def other(stack: Stack, tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    if request.param == "snapshot":
        return snapshot(stack, tmp_path / "copy.ome.zarr")
    return annotate(stack, {2: np.ones(SHAPE[1:], np.uint8), 0: None})


def test_later_annotations_and_snapshots_are_checked_likewise(other: Stack) -> None:
    z = other.train_slices[0]
    missing = chunks(other, "labels/annotation/0/c", z)[0]
    missing.unlink()
    with pytest.raises(StackError, match="is missing"):
        other.read_annotation(z)
    unlabelled = set(range(SHAPE[0])) - {*other.train_slices, *other.test_slices}
    assert [chunks(other, "labels/annotation/0/c", z) for z in unlabelled] == [[]] * len(unlabelled)
    next(other.path.glob("0/c/0/1/0/0")).unlink()
    with pytest.raises(StackError, match="is missing"):
        other.read_slab(1, ["ICE"], 1)
