"""Annotations after the ingestion: what is stored, the identity, kills at any moment, readers, snapshots."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from monai_app.errors import AnnotationError, ConfigError, StackError, TargetExistsError
from monai_app.stack import Revision, Stack, annotate, ingest, revise, snapshot
from monai_app.stack.annotations.history import EDITS, Record, Role, State
from monai_app.stack.label_images.registry import is_registered, unregister
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import halve_labels
from tests import warm
from tests.stack.samples import SampleFolder, edit_own, label_plane, pixels

ROWS, COLUMNS = 1031, 518  # three levels, two chunks a slice
PHASES = [{"value": 1, "name": "pore", "colour": "#20304f"}, {"value": 2, "name": "hydrate", "colour": "#C0B090"}]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores with and without annotations, and one without phases, that tests copy."""
    stores = {}
    sizes = {"annotated": (ROWS, COLUMNS), "bare": (ROWS, COLUMNS)}
    for name in ("annotated", "bare", "small annotated", "small bare", "without phases"):
        sample = SampleFolder(tmp_path_factory.mktemp("annotating"))
        size = sizes.get(name, (20, 33))
        sample.detector("ICE", pixels(5, *size, seed=1))
        if name.endswith("annotated"):
            sample.annotate({z: label_plane(*size, z) for z in (1, 3)}, train=[1], test=[3])
        elif name.endswith("bare"):
            sample.content["phases"] = PHASES
        stores[name] = ingest(sample.write(), sample.target).path
    return stores


@pytest.fixture
def stack(ingested: dict[str, Path], tmp_path: Path) -> Stack:
    """Slices 1 (train) and 3 (test) are annotated, two phases."""
    return Stack.open(shutil.copytree(ingested["annotated"], tmp_path / "stack.ome.zarr"))


@pytest.fixture
def bare(ingested: dict[str, Path], tmp_path: Path) -> Stack:
    """Two phases and no annotation."""
    return Stack.open(shutil.copytree(ingested["bare"], tmp_path / "bare.ome.zarr"))


def plane(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (ROWS, COLUMNS), np.uint8)


def ingested_labels(z: int) -> np.ndarray:
    source = label_plane(ROWS, COLUMNS, z)
    return np.select([source == 0, source == 7], [1, 2], 0).astype(np.uint8)


def chunk_files(stack: Stack, z: int) -> list[Path]:
    return [file for file in (stack.path / "labels/annotation").rglob(f"c/{z}/*/*") if file.is_file()]


def test_sets_moves_and_removes_annotations(stack: Stack) -> None:
    after = annotate(stack, {0: plane(0), 3: plane(3), 4: np.zeros((ROWS, COLUMNS), np.uint8)}, source="case_a")
    assert (after.train_slices, after.test_slices) == ((0, 1, 3), ())
    for z, expected in ((0, plane(0)), (1, stack.read_annotation(1)), (3, plane(3))):
        np.testing.assert_array_equal(after.read_annotation(z), expected)
    assert {z: (edit.now and edit.now.role, edit.source) for z, edit in after.edits.items()} == {
        0: ("train", "case_a"),
        3: ("train", "case_a"),
    }
    last = annotate(after, {0: plane(5), 1: None}, role="test", source="case_b")
    assert (last.train_slices, last.test_slices) == ((3,), (0,))
    assert last.edits[1].now is None
    assert not chunk_files(last, 1), "a removed annotation occupies no space"
    with pytest.raises(AnnotationError, match=r"slice 1 .* is not annotated"):
        last.read_annotation(1)
    assert stack.identity == last.ingested != last.identity


def test_every_level_follows_and_the_store_stays_valid(bare: Stack) -> None:
    annotate(bare, {2: plane(2)})
    expected = plane(2)
    for level in range(3):
        array = zarr.open_array(bare.path, path=f"labels/annotation/{level}", mode="r")
        np.testing.assert_array_equal(array[2], expected)
        assert not np.delete(array[:], 2, axis=0).any()
        expected = halve_labels(expected)
    layout.validate(bare.path)


@pytest.mark.filterwarnings("default")  # warnings of ome_zarr and dask are theirs
def test_ome_zarr_reads_what_was_annotated(bare: Stack) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    annotate(bare, {2: plane(2)})
    nodes = {node.zarr.basename(): node for node in Reader(parse_url(bare.path))()}
    np.testing.assert_array_equal(nodes["annotation"].data[0][2].compute(), plane(2))


