import itertools
import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from monai_app.errors import BusyError, ConfigError, StackError, TargetExistsError
from monai_app.stack import Phase, Stack, ingest
from monai_app.stack.label_images.arrays import Checksum, Maps, Planes, ResultArrays
from monai_app.stack.label_images.journal import Journal, check_binding
from monai_app.stack.label_images.resumable import begun
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout, pyramid
from monai_app.stack.ngff.pyramid import halve_image, halve_labels
from tests.conftest import CHECKOUT
from tests.stack.samples import SampleFolder, label_plane, pixels
from tests.stack.segmenting import BINDING, BOTH, SHAPE, TILES, planes_of, segment, write_tile


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = SampleFolder(tmp_path_factory.mktemp("results"))
    folder.detector("ICE", pixels(*SHAPE))
    folder.annotate({1: label_plane(*SHAPE[1:])}, train=[1], test=[])
    return ingest(folder.write(), folder.target)


@pytest.fixture
def stack(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "sample.ome.zarr")
    return Stack.open(tmp_path / "sample.ome.zarr")


@pytest.fixture(scope="module")
def undisturbed(original, tmp_path_factory):
    """The files of a result that nothing came between."""
    path = tmp_path_factory.mktemp("undisturbed") / "sample.ome.zarr"
    shutil.copytree(original.path, path)
    segment(Stack.open(path))
    return _files(path / "labels" / "a")


def _stop_after(stack, tiles, name="a", **options):
    """A run that ends after some tiles."""
    with stack.write_result(name, maps=BOTH, binding=BINDING, **options) as result:
        for tile in range(tiles):
            result.record(tile, write_tile(result, tile))


def _files(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "journal.jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _partial(stack, name="a"):
    return stack.path / "labels" / f".{name}.partial"


def test_a_result_appears_with_its_maps(stack):
    assert segment(stack, attributes={"model": "unet"}) == list(range(6))
    assert stack.label_names() == ("a",)
    assert stack.label_attributes("a") == {"model": "unet"}
    for z in range(3):
        planes = planes_of(z, slice(None), slice(None))
        np.testing.assert_array_equal(stack.read_labels("a", z), planes.labels)
        np.testing.assert_array_equal(stack.read_map("a", "confidence", z), planes.confidence)
        np.testing.assert_array_equal(stack.read_map("a", "probability", z), planes.probability)
    window = (slice(1000, 1050), slice(3, 9))
    np.testing.assert_array_equal(stack.read_map("a", "probability", 1, window), planes_of(1, *window).probability)
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["a", "annotation", "zarr.json"]
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == BINDING["weights"]


def test_labels_alone_have_no_maps(stack):
    segment(stack, maps=Maps())
    np.testing.assert_array_equal(stack.read_labels("a", 2), planes_of(2, slice(None), slice(None)).labels)
    for kind in ("confidence", "probability"):
        with pytest.raises(StackError, match=f"'a' of .* was written without {kind}; segment again"):
            stack.read_map("a", kind, 0)
    with pytest.raises(StackError, match="no finished label image 'b'"):
        stack.read_map("b", "confidence", 0)


def test_the_ngff_models_accept_labels_and_maps(stack):
    segment(stack)
    folder = stack.path / "labels" / "a"
    ImageLabel.from_zarr(zarr.open_group(folder, mode="r"))
    confidence = Image.from_zarr(zarr.open_group(folder / "confidence", mode="r")).ome_attributes
    probability = Image.from_zarr(zarr.open_group(folder / "probability", mode="r")).ome_attributes
    assert [axis.name for axis in confidence.multiscales[0].axes] == ["z", "y", "x"]
    assert [axis.name for axis in probability.multiscales[0].axes] == ["c", "z", "y", "x"]
    assert confidence.multiscales[0].type == probability.multiscales[0].type == "mean"
    assert [channel["label"] for channel in probability.omero["channels"]] == ["pore", "hydrate"]


def test_the_smaller_levels_are_those_of_whole_planes(stack):
    segment(stack)
    for z in range(3):
        planes = planes_of(z, slice(None), slice(None))
        for kind, plane, halve in (
            ("", planes.labels, halve_labels),
            ("confidence", planes.confidence, halve_image),
            ("probability", planes.probability, lambda every: np.stack([halve_image(one) for one in every])),
        ):
            group = zarr.open_group(stack.path / "labels" / "a" / kind, mode="r")
            for level in ("0", "1", "2"):
                np.testing.assert_array_equal(group[level][..., z, :, :], plane)
                plane = halve(plane)


@settings(max_examples=25, deadline=None)  # the disk's pace is not the test's matter
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    half_block=st.integers(1, 9),
    halve=st.sampled_from([halve_labels, halve_image]),
    seed=st.integers(0, 9),
)
def test_levels_made_in_blocks_are_those_of_the_whole_plane(size, half_block, halve, seed):
    plane = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    with tempfile.TemporaryDirectory() as folder, patch.object(pyramid, "SMALLEST", 5):
        levels = layout.create_levels(layout.create_group(Path(folder), {}), (1,), size, np.uint8)
        levels[0][0] = plane
        with patch.object(blocks, "read", wraps=blocks.read) as read:
            blocks.fill_levels(levels, (0,), halve, 2 * half_block)
        for level in levels:
            np.testing.assert_array_equal(level[0], plane)
            plane = halve(plane)
    parts = [part for call in read.call_args_list for part in call.args[1][1:]]
    assert all(part.stop - part.start <= 2 * half_block for part in parts)


