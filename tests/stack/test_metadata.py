"""What a store says of itself is checked when it is opened."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_app.errors import StackError
from monai_app.stack import Stack, annotate, ingest, snapshot
from monai_app.stack.metadata import read_metadata
from tests.stack.samples import SampleFolder, edit_own, label_plane, pixels

SHAPE = (4, 9, 7)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two detectors, slices 1 (train) and 3 (test) annotated."""
    sample = SampleFolder(tmp_path_factory.mktemp("metadata"))
    for seed, name in enumerate(("ICE", "TLD")):
        sample.detector(name, pixels(*SHAPE, seed=seed))
    sample.annotate({z: label_plane(*SHAPE[1:], z) for z in (1, 3)}, train=[1], test=[3])
    return ingest(sample.write(), sample.target).path


@pytest.fixture
def store(ingested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ingested, tmp_path / "s.ome.zarr")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a stack store .it has no readable zarr.json."),
        ("{", "zarr.json is damaged .*JSONDecodeError"),
        ("[]", "zarr.json is damaged .*TypeError"),
        ('{"attributes": {"ome": {}}}', "is not a stack store of this package"),
        ('{"attributes": {"monai_app": {"format": 3}}}', "has format 3 but this version reads formats 1 to 2"),
        ('{"attributes": {"monai_app": {"format": 2}}}', "does not match its checksum"),
        ('{"attributes": {"monai_app": {"format": 1}}}', "is not a stack store of this package"),
    ],
)
def test_refuses_what_is_no_store(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    with pytest.raises(StackError, match=message):
        read_metadata(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("detectors", ["ICE", "TLD", "SE"], r"\(2, 4, 9, 7\).* say .*\(3, 4, 9, 7\)"),
        ("detectors", ["ICE", "ice"], "two have the same name"),
        ("detectors", ["ICE", "../x"], "must contain only letters"),
        ("detectors", [], "with at least one entry"),
        ("train", [99], r"train \[99\]: slice 99 does not exist, there are slices 0 to 3"),
        ("train", [1.5], "1.5 is not an integer"),
        ("train", [-1], "-1 is not an integer of at least 0"),
        ("train", [True], "True is not an integer"),
        ("train", "abc", "'abc' is not a list of integers"),
        ("train", [0, 0], "a slice occurs twice"),
        ("train", [3], "slice 3 is both in train and in test"),
        ("gaps", [4], "slice 4 does not exist"),
        ("slice_names", ["a", "b", "c", "d", "e"], "4 numbers of 5 slices"),
        ("slice_names", ["a", "../b", "c", "d"], "'../b' is not a file name"),
        ("slice_names", ["a", "..", "c", "d"], "'..' is not a file name"),
        ("slice_names", ["a", "b\n", "c", "d"], "contains control characters"),
        ("slice_numbers", [1, 2], "2 numbers of 4 slices"),
        ("voxel_nm", {"z": 0.0, "y": 1.0, "x": 1.0}, "0.0 is not a number from 0.001 to 1000000"),
        ("voxel_nm", {"z": 1.0, "y": 1.0}, "key 'x' is missing"),
        ("phases", [{"value": 2, "name": "pore", "rgb": [0, 0, 0]}], "are not 1..1"),
        ("shape", [4, 9, 8], r"\(2, 4, 9, 7\).* say .*\(2, 4, 9, 8\)"),
        ("dtype", "uint16", "it is uint8 .*say uint16"),
        ("identity", "abc", "'abc' is not a SHA-256"),
        ("name", None, "None is not text"),
    ],
)
def test_metadata_that_contradict_a_rule_are_refused(store: Path, name: str, value: object, message: str) -> None:
    shutil.rmtree(store / "labels/annotation")  # they say of `train` and `test` what the store does not
    (store / "labels/zarr.json").unlink()
    edit_own(store / "zarr.json", lambda own: own.update({name: value}))
    with pytest.raises(StackError, match=r"zarr\.json was damaged or edited: 'monai_app' does not match its checksum"):
        Stack.open(store)
    edit_own(store / "zarr.json", lambda own: None, renewed=True)
    with pytest.raises(StackError, match=message) as refused:
        Stack.open(store)
    assert re.search("ingest the sample again|start again|rename it|renumber", str(refused.value))


@pytest.mark.parametrize("file", ["zarr.json", "labels/annotation/zarr.json"])
def test_every_edit_is_noticed(store: Path, file: str) -> None:
    before = (store / file).read_text()
    names = list(json.loads(before)["attributes"]["monai_app"])
    for name in names:
        edit_own(store / file, lambda own, name=name: own.pop(name))  # type: ignore[misc]
        with pytest.raises(StackError, match=r"checksum|damaged"):
            Stack.open(store)
        (store / file).write_text(before)
    edit_own(store / "zarr.json", lambda own: own["detectors"].reverse())
    with pytest.raises(StackError, match="does not match its checksum"):
        Stack.open(store)


def test_annotations_without_their_metadata_are_refused(store: Path) -> None:
    file = store / "labels/annotation/zarr.json"
    content = json.loads(file.read_text())
    del content["attributes"]["monai_app"]
    file.write_text(json.dumps(content))
    with pytest.raises(StackError, match="it has no metadata 'monai_app'"):
        Stack.open(store)
    shutil.rmtree(file.parent)
    with pytest.raises(StackError, match=r"annotation or its zarr\.json is missing"):
        Stack.open(store)


@pytest.mark.parametrize("level", ["0"])
@pytest.mark.parametrize(
    ("entry", "value"), [("shape", [2, 4, 9, 8]), ("data_type", "uint16"), ("codecs", None), ("shape", [2, 4, 8, 7])]
)
def test_an_array_that_contradicts_the_metadata_is_refused(store: Path, level: str, entry: str, value: object) -> None:
    file = store / level / "zarr.json"
    content = json.loads(file.read_text())
    content[entry] = content["codecs"][:-1] if value is None else value
    file.write_text(json.dumps(content))
    with pytest.raises(StackError, match=r"0 is damaged: it is .*; restore it from a copy, or ingest the sample again"):
        Stack.open(store)


def test_a_store_of_format_1_opens_and_can_be_edited(store: Path, tmp_path: Path) -> None:
    for entry in ("shape", "dtype", "gaps", "slice_numbers", "software"):
        edit_own(store / "zarr.json", lambda own, entry=entry: own.pop(entry))  # type: ignore[misc]
    edit_own(store / "zarr.json", lambda own: None, version=1)
    file = store / "labels/annotation/zarr.json"
    content = json.loads(file.read_text())
    del content["attributes"]["monai_app"]
    file.write_text(json.dumps(content))
    stack = Stack.open(store)
    assert (stack.slice_numbers, stack.gaps, stack.train_slices) == ((0, 1, 2, 3), (), (1,))
    after = annotate(stack, {0: np.ones(SHAPE[1:], np.uint8), 1: None})
    assert (after.train_slices, after.ingested) == ((0,), stack.identity)
    assert snapshot(after, tmp_path / "copy.ome.zarr").identity == after.identity
