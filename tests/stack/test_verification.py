"""All of a store is read and compared; a store of an earlier version gets checksums."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.stack import Stack, annotate, snapshot
from monai_app.stack.add_checksums import add_checksums
from monai_app.stack.ngff import layout
from monai_app.stack.verification import verify_store
from tests.stack.samples import edit_own
from tests.test_earlier import MADE

LABELS = ("unet", "sensor3d")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("sample.ome.zarr")])
    return folder / "sample.ome.zarr"


@pytest.fixture(scope="module")
def renewed(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store with checksums."""
    path = shutil.copytree(unpacked, tmp_path_factory.mktemp("renewed") / "s.ome.zarr")
    add_checksums(path)
    return path


@pytest.fixture
def old(unpacked: Path, tmp_path: Path) -> Path:
    return shutil.copytree(unpacked, tmp_path / "s.ome.zarr")


@pytest.fixture
def new(renewed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(renewed, tmp_path / "s.ome.zarr")


def content(path: Path) -> dict[str, Any]:
    stack = Stack.open(path)
    zs = range(stack.shape[0])
    images: dict[str, list[npt.NDArray[np.integer]]] = {
        name: [stack.read_labels(name, z) for z in zs] for name in LABELS
    }
    images["maps"] = [stack.read_map("unet", kind, z) for kind in ("confidence", "probability") for z in zs]
    images["image"] = [stack.read_slab(z, stack.detectors, 1) for z in zs]
    images["annotations"] = [stack.read_annotation(z) for z in (*stack.train_slices, *stack.test_slices)]
    return {
        "identity": stack.identity,
        **{name: [plane.tobytes() for plane in planes] for name, planes in images.items()},
    }


def test_a_store_without_checksums_is_complete_and_reported_to_have_none(old: Path) -> None:
    calls: list[tuple[int, int]] = []
    found = verify_store(old, lambda done, total: calls.append((done, total)))
    assert found.faults == []
    groups = ("", "/labels/annotation", "/labels/unet", "/labels/unet/confidence", "/labels/unet/probability")
    assert found.notes[:5] == [
        f"{old}{group} has no checksums, so not all damage can be detected; add them with --add-checksums"
        for group in groups
    ]
    assert calls[0] == (0, calls[-1][0])
    assert calls[-1] == (2 * 6 + 4 + 6 + 6 + 5 * 6 + 6,) * 2  # planes of image, annotations, labels and maps


def test_pixels_that_have_another_identity_are_a_fault(old: Path) -> None:
    level = layout.open_level(old / "0", writable=True)
    level[0, 0, 0, 0] = 255 - layout.read(level, (0, 0, 0, 0))
    assert "its pixels have another identity than fadd24f36799..." in verify_store(old).faults[0]


def test_checksums_are_added_and_nothing_else_changes(unpacked: Path, renewed: Path) -> None:
    found = verify_store(renewed)
    assert (found.faults, found.notes) == ([], [])
    assert content(renewed) == content(unpacked)
    times = {file: file.stat().st_mtime_ns for file in renewed.rglob("*") if file.is_file()}
    add_checksums(renewed)
    assert times == {file: file.stat().st_mtime_ns for file in renewed.rglob("*") if file.is_file()}


@pytest.mark.parametrize("after", [0, 14, 40])
def test_stopped_while_checksums_are_added(
    old: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    calls = 0

    class Kill(BaseException):
        pass

    def write(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Kill
        write_chunk(*arguments)

    write_chunk = layout.write
    with monkeypatch.context() as patch:
        patch.setattr(layout, "write", write)
        with pytest.raises(Kill):
            add_checksums(old)
    assert content(old) == content(unpacked)
    assert verify_store(old).faults == []
    add_checksums(old)
    assert (verify_store(old).faults, verify_store(old).notes) == ([], [])
    assert content(old) == content(unpacked)
    assert not [path for path in old.rglob(".*") if not path.name.startswith(".begun")]


def test_every_damaged_chunk_is_a_line(new: Path) -> None:
    files = [
        new / "0/c/0/1/0/0",
        new / "0/c/1/4/0/0",
        new / "labels/annotation/0/c/5/0/0",
        new / "labels/unet/0/c/0/0/0",
        new / "labels/unet/probability/0/c/4/5/0/0",
    ]
    for number, file in enumerate(files):
        if number % 2:
            file.unlink()
        else:
            damaged = bytearray(file.read_bytes())
            damaged[len(damaged) // 2] ^= 4
            file.write_bytes(damaged)
    faults = verify_store(new).faults
    assert len(faults) == len(files)
    assert all(str(file) in fault for file, fault in zip(files, faults, strict=True))


@pytest.mark.parametrize("file", ["zarr.json", "labels/annotation/zarr.json", "labels/unet/zarr.json", "0/zarr.json"])
def test_damaged_metadata_are_a_line(new: Path, file: str) -> None:
    text = (new / file).read_text()
    for damaged in (
        text[:-40],
        text.replace('"format": 2', '"format": 0').replace('"zarr_format": 3', '"zarr_format": 9'),
    ):
        (new / file).write_text(damaged)
        faults = verify_store(new).faults
        assert len(faults) == 1
        assert "\n" not in faults[0]
    (new / file).unlink()
    assert len(verify_store(new).faults) == 1


def test_later_annotations_are_compared_with_their_record(new: Path, tmp_path: Path) -> None:
    stack = annotate(Stack.open(new), {0: np.ones((96, 112), np.uint8)})
    assert (verify_store(new).faults, verify_store(new).notes) == ([], [])
    copy = snapshot(stack, tmp_path / "copy.ome.zarr")
    assert (verify_store(copy.path).faults, verify_store(copy.path).notes) == ([], [])
    layout.open_level(new / "labels/annotation/0", writable=True)[0] = 2
    assert "slice 0 differs from what was annotated" in verify_store(new).faults[0]
    annotate(stack, {0: None, 1: None})
    assert verify_store(new).faults == []
    assert "its original annotations were changed" in verify_store(new).notes[0]
    file = new / "labels/annotation/zarr.json"
    edit_own(file, lambda own: own.update(identity="ab" * 32), renewed=True)
    assert "its identity does not follow from its record of edits" in verify_store(new).faults[0]