def test_finishing_reads_no_more_than_a_block(stack):
    seen = []

    def spy(level, index):
        seen.append(np.prod([part.stop - part.start for part in index[-2:]]))
        return layout.read(level, index)

    small = patch.object(blocks.fill_levels, "__defaults__", (256,))
    with patch.object(blocks, "read", spy), small:
        segment(stack)
    assert max(seen) == 256 * SHAPE[2]


@pytest.mark.parametrize(
    ("where", "overwrite"),
    [
        ("begin", False),
        ("tile 0", False),
        ("tile 3", False),
        ("finish", False),
        ("register", False),
        ("tile 3", True),
        ("flush", True),
        ("register", True),
    ],
)
def test_a_killed_run_is_taken_up(stack, undisturbed, where, overwrite):
    """Kill -9 while beginning, between two records, before publishing, while flushing and before registering."""
    if overwrite:
        with stack.write_labels("a") as writer:
            for z in range(3):
                writer.write(z, np.ones(SHAPE[1:], np.uint8))
    script = f"from tests.stack.segmenting import killed; killed({str(stack.path)!r}, {where!r}, {overwrite})"
    run = subprocess.run([sys.executable, "-c", script], check=False, cwd=CHECKOUT)
    assert run.returncode == -signal.SIGKILL
    assert stack.label_names() == (("a",) if overwrite else ())
    kept = {"begin": 0, "tile 0": 0, "tile 3": 3}.get(where, 6)
    published = overwrite and where == "register"  # the swap is the moment in which the new labels become visible
    assert (begun(stack.path, "a") is not None) == (where != "begin" and not published)
    again = segment(stack, overwrite=overwrite)
    assert again == list(range(0 if published else kept, 6))
    assert _files(stack.path / "labels" / "a") == undisturbed
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["a", "annotation", "zarr.json"]


def test_a_stopped_run_publishes_nothing_and_keeps_what_is_done(stack, undisturbed):
    _stop_after(stack, 2)
    assert stack.label_names() == ()
    (_partial(stack) / "0" / "c" / "0" / "0" / "0.1f.partial").write_text("a chunk whose writer was killed")
    assert segment(stack) == [2, 3, 4, 5]

    def fail():
        with stack.write_result("b", maps=BOTH, binding=BINDING) as result:
            result.record(0, write_tile(result, 0))
            result.finish([0])
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert stack.label_names() == ("a",)
    assert segment(stack, "b") == [1, 2, 3, 4, 5]
    assert _files(stack.path / "labels" / "a") == undisturbed


