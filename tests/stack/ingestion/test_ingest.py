import errno
import json
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monai_app import files
from monai_app.errors import AnnotationError, AppError, BusyError, ConfigError, StackError, TargetExistsError
from monai_app.stack import DetectorDescription, Phase, SampleDescription, Stack, Voxel, ingest
from monai_app.stack.ingestion.description import FINDINGS
from monai_app.stack.ngff import layout
from tests.conftest import run_command
from tests.stack.samples import SampleFolder, label_plane, pixels, write_folder


def _tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _content(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_whole_round_trip(sample: SampleFolder) -> None:
    seen = []
    stack = ingest(sample.write(), sample.target, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(z, 12) for z in range(13)]
    assert stack.path == sample.target
    assert (stack.name, stack.detectors, stack.shape, stack.dtype) == (
        "sample",
        ("ICE", "TLD"),
        (12, 20, 33),
        np.dtype(np.uint8),
    )
    assert stack.voxel_nm == (20.0, 10.0, 5.0)
    assert stack.phases == (
        Phase(value=1, name="pore", rgb=(32, 48, 79)),
        Phase(value=2, name="hydrate", rgb=(192, 176, 144)),
    )
    assert (stack.train_slices, stack.test_slices) == ((2, 10), (5,))
    assert stack.slice_names == tuple(f"slice_{z}" for z in range(12))
    for z in range(12):
        expected = np.stack([sample.images["ICE"][z], sample.images["TLD"][z]])
        np.testing.assert_array_equal(stack.read_slab(z, ("ICE", "TLD"), 1), expected)
    for z in (2, 5, 10):
        plane = label_plane(20, 33, z)
        np.testing.assert_array_equal(stack.read_annotation(z), np.select([plane == 0, plane == 7], [1, 2], 0))
    assert [path.name for path in sample.root.glob(".*")] == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 21), st.integers(1, 21)),
    dtype=st.sampled_from(["uint8", "uint16"]),
    detectors=st.integers(1, 3),
    multi_page=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_small_stack_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    dtype: str,
    detectors: int,
    multi_page: bool,
    seed: int,
) -> None:
    if multi_page:  # tifffile takes pages of one column for samples when it writes them
        shape = (*shape[:2], max(2, shape[2]))
    sample = SampleFolder(tmp_path_factory.mktemp("stack"))
    for n in range(detectors):
        images = pixels(*shape, dtype=dtype, seed=seed + n)
        sample.detector(f"D{n}", images)
        if multi_page:
            tifffile.imwrite(sample.root / f"D{n}.tif", images, photometric="minisblack")
            sample.content["detectors"][f"D{n}"] = f"D{n}.tif"
    labels = label_plane(*shape[1:], seed)
    labels[0, 0] = 7  # an annotation labels something
    sample.annotate({0: labels}, train=[0], test=[])
    stack = ingest(sample.write(), sample.target)
    assert (stack.shape, stack.dtype, len(stack.detectors)) == (shape, np.dtype(dtype), detectors)
    for z in range(shape[0]):
        expected = [sample.images[name][z] for name in stack.detectors]
        np.testing.assert_array_equal(stack.read_slab(z, stack.detectors, 1), expected)
    np.testing.assert_array_equal(stack.read_annotation(0), np.select([labels == 0, labels == 7], [1, 2], 0))


