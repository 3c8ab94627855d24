import itertools
import json
import pickle
import re
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from monai_app.domain.region import Rect, Region, Span
from monai_app.errors import BusyError, ConfigError, StackError, TargetExistsError
from monai_app.stack import Stack, ingest
from monai_app.stack.label_images.arrays import Checksum, Map, ResultArrays
from monai_app.stack.label_images.journal import Journal, check_fingerprint
from monai_app.stack.label_images.resumable import Result, in_progress
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout, pyramid
from monai_app.stack.ngff.pyramid import halve_image, halve_labels
from tests.conftest import CHECKOUT, run_command
from tests.specs import phases_of
from tests.stack.samples import SampleFolder, edit_own, label_plane, pixels
from tests.stack.segmenting import BOTH, FINGERPRINT, SHAPE, TILES, planes_of, segment, write_tile


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = SampleFolder(tmp_path_factory.mktemp("results"))
    folder.detector("ICE", pixels(*SHAPE))
    folder.annotate({1: label_plane(*SHAPE[1:])}, train=[1], test=[])
    return ingest(folder.write(), folder.target)


@pytest.fixture
def stack(original: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(original.path, tmp_path / "sample.ome.zarr")
    return Stack.open(tmp_path / "sample.ome.zarr")


@pytest.fixture(scope="module")
def undisturbed(original: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a result that nothing came between."""
    path = tmp_path_factory.mktemp("undisturbed") / "sample.ome.zarr"
    shutil.copytree(original.path, path)
    segment(Stack.open(path))
    return _files(path / "labels" / "a")


def _stop_after(stack: Stack, tiles: int, name: str = "a", **options: Any) -> None:
    """A run that ends after some tiles."""
    with stack.write_result(name, maps=BOTH, fingerprint=FINGERPRINT, **options) as result:
        for tile in range(tiles):
            result.record(tile, write_tile(result, tile))


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "journal.jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _partial(stack: Stack, name: str = "a") -> Path:
    return stack.path / "labels" / f".{name}.partial"


def test_a_result_appears_with_its_maps(stack: Stack) -> None:
    assert segment(stack, attributes={"model": "unet"}) == list(range(6))
    assert stack.label_names() == ("a",)
    assert stack.label_attributes("a") == {"model": "unet"}
    for z in range(3):
        planes = planes_of(z)
        np.testing.assert_array_equal(stack.read_labels("a", z), planes["labels"])
        np.testing.assert_array_equal(stack.read_map("a", "confidence", z), planes["confidence"])
        np.testing.assert_array_equal(stack.read_map("a", "probability", z), planes["probability"])
    rect = Rect(Span(1000, 1050), Span(3, 9))
    np.testing.assert_array_equal(stack.read_map("a", "probability", 1, rect), planes_of(1, rect)["probability"])
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["a", "annotation", "zarr.json"]
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == FINGERPRINT["weights"]


def test_labels_alone_have_no_maps(stack: Stack) -> None:
    segment(stack, maps=())
    np.testing.assert_array_equal(stack.read_labels("a", 2), planes_of(2)["labels"])
    for kind in ("confidence", "probability"):
        with pytest.raises(StackError, match=f"'a' of .* was written without {kind}; segment again"):
            stack.read_map("a", kind, 0)
    with pytest.raises(StackError, match="no finished label image 'b'"):
        stack.read_map("b", "confidence", 0)


def test_the_ngff_models_accept_labels_and_maps(stack: Stack) -> None:
    segment(stack)
    folder = stack.path / "labels" / "a"
    ImageLabel.from_zarr(zarr.open_group(folder, mode="r"))
    confidence = Image.from_zarr(zarr.open_group(folder / "confidence", mode="r")).ome_attributes
    probability: Any = Image.from_zarr(zarr.open_group(folder / "probability", mode="r")).ome_attributes
    assert [axis.name for axis in confidence.multiscales[0].axes] == ["z", "y", "x"]
    assert [axis.name for axis in probability.multiscales[0].axes] == ["c", "z", "y", "x"]
    assert confidence.multiscales[0].type == probability.multiscales[0].type == "mean"
    assert [channel["label"] for channel in probability.omero["channels"]] == ["pore", "hydrate"]


def test_the_schemas_of_ngff_accept_a_store_with_labels_and_maps(stack: Stack) -> None:
    """They are those of the specification; the validator adds what they cannot say, of arrays and levels."""
    from ome_zarr_io import OMEZarrValidator, validate  # imported here: it pulls in dask

    segment(stack)
    for group in ("", "labels/annotation", "labels/a", "labels/a/confidence", "labels/a/probability"):
        report = validate(stack.path / group, strict=True)
        assert report, str(report)
    attributes: dict[str, Any] = dict(zarr.open_group(stack.path / "labels" / "a", mode="r").attrs)
    assert OMEZarrValidator().iter_issues(attributes, "strict_label") == []
    attributes["ome"]["image-label"]["colors"][0]["rgba"] = [0, 0, 300]
    assert OMEZarrValidator().iter_issues(attributes, "strict_label") != []


def test_the_smaller_levels_are_those_of_whole_planes(stack: Stack) -> None:
    segment(stack)
    for z in range(3):
        planes = planes_of(z)
        levels: list[tuple[str, npt.NDArray[Any], Callable[[npt.NDArray[Any]], npt.NDArray[Any]]]] = [
            ("", planes["labels"], halve_labels),
            ("confidence", planes["confidence"], halve_image),
            ("probability", planes["probability"], lambda every: np.stack([halve_image(one) for one in every])),
        ]
        for kind, plane, halve in levels:
            group: Any = zarr.open_group(stack.path / "labels" / "a" / kind, mode="r")
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
def test_levels_made_in_blocks_are_those_of_the_whole_plane(
    size: tuple[int, int], half_block: int, halve: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], seed: int
) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    with tempfile.TemporaryDirectory() as folder, patch.object(pyramid, "SMALLEST", 5):
        levels = layout.create_levels(layout.create_group(Path(folder), {}), (1,), size, np.uint8)
        levels[0][0] = plane
        with patch.object(blocks, "read", wraps=layout.read) as read:
            blocks.fill_levels(levels, (0,), halve, 2 * half_block)
        for level in levels:
            np.testing.assert_array_equal(level[0], plane)
            plane = halve(plane)
    parts = [part for call in read.call_args_list for part in call.args[1][1:]]
    assert all(part.stop - part.start <= 2 * half_block for part in parts)


def test_finishing_reads_no_more_than_a_block(stack: Stack) -> None:
    seen = []

    def spy(level: zarr.Array[Any], index: Any) -> npt.NDArray[Any]:
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
def test_a_killed_run_is_resumed(stack: Stack, undisturbed: dict[str, bytes], where: str, overwrite: bool) -> None:
    """Kill -9 while beginning, between two records, before publishing, while flushing and before registering."""
    if overwrite:
        stack.write_labels("a", np.ones(SHAPE, np.uint8))
    script = f"from tests.stack.segmenting import killed; killed({str(stack.path)!r}, {where!r}, {overwrite})"
    run = run_command("-c", script, check=False, cwd=CHECKOUT)
    assert run.returncode == -signal.SIGKILL
    assert stack.label_names() == (("a",) if overwrite else ())
    kept = {"begin": 0, "tile 0": 0, "tile 3": 3}.get(where, 6)
    published = overwrite and where == "register"  # the swap is the moment in which the new labels become visible
    assert (in_progress(stack.path, "a") is not None) == (where != "begin" and not published)
    again = segment(stack, overwrite=overwrite)
    assert again == list(range(0 if published else kept, 6))
    assert _files(stack.path / "labels" / "a") == undisturbed
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["a", "annotation", "zarr.json"]


def test_a_stopped_run_publishes_nothing_and_keeps_what_is_done(stack: Stack, undisturbed: dict[str, bytes]) -> None:
    _stop_after(stack, 2)
    assert stack.label_names() == ()
    (_partial(stack) / "0" / "c" / "0" / "0" / "0.1f.partial").write_text("a chunk whose writer was killed")
    assert segment(stack) == [2, 3, 4, 5]

    def fail() -> None:
        with stack.write_result("b", maps=BOTH, fingerprint=FINGERPRINT) as result:
            result.record(0, write_tile(result, 0))
            result.finish([0])
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert stack.label_names() == ("a",)
    assert segment(stack, "b") == [1, 2, 3, 4, 5]
    assert _files(stack.path / "labels" / "a") == undisturbed


def test_a_torn_line_is_forgotten_and_spoils_no_other(tmp_path: Path) -> None:
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


def test_a_forgotten_tile_stays_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.record(3, 5)
    journal.record(3, None)
    assert journal.done == Journal(tmp_path / "journal.jsonl").done == {}


def test_another_fingerprint_is_refused_and_every_difference_named(stack: Stack) -> None:
    _stop_after(stack, 2)
    other = {"weights": "ab" * 31 + "cd", "settings": {"tile": [512, 71], "amp": True, "threads": 2}}
    with pytest.raises(ConfigError) as error:
        segment(stack, fingerprint=other, maps=BOTH[:1])
    lines = [line.strip() for line in str(error.value).splitlines()]
    assert lines[0].startswith("label image 'a' was begun with other settings")
    assert [re.split(": ", line, maxsplit=1)[0] for line in lines[1:-1]] == [
        "weights",
        "settings.tile",
        "image.maps",
        "settings.amp",
    ]
    assert re.fullmatch(r'weights: "(ab)+a? \.\.\. .*ab" -> "(ab)+a? \.\.\. .*cd"', lines[1])
    assert lines[2] == "settings.tile: [1024, 71] -> [512, 71]"
    assert lines[3] == 'image.maps: ["confidence", "probability"] -> ["confidence"]'
    assert lines[4] == "settings.amp: (absent) -> true"
    assert "the same settings" in lines[-1]
    assert "--overwrite" in lines[-1]
    assert "--labels NAME" in lines[-1]
    assert segment(stack) == [2, 3, 4, 5]


def test_equal_fingerprints_agree_whatever_their_order() -> None:
    check_fingerprint("a", {"x": {"y": 1, "z": {}}, "w": None}, {"w": None, "x": {"z": {}, "y": 1}})


def test_overwrite_resumes_the_same_and_begins_again_with_another(stack: Stack) -> None:
    segment(stack, fingerprint={"weights": "old"})
    with pytest.raises(TargetExistsError, match=r"'a' is already in .*--overwrite"):
        segment(stack)
    _stop_after(stack, 2, overwrite=True)
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == "old"
    assert segment(stack, overwrite=True) == [2, 3, 4, 5]
    assert json.loads((stack.path / "labels" / "a" / "binding.json").read_text())["weights"] == FINGERPRINT["weights"]
    _stop_after(stack, 2, overwrite=True)
    assert segment(stack, fingerprint={"weights": "new"}, overwrite=True) == [0, 1, 2, 3, 4, 5]
    assert stack.label_names() == ("a",)


@pytest.mark.parametrize("damage", ["binding.json", "zarr.json", "confidence/1/zarr.json"])
def test_a_damaged_partial_result_is_refused_unless_overwritten(stack: Stack, damage: str) -> None:
    _stop_after(stack, 2)
    (_partial(stack) / damage).write_text("{")
    with pytest.raises(StackError, match="--overwrite"):
        segment(stack)
    assert (in_progress(stack.path, "a") is None) == (damage == "binding.json")
    assert segment(stack, overwrite=True) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("maps", [BOTH, BOTH[:1], BOTH[1:], ()])
def test_a_result_that_an_earlier_version_began_is_resumed(stack: Stack, maps: tuple[Map, ...]) -> None:
    """It said of both maps whether they are stored."""
    with stack.write_result("a", maps=maps, fingerprint=FINGERPRINT) as result:
        result.record(0, write_tile(result, 0, maps))
    earlier = {each.name: each in maps for each in BOTH}
    metadata, fingerprint = (_partial(stack) / name for name in ("zarr.json", "binding.json"))
    edit_own(metadata, lambda own: own.update(maps=earlier), version=1)
    content = json.loads(fingerprint.read_text())
    content["image"]["maps"] = earlier
    fingerprint.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"image\.maps: "):
        segment(stack, maps=BOTH if len(maps) == 1 else BOTH[1:])
    assert segment(stack, maps=maps) == [1, 2, 3, 4, 5]
    for each in maps:
        np.testing.assert_array_equal(stack.read_map("a", each.name, 2), planes_of(2)[each.name])


def test_in_progress_gives_the_fingerprint(stack: Stack) -> None:
    assert in_progress(stack.path, "a") is None
    _stop_after(stack, 1)
    fingerprint = in_progress(stack.path, "a")
    assert fingerprint is not None
    assert {key: fingerprint[key] for key in FINGERPRINT} == FINGERPRINT
    assert fingerprint["image"]["identity"] == stack.identity
    segment(stack)
    assert in_progress(stack.path, "a") is None
    with pytest.raises(ConfigError, match="must contain only letters"):
        in_progress(stack.path, "../a")


def test_a_second_process_is_refused(stack: Stack) -> None:
    with stack.write_result("a", maps=BOTH, fingerprint=FINGERPRINT) as result:
        result.record(0, write_tile(result, 0))
        script = f"from tests.stack.segmenting import killed; killed({str(stack.path)!r}, 'none', False)"
        run = run_command("-c", script, check=False, cwd=CHECKOUT)
        assert "BusyError: label image 'a'" in run.stderr
        with pytest.raises(BusyError, match="is being written by another process"):
            segment(stack)
    assert segment(stack) == [1, 2, 3, 4, 5]


def test_a_replaced_stack_is_refused(stack: Stack, tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path / "other")
    folder.detector("ICE", pixels(*SHAPE, seed=8))

    def replace_while_writing() -> None:
        with stack.write_result("a", maps=BOTH, fingerprint=FINGERPRINT) as result:
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
def test_verify_forgets_tiles_whose_chunks_are_spoilt(
    stack: Stack, undisturbed: dict[str, bytes], kind: str, damage: str
) -> None:
    _stop_after(stack, 6)
    level = _partial(stack) / kind / "0"
    chunk = level / ("c/1/1/1/0" if kind == "probability" else "c/1/1/0")  # of tile 3
    if damage == "unreadable":
        chunk.write_bytes(bytes(chunk.stat().st_size))
    elif damage == "missing":
        chunk.unlink()
    else:
        array: Any = zarr.open_array(level, mode="r+")
        array[..., 1, 1100, 70] = array[..., 1, 1100, 70] ^ 3
    with stack.write_result("a", maps=BOTH, fingerprint=FINGERPRINT) as result:
        assert result.verify(TILES.__getitem__) == (3,)
        assert sorted(result.done) == [0, 1, 2, 4, 5]
        for rows in TILES[3].y.split(30):  # in pieces, so that chunks are read before they are written
            rect = Rect(rows, TILES[3].x)
            result.arrays.write(1, rect, planes_of(1, rect))
        assert result.verify(TILES.__getitem__) == ()
        checksum = Checksum()
        checksum.add(1, planes_of(1, TILES[3].rect))
        result.record(3, checksum.value)
        assert result.verify(TILES.__getitem__) == ()
        result.finish(range(3))
    assert _files(stack.path / "labels" / "a") == undisturbed


def test_a_disk_that_cannot_write_is_named(stack: Stack) -> None:
    with stack.write_result("a", maps=BOTH, fingerprint=FINGERPRINT) as result:
        (result.folder / "confidence" / "0" / "c").write_text("in the way")
        with pytest.raises(StackError, match=r"confidence/0\[.* cannot be written \(.*; free some space"):
            write_tile(result, 0)


def test_a_spoilt_chunk_in_the_way_is_named_and_gone_in_the_next_run(stack: Stack) -> None:
    _stop_after(stack, 2)
    chunk = _partial(stack) / "0" / "c" / "2" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"")  # as a power cut leaves it, of a tile that was in flight
    rect = Rect(Span(0, 9), Span(0, 71))
    part = planes_of(2, rect)
    for attempt in range(2):
        with stack.write_result("a", maps=BOTH, fingerprint=FINGERPRINT) as result:
            if attempt == 0:
                with pytest.raises(StackError, match=r"\.a\.partial/0\[2, 0:9, 0:71\] cannot be written"):
                    result.arrays.write(2, rect, part)
            else:
                result.arrays.write(2, rect, part)
                np.testing.assert_array_equal(result.arrays.read(2, rect)["labels"], part["labels"])


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 1100), max_size=4, unique=True).map(sorted),
    zs=st.permutations(range(3)),
    columns=st.tuples(st.integers(0, 70), st.integers(1, 70)).map(lambda ends: Span(ends[0], min(71, sum(ends)))),
)
def test_the_checksum_taken_while_writing_is_that_of_what_is_stored(
    written: ResultArrays, cuts: list[int], zs: list[int], columns: Span
) -> None:
    """In whichever order the slices come and the rows are cut, and whichever plane comes first."""
    checksum = Checksum()
    edges = [0, *cuts, 1101]
    for start, stop in itertools.pairwise(edges):
        for z in zs:
            planes = planes_of(z, Rect(Span(start, stop), columns))
            checksum.add(z, dict(reversed(planes.items())))
    region = Region(Span(0, 3), Span(0, 1101), columns)
    assert written.checksum(region) == checksum.value
    assert written.checksum(Region(Span(1, 3), region.y, columns)) != checksum.value
    assert pickle.loads(pickle.dumps(written)).checksum(region) == checksum.value


@pytest.fixture(scope="module")
def written(original: Stack, tmp_path_factory: pytest.TempPathFactory) -> ResultArrays:
    path = tmp_path_factory.mktemp("written") / "sample.ome.zarr"
    shutil.copytree(original.path, path)
    segment(Stack.open(path))
    return ResultArrays.open(path / "labels" / "a")


_RECT = Rect(Span(0, 4), Span(0, 5))
_FITS = planes_of(0, _RECT)


def _without(name: str) -> dict[str, npt.NDArray[np.uint8]]:
    return {kept: plane for kept, plane in _FITS.items() if kept != name}


@pytest.mark.parametrize(
    ("z", "rect", "planes", "message"),
    [
        (3, _RECT, _FITS, "slice 3, .* do not lie in the stack; give a part of its 3 slices of 1101 x 71"),
        (0, Rect(Span(1098, 1102), Span(0, 5)), _FITS, "slice 0, rows 1098:1102 and columns 0:5 do not lie"),
        (0, Rect(Span(0, 4), Span(-1, 4)), _FITS, "columns -1:4 do not lie"),
        (0, _RECT, _FITS | {"labels": _FITS["probability"]}, r"labels is uint8 of shape \(2, 4, 5\) and must be"),
        (0, _RECT, _FITS | {"labels": _FITS["labels"] + 2}, "hold 4 and the phases end at 2"),
        (0, _RECT, _FITS | {"labels": _FITS["labels"].astype(int)}, "labels is int64 of shape"),
        (0, _RECT, _without("labels"), "a has labels; give it"),
        (0, _RECT, _without("confidence"), "a has confidence; give it"),
        (0, _RECT, _FITS | {"margin": _FITS["confidence"]}, "a has no margin; leave it out"),
        (0, _RECT, _FITS | {"confidence": _FITS["confidence"][1:]}, r"uint8 of shape \(4, 5\)"),
        (0, _RECT, _FITS | {"probability": _FITS["probability"][1:]}, r"uint8 of shape \(2, 4, 5\)"),
    ],
)
def test_refuses_planes_that_do_not_fit(
    written: ResultArrays, z: int, rect: Rect, planes: dict[str, npt.NDArray[np.uint8]], message: str
) -> None:
    with pytest.raises(StackError, match=message):
        written.write(z, rect, planes)


@pytest.mark.parametrize("name", ["../other", "/tmp", "a/b", ""])
def test_a_result_leads_to_no_other_folder(stack: Stack, name: str) -> None:
    """Metadata may come from elsewhere, and nothing outside the result is opened for writing."""
    segment(stack)
    edit_own(stack.path / "labels" / "a" / "zarr.json", lambda own: own.update(maps=[name]), renewed=True)
    with pytest.raises(StackError, match="is not a map"):
        ResultArrays.open(stack.path / "labels" / "a")


def test_a_stack_without_phases_takes_any_label_and_no_probability(stack: Stack) -> None:
    with pytest.raises(ConfigError, match="no phases whose probability"), _without_phases(stack, BOTH):
        pytest.fail("accepted")
    with _without_phases(stack, ()) as result:
        result.arrays.write(0, Rect.whole((2, 2)), {"labels": np.full((2, 2), 255, np.uint8)})


def _without_phases(stack: Stack, maps: tuple[Map, ...]) -> AbstractContextManager[Result]:
    return stack.write_result("a", maps=maps, fingerprint=FINGERPRINT, phases=[])


def test_other_phases_are_another_fingerprint(stack: Stack) -> None:
    _stop_after(stack, 1)
    phases = phases_of(["pore", "void"])
    with pytest.raises(ConfigError, match=r'image\.phases\.2: "hydrate" -> "void"'):
        segment(stack, phases=phases)


def test_a_damaged_chunk_of_the_image_is_named(stack: Stack) -> None:
    chunk = stack.path / "0" / "c" / "0" / "1" / "0" / "0"
    chunk.write_bytes(bytes(chunk.stat().st_size))
    for read in (lambda: stack.read_slab(1, ["ICE"], 1), lambda: stack.read_slab(0, ["ICE"], 3)):
        with pytest.raises(
            StackError, match=r"sample\.ome\.zarr/0\[0, 1, 0:1101, 0:71\] cannot be read \(.*0/1/0/0: its "
        ):
            read()
    assert stack.read_slab(1, ["ICE"], 1, Rect(Span(1024, 1101), Span(0, 71))).shape == (1, 77, 71)