def test_a_torn_line_is_forgotten_and_spoils_no_other(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.record(0, 5)
    journal.record(7, 6)
    whole = path.read_bytes()
    for torn in range(1, len(whole) // 2):
        path.write_bytes(whole[:-torn])
        journal = Journal(path)
        assert journal.done == {0: 5}
        journal.record(9, 8)
        assert Journal(path).done == {0: 5, 9: 8}
    path.write_bytes(b"\0\0\n" + whole)
    assert Journal(path).done == {0: 5, 7: 6}


def test_a_forgotten_tile_stays_forgotten(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.record(3, 5)
    journal.record(3, None)
    assert journal.done == Journal(tmp_path / "journal.jsonl").done == {}


def test_another_binding_is_refused_and_every_difference_named(stack):
    _stop_after(stack, 2)
    other = {"weights": "ab" * 31 + "cd", "settings": {"tile": [512, 71], "amp": True, "threads": 2}}
    with pytest.raises(ConfigError) as error:
        segment(stack, binding=other, maps=Maps(confidence=True))
    lines = [line.strip() for line in str(error.value).splitlines()]
    assert lines[0].startswith("label image 'a' was begun with other settings")
    assert [re.split(": ", line, maxsplit=1)[0] for line in lines[1:-1]] == [
        "weights",
        "settings.tile",
        "image.maps.probability",
        "settings.amp",
    ]
    assert re.fullmatch(r'weights: "(ab)+a? \.\.\. .*ab" -> "(ab)+a? \.\.\. .*cd"', lines[1])
    assert lines[2] == "settings.tile: [1024, 71] -> [512, 71]"
    assert lines[3] == "image.maps.probability: true -> false"
    assert lines[4] == "settings.amp: (absent) -> true"
    assert "the same settings" in lines[-1]
    assert "--overwrite" in lines[-1]
    assert "--labels NAME" in lines[-1]
    assert segment(stack) == [2, 3, 4, 5]


def test_equal_bindings_agree_whatever_their_order():
    check_binding("a", {"x": {"y": 1, "z": {}}, "w": None}, {"w": None, "x": {"z": {}, "y": 1}})


def test_overwrite_goes_on_with_the_same_and_begins_anew_with_another(stack):
    segment(stack, binding={"weights": "old"})
    with pytest.raises(TargetExistsError, match=r"'a' is already in .*--overwrite"):
        segment(stack)
    _stop_after(stack, 2, overwrite=True)
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == "old"
    assert segment(stack, overwrite=True) == [2, 3, 4, 5]
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == BINDING["weights"]
    _stop_after(stack, 2, overwrite=True)
    assert segment(stack, binding={"weights": "new"}, overwrite=True) == [0, 1, 2, 3, 4, 5]
    assert stack.label_names() == ("a",)


@pytest.mark.parametrize("damage", ["binding.json", "zarr.json", "confidence/1/zarr.json"])
def test_a_damaged_partial_result_is_refused_unless_overwritten(stack, damage):
    _stop_after(stack, 2)
    (_partial(stack) / damage).write_text("{")
    with pytest.raises(StackError, match="--overwrite"):
        segment(stack)
    assert (begun(stack.path, "a") is None) == (damage == "binding.json")
    assert segment(stack, overwrite=True) == [0, 1, 2, 3, 4, 5]


def test_begun_gives_the_binding_of_a_result_in_the_making(stack):
    assert begun(stack.path, "a") is None
    _stop_after(stack, 1)
    binding = begun(stack.path, "a")
    assert {key: binding[key] for key in BINDING} == BINDING
    assert binding["image"]["identity"] == stack.identity
    segment(stack)
    assert begun(stack.path, "a") is None
    with pytest.raises(ConfigError, match="may hold letters"):
        begun(stack.path, "../a")


def test_a_second_process_is_refused(stack):
    with stack.write_result("a", maps=BOTH, binding=BINDING) as result:
        result.record(0, write_tile(result, 0))
        script = f"from tests.stack.segmenting import killed; killed({str(stack.path)!r}, 'none', False)"
        run = subprocess.run([sys.executable, "-c", script], check=False, cwd=CHECKOUT, capture_output=True, text=True)
        assert "BusyError: label image 'a'" in run.stderr
        with pytest.raises(BusyError, match="is being written by another process"):
            segment(stack)
    assert segment(stack) == [1, 2, 3, 4, 5]


def test_a_replaced_stack_is_refused(stack, tmp_path):
    folder = SampleFolder(tmp_path / "other")
    folder.detector("ICE", pixels(*SHAPE, seed=8))

    def replace_while_writing():
        with stack.write_result("a", maps=BOTH, binding=BINDING) as result:
            checksum = write_tile(result, 0)
            ingest(folder.write(), stack.path, overwrite=True)
            result.record(0, checksum)

    with pytest.raises(StackError, match="was replaced while label image 'a' was written"):
        replace_while_writing()
    assert Stack.open(stack.path).label_names() == ()
    with pytest.raises(StackError, match="was replaced"):
        segment(stack)


@pytest.mark.parametrize("kind", [".", "confidence", "probability"])
@pytest.mark.parametrize("damage", ["unreadable", "missing", "other"])
def test_verify_forgets_tiles_whose_chunks_are_spoilt(stack, undisturbed, kind, damage):
    _stop_after(stack, 6)
    level = _partial(stack) / kind / "0"
    chunk = level / ("c/1/1/1/0" if kind == "probability" else "c/1/1/0")  # of tile 3
    if damage == "unreadable":
        chunk.write_bytes(bytes(chunk.stat().st_size))
    elif damage == "missing":
        chunk.unlink()
    else:
        array = zarr.open_array(level, mode="r+")
        array[..., 1, 1100, 70] = array[..., 1, 1100, 70] ^ 3
    with stack.write_result("a", maps=BOTH, binding=BINDING) as result:
        assert result.verify(lambda tile: [TILES[tile]]) == (3,)
        assert sorted(result.done) == [0, 1, 2, 4, 5]
        planes = planes_of(*TILES[3])  # rows in pieces, so that chunks are read before they are written
        for piece in blocks.spans(0, 77, 30):
            part = Planes(planes.labels[piece], planes.confidence[piece], planes.probability[:, piece])
            result.arrays.write(1, 1024 + piece.start, 0, part)
        assert result.verify(lambda tile: [TILES[tile]]) == ()
        checksum = Checksum()
        checksum.add(1, planes)
        result.record(3, checksum.value)
        assert result.verify(lambda tile: [TILES[tile]]) == ()
        result.finish(range(3))
    assert _files(stack.path / "labels" / "a") == undisturbed


def test_a_disk_that_cannot_write_is_named(stack):
    with stack.write_result("a", maps=BOTH, binding=BINDING) as result:
        (result.folder / "confidence" / "0" / "c").write_text("in the way")
        with pytest.raises(StackError, match=r"confidence/0\[.* cannot be written \(.*; make room or mend the disk"):
            write_tile(result, 0)


def test_a_spoilt_chunk_in_the_way_is_named_and_gone_in_the_next_run(stack):
    _stop_after(stack, 2)
    chunk = _partial(stack) / "0" / "c" / "2" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"")  # as a power cut leaves it, of a tile that was in flight
    part = planes_of(2, slice(0, 9), slice(0, 71))
    for attempt in range(2):
        with stack.write_result("a", maps=BOTH, binding=BINDING) as result:
            if attempt == 0:
                with pytest.raises(StackError, match=r"\.a\.partial/0\[2, 0:9, 0:71\] cannot be written"):
                    result.arrays.write(2, 0, 0, part)
            else:
                result.arrays.write(2, 0, 0, part)
                np.testing.assert_array_equal(result.arrays.read((2, slice(0, 9), slice(0, 71))).labels, part.labels)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 1100), max_size=4, unique=True).map(sorted),
    zs=st.permutations(range(3)),
    columns=st.tuples(st.integers(0, 70), st.integers(1, 70)).map(lambda ends: slice(ends[0], min(71, sum(ends)))),
)
def test_the_checksum_taken_while_writing_is_that_of_what_is_stored(written, cuts, zs, columns):
    """In whichever order the slices come and the rows are cut; boxes of any order are read."""
    checksum = Checksum()
    edges = [0, *cuts, 1101]
    for start, stop in itertools.pairwise(edges):
        for z in zs:
            checksum.add(z, planes_of(z, slice(start, stop), columns))
    boxes = [(z, slice(0, 1101), columns) for z in zs]
    assert written.checksum(boxes) == checksum.value
    assert written.checksum(boxes[1:]) != checksum.value
    assert pickle.loads(pickle.dumps(written)).checksum(boxes) == checksum.value