def test_taking_everything_back_gives_the_ingested_identity(stack: Stack, bare: Stack) -> None:
    after = annotate(stack, {0: plane(0), 1: plane(1), 3: None})
    assert after.identity != stack.identity
    once = annotate(after, {0: None, 1: ingested_labels(1)})
    assert once.identity != stack.identity, "slice 3 is still removed"
    back = annotate(once, {3: ingested_labels(3)}, role="test")
    assert (back.identity, back.train_slices, back.test_slices, back.edits) == (stack.identity, (1,), (3,), {})
    assert annotate(annotate(bare, {2: plane(1)}), {2: None}).identity == bare.identity


_STATES = st.none() | st.builds(State, st.sampled_from(["train", "test"]), st.sampled_from(["aa", "bb"]))


@given(ingested=st.dictionaries(st.integers(0, 3), _STATES.filter(bool)), data=st.data())
def test_the_identity_follows_from_the_annotations_not_from_the_way(
    ingested: dict[int, State], data: st.DataObject
) -> None:
    start = Record("base", {z: state.role for z, state in ingested.items()}, {})
    final = data.draw(st.dictionaries(st.integers(0, 3), _STATES))
    detours = data.draw(st.lists(st.tuples(st.sampled_from(sorted(final) or [0]), _STATES)))
    records = []
    for way in (list(final.items()), [*detours, *data.draw(st.permutations(list(final.items())))]):
        record = start
        now: dict[int, State | None] = dict(ingested)
        for z, state in way:
            if z in final:
                record = record.edited(z, state, now.get(z), "case")
                now[z] = state
        read = json.loads(json.dumps(record.to_json()))
        roles: dict[int, Role] = {**dict.fromkeys(read["train"], "train"), **dict.fromkeys(read["test"], "test")}
        records.append(Record(read["ingested"], roles, EDITS.validate_python(read["edits"])))
        kept = {z: state for z, state in now.items() if state is not None}
        assert dict(records[-1].roles) == {z: state.role for z, state in kept.items()}
        assert (records[-1].identity == "base") == (kept == ingested)
    assert records[0] == records[1]
    assert records[0].identity == records[1].identity


def test_other_labels_roles_and_sources_are_other_identities(bare: Stack, tmp_path: Path) -> None:
    identities = [bare.identity]
    others: list[tuple[int, Role, str]] = [(1, "train", ""), (2, "train", ""), (1, "test", ""), (1, "train", "a")]
    for n, (seed, role, source) in enumerate(others):
        copy = Stack.open(shutil.copytree(bare.path, tmp_path / f"{n}.ome.zarr"))
        identities.append(annotate(copy, {2: plane(seed)}, role=role, source=source).identity)
    assert len(set(identities)) == 5


def test_refuses_what_does_not_fit_before_anything_is_written(stack: Stack, ingested: dict[str, Path]) -> None:
    good = plane(0)
    wrong: list[tuple[dict[int, Any], str]] = [
        ({5: good}, "slice 5 does not exist; .* has slices 0 to 4"),
        ({0: good, 1: good[1:]}, r"slice 1 is uint8 of shape \(1030, 518\) and must be integers .* \(1031, 518\)"),
        ({0: good.astype(np.float32)}, "slice 0 is float32"),
        ({0: good + 1}, "slice 0 holds 3 and the phases of .* are 1 to 2"),
        ({0: good.astype(np.int64) - 1}, "slice 0 holds -1 and the phases of .* are 1 to 2"),
    ]
    for labels, text in wrong:
        with pytest.raises(AnnotationError, match=text):
            annotate(stack, labels)
    with pytest.raises(AnnotationError, match="role 'both' is neither"):
        annotate(stack, {0: good}, role=cast("Role", "both"))
    with pytest.raises(AnnotationError, match=r"has no phases.*list 'phases' in its description and ingest it again"):
        annotate(Stack.open(ingested["without phases"]), {0: good[:20, :33]})
    assert Stack.open(stack.path).identity == stack.identity
    assert not list((stack.path / "labels").glob(".annotation*"))


def test_labels_of_any_integer_type_are_taken(stack: Stack) -> None:
    """Such as the 32 bits of napari's layers."""
    after = annotate(stack, {0: plane(0).astype(np.uint32), 2: plane(2).astype(">i8")})
    for z in (0, 2):
        np.testing.assert_array_equal(after.read_annotation(z), plane(z))


def test_a_store_that_was_replaced_is_neither_annotated_nor_kept(stack: Stack, bare: Stack, tmp_path: Path) -> None:
    shutil.rmtree(stack.path)
    shutil.copytree(bare.path, stack.path)
    with pytest.raises(StackError, match="was replaced since it was opened: another stack was ingested"):
        annotate(stack, {0: plane(0)})
    with pytest.raises(StackError, match="was replaced since it was opened"):
        snapshot(stack, tmp_path / "still.ome.zarr")
    assert not list(tmp_path.glob("*still*"))