def test_a_disk_that_fills_up_leaves_nothing(sample: SampleFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    write, seen = layout.write_slice, []

    def full(levels: Sequence[layout.Level], index: layout.Index, *rest: Any) -> Any:
        if index == (1, 4):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(levels, index, *rest)

    monkeypatch.setattr(layout, "write_slice", full)
    with pytest.raises(OSError, match="No space left"):
        ingest(sample.write(), sample.target, progress=lambda done, total: seen.append(done))
    assert seen == [0, 1, 2, 3, 4]  # what was read ahead counts when it is written
    assert not sample.target.exists()
    assert [path.name for path in sample.root.glob(".*")] == []


def test_nothing_is_transposed(tmp_path: Path) -> None:
    """One bright pixel at z 1, row 3, column 9 of a stack whose axes all differ in length."""
    sample = SampleFolder(tmp_path)
    images, labels = np.zeros((4, 7, 11), np.uint8), np.full((7, 11), 255, np.uint8)
    images[1, 3, 9], labels[3, 9] = 200, 7
    sample.detector("ICE", images)
    sample.annotate({1: labels}, train=[1], test=[])
    sample.content["accept"] = ["constant_slices"]
    stack = ingest(sample.write(), sample.target)
    volume = np.stack([stack.read_slab(z, ["ICE"], 1)[0] for z in range(4)])
    assert np.argwhere(volume).tolist() == [[1, 3, 9]]
    assert np.argwhere(stack.read_annotation(1)).tolist() == [[3, 9]]


def test_a_description_object_and_a_stack_without_annotations(tmp_path: Path) -> None:
    images = pixels(3, 8, 9, "uint16")
    write_folder(tmp_path / "images", images)
    voxel = Voxel(z=1.0, y=2.0, x=3.0)
    description = SampleDescription(
        name="raw", voxel_nm=voxel, detectors={"SE": DetectorDescription(source=tmp_path / "images")}
    )
    stack = ingest(description, tmp_path / "new" / "folder" / "raw.ome.zarr")
    assert (stack.phases, stack.train_slices, stack.test_slices) == ((), (), ())
    np.testing.assert_array_equal(stack.read_slab(1, ["SE"], 3), images)
    with pytest.raises(AnnotationError, match=r"slice 0 of raw\.ome\.zarr is not annotated"):
        stack.read_annotation(0)


def test_only_annotated_slices_occupy_chunks(sample: SampleFolder) -> None:
    stack = ingest(sample.write(), sample.target)
    chunks = list((stack.path / "labels/annotation/0/c").iterdir())
    assert sorted(int(path.name) for path in chunks) == [2, 5, 10]


def _identity(sample: SampleFolder) -> str:
    return ingest(sample.write(), sample.target, overwrite=True).identity


def test_identity_follows_pixels_and_annotations(sample: SampleFolder) -> None:
    first = _identity(sample)
    assert len(bytes.fromhex(first)) == 32
    assert _identity(sample) == first
    sample.content["name"] = "renamed"
    assert _identity(sample) == first

    image = sample.root / "TLD" / "slice_7.tif"
    plane = tifffile.imread(image)
    tifffile.imwrite(image, plane ^ np.eye(20, 33, dtype=np.uint8))
    second = _identity(sample)
    assert second != first
    tifffile.imwrite(image, plane)
    assert _identity(sample) == first

    label = sample.root / "annotations" / "slice_2.tif"
    plane = tifffile.imread(label)
    plane[0, 0] = 0 if plane[0, 0] else 7
    tifffile.imwrite(label, plane)
    assert _identity(sample) not in (first, second)


def test_identity_does_not_depend_on_how_files_are_written(tmp_path: Path) -> None:
    images = pixels(3, 8, 9, "uint16")
    write_folder(tmp_path / "little", images)
    write_folder(tmp_path / "big", images, byteorder=">", compression="zlib")
    stacks = []
    for name in ("little", "big"):
        sample = SampleDescription(
            name="s", voxel_nm=Voxel(z=1, y=1, x=1), detectors={"SE": DetectorDescription(source=tmp_path / name)}
        )
        stacks.append(ingest(sample, tmp_path / f"{name}.ome.zarr"))
    assert stacks[0].identity == stacks[1].identity


def _remove_slice(sample: SampleFolder) -> None:
    (sample.root / "TLD" / "slice_4.tif").unlink()


def _add_slice(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "TLD" / "slice_12.tif", pixels(1, 20, 33)[0])


def _other_shape(sample: SampleFolder) -> None:
    sample.detector("TLD", pixels(12, 33, 20))


def _one_other_shape(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "TLD" / "slice_4.tif", pixels(1, 33, 20)[0])


def _mixed_depth(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "TLD" / "slice_4.tif", pixels(1, 20, 33, "uint16")[0])


def _rgb(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "TLD" / "slice_4.tif", np.zeros((20, 33, 3), np.uint8), photometric="rgb")


def _unreadable(sample: SampleFolder) -> None:
    (sample.root / "TLD" / "slice_4.tif").write_text("no image")


def _truncated(sample: SampleFolder) -> None:
    path = sample.root / "TLD" / "slice_4.tif"
    path.write_bytes(path.read_bytes()[:-50])


def _strange_label(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_5.tif", np.full((20, 33), 3, np.uint8))


def _damaged_label(sample: SampleFolder) -> None:
    path = sample.root / "annotations" / "slice_5.tif"
    tifffile.imwrite(path, label_plane(20, 33), compression="zlib")
    content = bytearray(path.read_bytes())
    content[-60:] = bytes(60)
    path.write_bytes(content)


def _label_without_slice(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_77.tif", label_plane(20, 33))


def _test_slice_trains(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [2, 5, 10]


REFUSED = {
    "missing slice": (_remove_slice, StackError, r"12 and 11 slices.*slice_4\.tif"),
    "extra slice": (_add_slice, StackError, r"12 and 13 slices.*slice_12\.tif"),
    "other shape": (_other_shape, StackError, "20 x 33 pixels.* and 33 x 20 pixels"),
    "one other shape": (_one_other_shape, StackError, r"slice_4\.tif has 33 x 20 pixels"),
    "mixed bit depth": (_mixed_depth, StackError, r"slice_4\.tif is 16-bit"),
    "rgb": (_rgb, StackError, r"slice_4\.tif: it is a colour image"),
    "unreadable": (_unreadable, StackError, r"slice_4\.tif cannot be read"),
    "truncated": (_truncated, StackError, r"slice_4\.tif: .*truncated"),
    "label value": (_strange_label, AnnotationError, r"slice_5\.tif: value 3 "),
    "damaged label": (_damaged_label, StackError, r"slice_5\.tif cannot be read"),
    "label without slice": (_label_without_slice, AnnotationError, r"slice_77\.tif .* does not exist"),
    "test slice trains": (_test_slice_trains, AnnotationError, "slice 5 is listed in both"),
    "description": (lambda sample: sample.content.pop("name"), ConfigError, "'name' is missing"),
}


@pytest.mark.parametrize(("bend", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_before_anything_is_written(
    sample: SampleFolder,
    bend: Callable[[SampleFolder], object],
    kind: type[AppError],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("something was written")

    monkeypatch.setattr("monai_app.stack.ingestion.ingest._write", fail)
    bend(sample)
    description = sample.write()
    before = _tree(sample.root)
    with pytest.raises(kind, match=message):
        ingest(description, sample.target)
    assert _tree(sample.root) == before


@pytest.mark.parametrize("name", ["sample.zarr", "sample", ".ome.zarr", "sample.ome.zarr.d"])
def test_refuses_other_target_names(sample: SampleFolder, name: str) -> None:
    with pytest.raises(ConfigError, match=r"does not end in \.ome\.zarr; name it, for example"):
        ingest(sample.write(), sample.root / name)


def test_refuses_a_target_below_a_file(sample: SampleFolder) -> None:
    (sample.root / "file").touch()
    with pytest.raises(ConfigError, match=r"folder .*file cannot be created"):
        ingest(sample.write(), sample.root / "file" / "a.ome.zarr")


def test_refuses_an_existing_target_and_replaces_it_on_demand(sample: SampleFolder) -> None:
    first = ingest(sample.write(), sample.target)
    before = _content(sample.target)
    sample.detector("ICE", pixels(12, 20, 33, seed=9))
    files.lock_path(sample.target).touch()  # the first was killed when it had not removed this
    with pytest.raises(TargetExistsError, match=r"exists already.*--overwrite"):
        ingest(sample.write(), sample.target)
    assert not files.lock_path(sample.target).exists()
    assert _content(sample.target) == before
    second = ingest(sample.write(), sample.target, overwrite=True)
    assert second.identity != first.identity
    np.testing.assert_array_equal(second.read_slab(3, ["ICE"], 1)[0], sample.images["ICE"][3])
    assert [path.name for path in sample.root.glob(".*")] == []


def test_a_link_to_a_store_stays_a_link(sample: SampleFolder) -> None:
    (sample.root / "disk").mkdir()
    sample.target.symlink_to(sample.root / "disk" / "real.ome.zarr")
    for _ in range(2):
        stack = ingest(sample.write(), sample.target, overwrite=True)
    assert stack.path == sample.root / "disk" / "real.ome.zarr"
    assert sample.target.is_symlink()


@pytest.mark.parametrize("is_folder", [True, False])
def test_never_replaces_what_is_no_stack_store(sample: SampleFolder, is_folder: bool) -> None:
    if is_folder:
        sample.target.mkdir()
        (sample.target / "thesis.txt").write_text("the only copy")
    else:
        sample.target.write_text("the only copy")
    with pytest.raises(TargetExistsError, match="is not a stack store of this version, so it is not replaced"):
        ingest(sample.write(), sample.target, overwrite=True)
    assert (sample.target / "thesis.txt").exists() or sample.target.read_text() == "the only copy"


def test_damage_found_while_streaming_names_the_file_and_leaves_nothing(sample: SampleFolder) -> None:
    path = sample.root / "TLD" / "slice_8.tif"
    tifffile.imwrite(path, sample.images["TLD"][8], compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start + 20 : start + 60] = b"\xff" * 40
    path.write_bytes(content)
    description = sample.write()
    before = _tree(sample.root)
    with pytest.raises(StackError, match=r"TLD/slice_8\.tif cannot be read"):
        ingest(description, sample.target)
    assert _tree(sample.root) == before


def test_failure_while_replacing_keeps_the_old_store(sample: SampleFolder) -> None:
    ingest(sample.write(), sample.target)
    before = _content(sample.target)

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(sample.write(), sample.target, overwrite=True, progress=stop)
    assert _content(sample.target) == before
    assert [path.name for path in sample.root.glob(".*")] == []


def test_a_second_ingest_to_the_target_is_refused(sample: SampleFolder) -> None:
    description = sample.write()

    def intrude(done: int, total: int) -> None:
        if done == 1:
            with pytest.raises(BusyError, match="another process is ingesting to"):
                ingest(description, sample.target)

    assert ingest(description, sample.target, progress=intrude).shape == (12, 20, 33)


_KILLED = """
import os, signal, sys
from monai_app import files; from monai_app.stack import ingest
description, target, overwrite, where = sys.argv[1:]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def progress(done, total):
    if str(done) == where:
        die()
    if done == total and where == "flush":
        files.flush_tree = die
    if done == total and where == "swapped":
        files.remove_tree = die
ingest(description, target, overwrite=overwrite == "yes", progress=progress)
"""


@pytest.mark.parametrize(
    ("where", "overwrite"),
    [("0", "no"), ("5", "no"), ("12", "no"), ("flush", "no"), ("5", "yes"), ("flush", "yes"), ("swapped", "yes")],
)
def test_kill_leaves_nothing_that_is_taken_for_whole(sample: SampleFolder, where: str, overwrite: str) -> None:
    """Kill -9 before the first slice, between slices, after the last one, while flushing and after replacing."""
    if overwrite == "yes":
        ingest(sample.write(), sample.target)
        old = _content(sample.target)
        sample.detector("ICE", pixels(12, 20, 33, seed=9))
    arguments = [sample.write(), sample.target, overwrite, where]
    process = run_command("-c", _KILLED, *arguments, check=False)
    assert process.returncode == -signal.SIGKILL
    assert (sample.root / f".{sample.target.name}.partial").exists()
    if where == "swapped":
        np.testing.assert_array_equal(Stack.open(sample.target).read_slab(3, ["ICE"], 1)[0], sample.images["ICE"][3])
    elif overwrite == "yes":
        assert _content(sample.target) == old
    else:
        assert not sample.target.exists()
        with pytest.raises(StackError, match="does not exist"):
            Stack.open(sample.target)
    stack = ingest(sample.write(), sample.target, overwrite=overwrite == "yes")
    np.testing.assert_array_equal(stack.read_slab(3, ["ICE"], 1)[0], sample.images["ICE"][3])
    assert [path.name for path in sample.root.glob(".*")] == []


def test_half_a_store_is_never_opened(sample: SampleFolder) -> None:
    """The metadata that make a store are written last."""
    partial = files.partial_path(sample.target)

    def look(done: int, total: int) -> None:
        with pytest.raises(StackError, match="not a stack store"):
            Stack.open(partial)

    ingest(sample.write(), sample.target, progress=look)


_MEASURE = """
import sys
from pathlib import Path
from monai_app.stack import SampleDescription, Voxel, ingest
root = Path(sys.argv[1])
detectors = {"ICE": root / "ICE", "TLD": root / "TLD"}
sample = SampleDescription(
    name="m", voxel_nm=Voxel(z=9, y=9, x=9), detectors=detectors, accept=("repeated_slices",)
)
ingest(sample, root / "m.ome.zarr")
status = Path("/proc/self/status").read_text().splitlines()  # getrusage would also tell of the process that started it
print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_number_of_slices(tmp_path: Path) -> None:
    """60 slices of two detectors may need 1.3 times the memory of 15; one file serves for all slices of a detector."""
    peaks = []
    for slices in (15, 60):
        root = tmp_path / str(slices)
        for seed, detector in enumerate(("ICE", "TLD")):
            (root / detector).mkdir(parents=True)
            tifffile.imwrite(root / f"{detector}.tif", pixels(1, 1024, 1024, seed=seed)[0])
            for z in range(slices):
                (root / detector / f"slice_{z}.tif").hardlink_to(root / f"{detector}.tif")
        peaks.append(int(run_command("-c", _MEASURE, root, fresh=True).stdout))
        shutil.rmtree(root)
    assert peaks[1] <= 1.3 * peaks[0]


def test_real_stack_where_0_is_a_class(real_data: Path, tmp_path: Path) -> None:
    """ISBI 2012: multi-page files, 0 cell interior, 1 membrane."""
    folder = real_data / "isbi2012"
    content = {
        "name": "isbi",
        "voxel_nm": {"z": 50, "y": 4, "x": 4},
        "detectors": {"TEM": str(folder / "train_image.tif")},
        "phases": [
            {"value": 1, "name": "cell interior", "colour": "#eeeeee"},
            {"value": 2, "name": "membrane", "colour": "#aa0000"},
        ],
        "annotations": {
            "source": str(folder / "train_label.tif"),
            "mapping": {0: "cell interior", 1: "membrane"},
            "train": [0, 15],
            "test": [29],
        },
    }
    (tmp_path / "isbi.yaml").write_text(yaml.safe_dump(content))
    stack = ingest(tmp_path / "isbi.yaml", tmp_path / "isbi.ome.zarr")
    images = tifffile.imread(folder / "train_image.tif")
    labels = tifffile.imread(folder / "train_label.tif")
    for z in (0, 15, 29):
        np.testing.assert_array_equal(stack.read_slab(z, ["TEM"], 1)[0], images[z])
        np.testing.assert_array_equal(stack.read_annotation(z), labels[z] + 1)


def test_real_microscope_folder(real_data: Path, tmp_path: Path) -> None:
    """FEI files of one session, as the microscope names them; a file of another size is found."""
    chosen = ["FEI-Helios-navcam.tif", "FEI-Helios-navcam-with-no-IRBeam.tif"]
    source = real_data / "microscope_tiffs"
    (tmp_path / "ICE").mkdir()
    for name in chosen:
        (tmp_path / "ICE" / name).symlink_to(source / name)
    description = SampleDescription(
        name="fei",
        voxel_nm=Voxel(z=10, y=10, x=10),
        detectors={"ICE": DetectorDescription(source=tmp_path / "ICE")},
        accept=FINDINGS,  # who published these files made their pixels one grey
    )
    stack = ingest(description, tmp_path / "fei.ome.zarr")
    assert stack.shape == (2, 512, 768)  # without the data bar of 39 rows
    for z, name in enumerate(stack.slice_names):
        np.testing.assert_array_equal(stack.read_slab(z, ["ICE"], 1)[0], tifffile.imread(source / f"{name}.tif")[:512])
    (tmp_path / "ICE" / "other.tif").symlink_to(source / "FEI-Helios-Ebeam-8bits.tif")
    with pytest.raises(AppError, match=r"other\.tif has 442 x 512 pixels"):
        ingest(description, tmp_path / "other.ome.zarr")


def test_own_metadata_stand_under_one_attribute(sample: SampleFolder) -> None:
    stack = ingest(sample.write(), sample.target)
    attributes = json.loads((stack.path / "zarr.json").read_text())["attributes"]
    assert sorted(attributes) == ["monai_app", "ome"]
    assert attributes["monai_app"]["format"] == 2
    assert attributes["monai_app"]["software"].startswith("monai-app ")