@pytest.fixture(scope="module")
def written(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "sample.ome.zarr"
    shutil.copytree(original.path, path)
    segment(Stack.open(path))
    return ResultArrays.open(path / "labels" / "a")


_FITS = planes_of(0, slice(0, 4), slice(0, 5))


@pytest.mark.parametrize(
    ("where", "planes", "message"),
    [
        ((3, 0, 0), _FITS, "do not lie in the stack; give .* inside 3 slices of 1101 x 71"),
        ((0, 1098, 0), _FITS, r"labels of shape \(4, 5\) at z 0, row 1098, column 0 do not lie"),
        ((0, 0, -1), _FITS, "do not lie"),
        ((0, 0, 0), Planes(_FITS.probability, _FITS.confidence, _FITS.probability), "do not lie"),
        ((0, 0, 0), Planes(_FITS.labels + 2, _FITS.confidence, _FITS.probability), "hold 4 and the phases end at 2"),
        ((0, 0, 0), Planes(_FITS.labels.astype(int), _FITS.confidence, _FITS.probability), "labels is int64 of shape"),
        ((0, 0, 0), Planes(_FITS.labels, None, _FITS.probability), "has confidence; give it"),
        ((0, 0, 0), Planes(_FITS.labels, _FITS.confidence[1:], _FITS.probability), r"uint8 of shape \(4, 5\)"),
        ((0, 0, 0), Planes(_FITS.labels, _FITS.confidence, _FITS.probability[1:]), r"uint8 of shape \(2, 4, 5\)"),
    ],
)
def test_refuses_planes_that_do_not_fit(written, where, planes, message):
    with pytest.raises(StackError, match=message):
        written.write(*where, planes)


def test_a_stack_without_phases_takes_any_label_and_no_probability(stack):
    with pytest.raises(ConfigError, match="no phases whose probability"), _without_phases(stack, BOTH):
        pytest.fail("accepted")
    with _without_phases(stack, Maps()) as result:
        result.arrays.write(0, 0, 0, Planes(np.full((2, 2), 255, np.uint8)))


def _without_phases(stack, maps):
    return stack.write_result("a", maps=maps, binding=BINDING, phases=[])


def test_other_phases_are_another_binding(stack):
    _stop_after(stack, 1)
    phases = [Phase(1, "pore", "#20304f"), Phase(2, "void", "#C0B090")]
    with pytest.raises(ConfigError, match=r'image\.phases\.2: "hydrate" -> "void"'):
        segment(stack, phases=phases)


def test_a_damaged_chunk_of_the_image_is_named(stack):
    chunk = stack.path / "0" / "c" / "0" / "1" / "0" / "0"
    chunk.write_bytes(bytes(chunk.stat().st_size))
    for read in (lambda: stack.read_slab(1, ["ICE"], 1), lambda: stack.read_slab(0, ["ICE"], 3)):
        with pytest.raises(StackError, match=r"sample\.ome\.zarr/0\[0, 1, 0:, 0:\] cannot be read \(.*decompression"):
            read()
    window = (slice(1024, 1101), slice(0, 71))
    assert stack.read_slab(1, ["ICE"], 1, window).shape == (1, 77, 71)