def test_a_store_that_is_replaced_right_after_an_edit_is_not_returned(
    stack: Stack, bare: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(*_: object) -> None:
        shutil.rmtree(stack.path)
        shutil.copytree(bare.path, stack.path)

    monkeypatch.setattr("monai_app.stack.annotations.editing._write", replace)
    with pytest.raises(StackError, match="was replaced since it was opened"):
        annotate(stack, {0: plane(0)})


def test_what_decides_sees_the_annotations_of_now_and_may_leave_them(stack: Stack) -> None:
    annotate(stack, {0: plane(0)})
    seen = []

    def decide(current: Stack) -> Revision:
        seen.append(current.train_slices)
        return Revision({2: plane(2)} if len(seen) == 1 else {}, "test")

    assert revise(stack, decide, source="case").test_slices == (2, 3)
    file = stack.path / "labels/annotation/zarr.json"
    before = file.stat()
    revise(stack, decide)
    assert seen == [(0, 1), (0, 1)]
    assert file.stat() == before
    assert not list((stack.path / "labels").glob(".annotation*"))


def test_what_a_kill_behind_an_edit_left_is_mended_by_one_that_changes_nothing(stack: Stack) -> None:
    labels = stack.path / layout.LABELS
    unregister(stack.path, layout.ANNOTATION)
    (labels / ".register.lock").touch()
    assert revise(stack, lambda _: Revision({})).identity == stack.identity
    assert is_registered(stack.path, layout.ANNOTATION)
    assert not list(labels.glob(".*"))


def test_a_full_disk_leaves_the_annotations_as_they_were(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout, "write_slice", full)
    with pytest.raises(StackError, match=r"cannot be written \(.*No space left.*\); free some space"):
        annotate(stack, {0: plane(0)})
    assert Stack.open(stack.path).identity == stack.identity
    assert not list((stack.path / "labels").glob(".annotation*"))


def test_annotating_goes_on_while_labels_are_written(stack: Stack) -> None:
    def planes() -> Iterator[npt.NDArray[np.uint8]]:
        annotate(stack, {0: plane(0)})
        yield from map(plane, range(5))

    stack.write_labels("unet", planes())
    np.testing.assert_array_equal(Stack.open(stack.path).read_labels("unet", 2), plane(2))


def test_writers_wait_for_each_other(bare: Stack) -> None:
    threads = [threading.Thread(target=annotate, args=(bare, {z: plane(z)})) for z in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = Stack.open(bare.path)
    assert after.train_slices == (0, 1, 2, 3, 4)
    for z in range(5):
        np.testing.assert_array_equal(after.read_annotation(z), plane(z))


def test_readers_see_the_old_or_the_new_annotations(stack: Stack) -> None:
    planes = [plane(0), plane(1)]

    def annotate_in_turn() -> list[str]:
        return [
            annotate(stack, {0: planes[turn % 2], 2: planes[turn % 2] if turn % 3 else None}).identity
            for turn in range(6)
        ]

    identities = {identity: turn for turn, identity in enumerate(annotate_in_turn())}  # what may be seen
    writer = threading.Thread(target=annotate_in_turn)
    writer.start()
    seen = set()
    while writer.is_alive():
        found = Stack.open(stack.path)
        turn = identities[found.identity]
        assert found.train_slices == ((0, 1, 2) if turn % 3 else (0, 1))
        labels = [found.read_annotation(0)[rows] for rows in (slice(0, 1024), slice(1024, None))]  # chunk by chunk
        for part, rows in zip(labels, (slice(0, 1024), slice(1024, None)), strict=True):
            assert any(np.array_equal(part, whole[rows]) for whole in planes)
        seen.add(turn)
    writer.join()
    assert len(seen) > 1


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
from monai_app import files
from monai_app.stack import Stack, annotate
from monai_app.stack.annotations import editing as annotating
from monai_app.stack.label_images import registry as labels
from monai_app.stack.ngff import layout

def kill_at(moment):
    count = 0
    def counted(function):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call
    for owner, name in ((layout, "write_slice"), (files, "flush_tree"), (files, "_swap"), (files, "remove_tree"),
                        (files, "flush"), (Path, "rename"), (files, "link_or_copy"), (annotating, "register")):
        setattr(owner, name, counted(getattr(owner, name)))

if sys.argv[4] == "rename":  # a file system that cannot swap names
    files._swap = lambda *names: False
source, folder = map(Path, sys.argv[1:3])
planes = dict(np.load(sys.argv[3]))
for moment in range(1, 1000):
    copy = shutil.copytree(source, folder / f"{moment}.ome.zarr")
    child = os.fork()
    if child == 0:
        kill_at(moment)
        annotate(Stack.open(copy), {int(z): plane for z, plane in planes.items()}, source="case")
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
print(moment)
"""


@pytest.mark.parametrize("way", ["swap", "rename"])
@pytest.mark.parametrize("name", ["small annotated", "small bare"])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_state(
    ingested: dict[str, Path], name: str, way: str, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(ingested[name], tmp_path / "source.ome.zarr"))
    if name.endswith("annotated"):
        annotate(Stack.open(source), {4: plane(4)[:20, :33]})
    planes: dict[str, Any] = {"1": plane(1)[:20, :33], "2": plane(2)[:20, :33]}
    np.savez(tmp_path / "planes.npz", **planes)
    command: list[Any] = [warm.python(), "-c", _KILLED, source, tmp_path, tmp_path / "planes.npz", way]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    moments, old = int(run.stdout), Stack.open(source)
    assert moments > 10
    new = Stack.open(tmp_path / f"{moments}.ome.zarr")
    states = set()
    for moment in range(1, moments):
        killed = Stack.open(tmp_path / f"{moment}.ome.zarr")
        expected = {old.identity: old, new.identity: new}[killed.identity]
        assert (killed.train_slices, killed.edits) == (expected.train_slices, expected.edits)
        for z in killed.train_slices:
            np.testing.assert_array_equal(killed.read_annotation(z), expected.read_annotation(z))
        states.add(killed.identity)
        if moment % 4 == 0 or moment > moments - 5:
            again = annotate(killed, {1: plane(1)[:20, :33], 2: plane(2)[:20, :33]}, source="case")
            assert (again.identity, again.edits) == (new.identity, new.edits)
            assert not list((again.path / "labels").glob(".annotation*"))
            registered = json.loads((again.path / "labels/zarr.json").read_text())["attributes"]["ome"]["labels"]
            assert registered == ["annotation"]
    assert states == {old.identity, new.identity}


def test_a_snapshot_stands_still(stack: Stack, tmp_path: Path) -> None:
    before = annotate(stack, {0: plane(0)}, source="case")
    stack.write_labels("unet", map(plane, range(5)))
    still = snapshot(before, tmp_path / "new" / "still.ome.zarr")
    after = annotate(before, {0: plane(7), 1: None})
    again = Stack.open(still.path)
    assert (again.identity, again.ingested, again.edits) == (before.identity, before.ingested, before.edits)
    assert (again.train_slices, again.test_slices, again.label_names()) == ((0, 1), (3,), ())
    np.testing.assert_array_equal(again.read_annotation(0), plane(0))
    np.testing.assert_array_equal(again.read_slab(2, ["ICE"], 3), stack.read_slab(2, ["ICE"], 3))
    np.testing.assert_array_equal(after.read_annotation(0), plane(7))
    layout.validate(still.path)
    size = sum(file.stat().st_size for file in still.path.rglob("*") if file.is_file() and "labels" in str(file))
    assert size < 1_000_000
    with pytest.raises(TargetExistsError, match=r"still\.ome\.zarr exists already"):
        snapshot(after, still.path)
    with pytest.raises(ConfigError, match=r"does not end in \.ome\.zarr"):
        snapshot(after, tmp_path / "still")
    of_it = snapshot(again, tmp_path / "second.ome.zarr")
    shutil.rmtree(still.path)
    assert stack.read_slab(0, ["ICE"], 1).any(), "removing a snapshot removes no image"
    np.testing.assert_array_equal(of_it.read_slab(2, ["ICE"], 3), stack.read_slab(2, ["ICE"], 3))


def test_a_snapshot_of_a_stack_without_annotations(bare: Stack, tmp_path: Path) -> None:
    still = snapshot(bare, tmp_path / "still.ome.zarr")
    assert still.train_slices == ()
    assert annotate(still, {1: plane(1)}).train_slices == (1,)
    assert Stack.open(bare.path).train_slices == ()


def test_a_damaged_record_is_named(stack: Stack) -> None:
    annotate(stack, {0: plane(0)})
    file = stack.path / "labels/annotation/zarr.json"
    edit_own(file, lambda own: own.update(edits={"0": {"now": 1}}), renewed=True)
    with pytest.raises(
        StackError, match=r"zarr\.json: edits::0::now: 1 is not a mapping or null; restore it from a copy"
    ):
        Stack.open(stack.path)
    edit_own(file, lambda own: own.update(ingested="another"), renewed=True)
    with pytest.raises(StackError, match="belongs to another ingestion"):
        Stack.open(stack.path)
    file.unlink()
    with pytest.raises(StackError, match=r"annotation or its zarr\.json is missing"):
        Stack.open(stack.path)
