"""Saved labels, annotations and maps, read back by the libraries of other programs."""

import logging
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import nibabel
import nrrd
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
import tifffile
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.domain.region import Rect, Region
from monai_app.errors import AppError, ConfigError, StackError, TargetExistsError
from monai_app.io import Request, open_planes
from monai_app.stack import Phase, Stack, ingest
from monai_app.stack.label_images.arrays import LABELS, Map
from monai_app.stack.saving import save
from tests.conftest import run_command
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (5, 40, 30)
VOXEL_NM = (20.0, 10.0, 5.0)
PHASES = (Phase(value=1, name="pore", rgb=(255, 0, 51)), Phase(value=2, name="C-S-H: dünn", rgb=(0, 102, 204)))
PART = Region.parse("1:4", "10:", ":20", SHAPE)

Content = npt.NDArray[np.uint8]
Read = Callable[[Path], tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]]
"""Gives pixels (z, y, x), and voxel size and place of the first voxel z, y, x in nm."""


def values(kind: str) -> Content:
    rng = np.random.default_rng({"labels": 1, "confidence": 2, "probability": 3}[kind])
    shape = (2, *SHAPE) if kind == "probability" else SHAPE
    return rng.integers(0, 3 if kind == "labels" else 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    sample = SampleFolder(tmp_path_factory.mktemp("saving"))
    for number, detector in enumerate(("ICE", "TLD")):
        sample.detector(detector, pixels(*SHAPE, seed=number))
    sample.annotate({z: label_plane(*SHAPE[1:], seed=z) for z in (1, 3)}, train=[1], test=[3])
    made = ingest(sample.write(), sample.target)
    maps = (Map("confidence", per_phase=False), Map("probability", per_phase=True))
    with made.write_result("net", fingerprint={"a": 1}, maps=maps, phases=PHASES) as result:
        for z in range(SHAPE[0]):
            planes = {LABELS: values("labels")[z], "confidence": values("confidence")[z]}
            result.arrays.write(z, Rect.whole(SHAPE), {**planes, "probability": values("probability")[:, z]})
        result.finish(range(SHAPE[0]))
    return made


def read_itk(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    image = sitk.ReadImage(path)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    size, place = (tuple(1000 * length for length in each[::-1]) for each in (image.GetSpacing(), image.GetOrigin()))
    return sitk.GetArrayFromImage(image), size, place


def read_nibabel(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    image = nibabel.Nifti1Image.from_filename(path)
    assert image.header["qform_code"] > 0
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-7)
    affine = np.diag((-1, -1, 1, 1)) @ image.affine * 1000
    assert np.count_nonzero(affine[:3, :3]) == 3
    return np.asanyarray(image.dataobj).T, tuple(affine.diagonal()[2::-1]), tuple(affine[2::-1, 3])


def read_nrrd(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    data, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    assert header["space units"] == ["um"] * 3
    directions = np.diag(header["space directions"])
    return data.T, tuple(directions[::-1] * 1000), tuple(header["space origin"][::-1] * 1000)


def read_h5(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    with h5py.File(path) as file:
        data = file["data"]
        assert [axis.label for axis in data.dims] == ["z", "y", "x"]
        assert data.chunks[0] == 1
        return data[:], tuple(data.attrs["element_size_um"] * 1000), tuple(data.attrs["origin_um"] * 1000)


def read_mrc(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        size, origin, data = file.voxel_size, file.header.origin, file.data
        assert file.is_volume()
        stored = [float(file.header[name]) for name in ("dmin", "dmax", "dmean", "rms")]
        np.testing.assert_allclose(stored, [data.min(), data.max(), data.mean(), data.std()], rtol=1e-5)
        return data, *(tuple(float(each[axis]) / 10 for axis in "zyx") for each in (size, origin))


def read_ome(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...], tuple[float, ...]]:
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].axes == "ZYX"
        root = ElementTree.fromstring(tif.ome_metadata or "")
        data = tif.asarray()
    (found,) = root.findall(".//{*}Pixels")
    first = root.findall(".//{*}Plane")[0]
    assert {found.get(f"PhysicalSize{axis}Unit") for axis in "ZYX"} == {"nm"}
    assert {first.get(f"Position{axis}Unit") for axis in "ZYX"} == {"nm"}
    sizes = tuple(float(found.get(f"PhysicalSize{axis}", "nan")) for axis in "ZYX")
    return data, sizes, tuple(float(first.get(f"Position{axis}", "nan")) for axis in "ZYX")


READERS: list[tuple[str, Read]] = [
    ("nii", read_nibabel),
    ("nii.gz", read_nibabel),
    ("nii.gz", read_itk),
    ("nrrd", read_nrrd),
    ("nrrd", read_itk),
    ("seg.nrrd", read_nrrd),
    ("seg.nrrd", read_itk),
    ("mha", read_itk),
    ("h5", read_h5),
    ("mrc", read_mrc),
    ("ome.tif", read_ome),
]


@pytest.mark.parametrize(("suffix", "read"), READERS)
def test_other_programs_see_labels_where_they_are(stack: Stack, tmp_path: Path, suffix: str, read: Read) -> None:
    target = tmp_path / f"labels.{suffix}"
    for region, first in ((Region.whole(SHAPE), (0, 0, 0)), (PART, (20, 100, 0))):
        assert save(stack, target, "net", region=region, overwrite=True) == target
        found, size, place = read(target)
        np.testing.assert_array_equal(found, values("labels")[region.index])
        np.testing.assert_allclose(size, VOXEL_NM, rtol=1e-6)
        np.testing.assert_allclose(place, first, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("suffix", ["nii.gz", "nrrd", "seg.nrrd", "mha", "h5", "mrc", "tif", "ome.tif"])
def test_what_was_saved_can_be_ingested_as_annotations(stack: Stack, tmp_path: Path, suffix: str) -> None:
    target = save(stack, tmp_path / f"labels.{suffix}", "net")
    source = open_planes(target, Request(labels=True))
    np.testing.assert_array_equal(list(source.planes()), values("labels"))
    recorded = source.files[0].recorded
    assert recorded.voxel_nm == pytest.approx(VOXEL_NM) or recorded.size == pytest.approx([0.02, 0.01, 0.005])


def test_imagej_sees_size_names_and_colours(stack: Stack, tmp_path: Path) -> None:
    """A TIFF says no place, but all else."""
    save(stack, tmp_path / "labels.tif", "net", region=PART)
    with tifffile.TiffFile(tmp_path / "labels.tif") as tif:
        content, page = tif.imagej_metadata or {}, tif.pages.first
        names = [str(each.tags["PageName"].value) for each in tif.pages if isinstance(each, tifffile.TiffPage)]
        assert page.colormap is not None
        assert (content["slices"], content["unit"], content["spacing"]) == (3, "micron", 0.02)
        assert [tag / count for tag, count in (page.tags[name].value for name in (282, 283))] == pytest.approx(
            [200, 100]
        )
        assert names == ["slice_1", "slice_2", "slice_3"]
        assert content["Info"] == "phase 1: pore, colour #ff0033\nphase 2: C-S-H: dünn, colour #0066cc"
        np.testing.assert_array_equal(page.colormap[:, :4] >> 8, [[0, 255, 0, 0], [0, 0, 102, 0], [0, 51, 204, 0]])
        np.testing.assert_array_equal(tif.asarray(), values("labels")[PART.index])


def test_ome_tiff_has_the_colours(stack: Stack, tmp_path: Path) -> None:
    save(stack, tmp_path / "labels.ome.tif", "net")
    with tifffile.TiffFile(tmp_path / "labels.ome.tif") as tif:
        assert tif.pages.first.colormap is not None
        np.testing.assert_array_equal(tif.pages.first.colormap[:, 2] >> 8, PHASES[1].rgb)


def test_slicer_sees_names_colours_and_values(stack: Stack, tmp_path: Path) -> None:
    save(stack, tmp_path / "labels.seg.nrrd", "net")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(tmp_path / "labels.seg.nrrd"))
    reader.ReadImageInformation()
    found = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    for number, phase in enumerate(PHASES):
        entries = {key: found[f"Segment{number}_{key}"] for key in ("Name", "LabelValue", "Layer", "Extent")}
        assert entries == {"Name": phase.name, "LabelValue": str(phase.value), "Layer": "0", "Extent": "0 29 0 39 0 4"}
        colour = [float(part) for part in found[f"Segment{number}_Color"].split()]
        np.testing.assert_allclose(colour, np.divide(phase.rgb, 255), atol=1e-5)
    assert found["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert "Segment2_Name" not in found


def test_hdf5_has_names_and_colours(stack: Stack, tmp_path: Path) -> None:
    save(stack, tmp_path / "labels.h5", "net")
    with h5py.File(tmp_path / "labels.h5") as file:
        attributes = file["data"].attrs
        assert list(attributes["phase_names"]) == [phase.name for phase in PHASES]
        assert attributes["phase_values"].tolist() == [1, 2]
        assert attributes["phase_rgb"].tolist() == [list(phase.rgb) for phase in PHASES]
        assert [name.decode() for name in file["slice_names"]] == list(stack.slice_names)


@pytest.mark.parametrize("suffix", ["nii.gz", "nrrd", "mha"])
def test_maps_and_annotations_are_saved_likewise(stack: Stack, tmp_path: Path, suffix: str) -> None:
    def saved(**options: Any) -> npt.NDArray[Any]:
        return read_itk(save(stack, tmp_path / f"saved.{suffix}", **options, overwrite=True))[0]

    np.testing.assert_array_equal(saved(labels="net", map="confidence"), values("confidence"))
    one = saved(labels="net", map="probability", phase=PHASES[1].name, region=PART)
    np.testing.assert_array_equal(one, values("probability")[1][PART.index])
    annotations = saved(labels="annotation")
    np.testing.assert_array_equal(annotations[3], stack.read_annotation(3))
    assert annotations[1].any()
    assert not annotations[[0, 2, 4]].any()


def test_maps_have_no_colours(stack: Stack, tmp_path: Path) -> None:
    for name in ("map.tif", "map.ome.tif"):
        save(stack, tmp_path / name, "net", map="confidence")
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert tif.pages.first.photometric == tifffile.PHOTOMETRIC.MINISBLACK
            np.testing.assert_array_equal(tif.asarray(), values("confidence"))


REFUSED: list[tuple[str, dict[str, Any], type[AppError], str]] = [
    ("a.xyz", {}, StackError, r"\.seg\.nrrd"),
    (".nrrd", {}, StackError, "ends in none"),
    ("a.ome.zarr", {}, ConfigError, "already stored as OME-Zarr"),
    ("a.nii", {"labels": "other"}, StackError, "no finished label image 'other'"),
    ("a.seg.nrrd", {"map": "confidence"}, ConfigError, "contains labels, not a map"),
    ("a.nii", {"map": "entropy"}, StackError, "no map 'entropy', it has confidence, probability"),
    ("a.nii", {"map": "../net"}, StackError, "no map"),
    ("a.nii", {"map": "probability"}, ConfigError, "--phase pore"),
    ("a.nii", {"map": "probability", "phase": "air"}, ConfigError, "'air' is unknown"),
    ("a.nii", {"map": "confidence", "phase": "pore"}, ConfigError, "leave out phase 'pore'"),
    ("a.nii", {"phase": "pore"}, ConfigError, "no map is requested"),
    (
        "a.nii",
        {"labels": "annotation", "region": Region.parse("2", None, None, SHAPE)},
        StackError,
        "annotations of .*: none of the slices 2:3 was annotated, only 1, 3;",
    ),
    ("a.nii", {"labels": "annotation", "map": "confidence"}, ConfigError, "annotations have no map"),
]


@pytest.mark.parametrize(("name", "options", "error", "says"), REFUSED)
def test_what_cannot_be_saved_is_refused(
    stack: Stack, tmp_path: Path, name: str, options: dict[str, Any], error: type[AppError], says: str
) -> None:
    with pytest.raises(error, match=says):
        save(stack, tmp_path / name, **{"labels": "net", **options})
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced_unasked_and_nothing_put_into_a_store(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("mine")
    with pytest.raises(TargetExistsError, match="--overwrite"):
        save(stack, tmp_path / "a.nii", "net")
    assert (tmp_path / "a.nii").read_text() == "mine"
    with pytest.raises(ConfigError, match="lies in the store"):
        save(stack, stack.path / "a.nii", "net")


def test_labels_that_are_replaced_meanwhile_are_no_file(stack: Stack, tmp_path: Path) -> None:
    own = Stack.open(shutil.copytree(stack.path, tmp_path / "own.ome.zarr"))
    own.write_labels("net2", values("labels"), attributes={"a": 1})

    def replace(done: int, total: int) -> None:
        if done == 3:
            own.write_labels("net2", values("labels"), attributes={"a": 2}, overwrite=True)

    with pytest.raises(StackError, match="replaced while"):
        save(own, tmp_path / "a.mha", "net2", progress=replace)
    assert [path.name for path in tmp_path.iterdir()] == ["own.ome.zarr"]


def test_a_gap_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", pixels(4, 8, 8))
    (tmp_path / "ICE" / "slice_3.tif").rename(tmp_path / "ICE" / "slice_7.tif")
    sample.content["numbers"] = {"gaps": "keep"}
    made = ingest(sample.write(), sample.target)
    made.write_labels("net", np.ones((4, 8, 8), np.uint8), phases=PHASES)
    with caplog.at_level(logging.WARNING):
        save(made, tmp_path / "first.nii", "net", region=Region.parse(":3", None, None, made.shape))
        assert not caplog.messages
        save(made, tmp_path / "all.nii", "net")
    assert "slices are missing, or another series begins, before slice_7" in caplog.messages[0]


def test_of_partial_results_only_what_was_segmented_is_saved(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Stack.open(shutil.copytree(stack.path, tmp_path / "own.ome.zarr"))
    with own.write_result("part", fingerprint={}, phases=PHASES) as result:
        for z in (1, 3):
            result.arrays.write(z, Rect.whole(SHAPE), {LABELS: np.full(SHAPE[1:], 2, np.uint8)})
        result.finish((1, 3))
    with caplog.at_level(logging.WARNING):
        found, _, place = read_itk(save(own, tmp_path / "a.mha", "part"))
        assert found.shape == (3, *SHAPE[1:])
        assert place == pytest.approx((20, 0, 0))
        assert found.min(axis=(1, 2)).tolist() == [2, 0, 2]
        assert "not segmented, and 0 in the file" in caplog.text
        assert caplog.messages[0].endswith(": slice_2")
        caplog.clear()
        one = save(own, tmp_path / "b.tif", "part", region=Region.parse("3:", None, None, SHAPE))
        assert tifffile.imread(one).shape == SHAPE[1:]
        assert not caplog.messages
    with pytest.raises(StackError, match="none of the slices 2:3 was segmented, only 1, 3"):
        save(own, tmp_path / "c.tif", "part", region=Region.parse("2", None, None, SHAPE))


def test_labels_are_listed_exported_and_removed(stack: Stack, tmp_path: Path) -> None:
    own = str(shutil.copytree(stack.path, tmp_path / "own.ome.zarr"))

    def labels(*words: str) -> str:
        return CliRunner().invoke(app, ["labels", own, *words], catch_exceptions=False).stdout

    assert labels("list") == labels()
    assert "confidence, probability" in labels()
    for name in ("part.tif", "folder"):
        target = str(tmp_path / name)
        told = labels("export", "net", "-o", target, "--map", "confidence", "--z", "1:4", "--x", ":20")
        assert told == f"saved: {target}\n"
    expected = values("confidence")[1:4, :, :20]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "part.tif"), expected)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "folder" / "slice_2.tif"), expected[1])
    assert labels("remove", "net") == "removed: net\n"
    assert labels() == "there are no label images\n"


def test_the_command_line_saves(stack: Stack, tmp_path: Path) -> None:
    line = ("-m", "monai_app", "save", stack.path, "part.nii.gz", "--labels", "net", "--z", "1:4", "--x", ":20")
    done = run_command(*line, "--y", "10:", cwd=tmp_path)
    assert "saved: " in done.stdout
    np.testing.assert_array_equal(read_nibabel(tmp_path / "part.nii.gz")[0], values("labels")[PART.index])
