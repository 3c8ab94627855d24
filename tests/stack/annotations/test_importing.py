"""Annotations from label images that other programs' libraries wrote: 0 pixels differ, and nothing is guessed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import nrrd
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
import tifffile
from PIL import Image

from monai_app.errors import AnnotationError, AppError, ConfigError, StackError
from monai_app.stack import Phase, Stack, annotate, ingest
from monai_app.stack.annotations.importing import Imported, import_annotations, import_labels
from monai_app.stack.annotations.meaning import Meaning
from monai_app.stack.saving import save, save_slices
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (5, 40, 30)
PORE, HYDRATE = "#20304f", "#c0b090"
SAVED = {name: Path(__file__).with_name(name) for name in ("slicer.seg.nrrd", "imagej.tif", "napari.tif")}
"""The annotations as other programs saved them: 3D Slicer 5.13 (slicer-core), under other numbers and without what is
empty, ImageJ 1.53t and napari 0.9.2."""

Plane = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A store whose slices 1 and 3 are annotated, and one without annotations."""
    made = {}
    for name in ("annotated", "bare"):
        sample = SampleFolder(tmp_path_factory.mktemp(name))
        sample.detector("ICE", pixels(*SHAPE))
        sample.annotate({z: label_plane(*SHAPE[1:], seed=z) for z in (1, 3)}, train=[1], test=[3])
        if name == "bare":
            del sample.content["annotations"]
        made[name] = ingest(sample.write(), sample.target).path
    return made


@pytest.fixture
def annotated(stores: dict[str, Path], tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(stores["annotated"], tmp_path / "annotated.ome.zarr"))


@pytest.fixture
def bare(stores: dict[str, Path], tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(stores["bare"], tmp_path / "bare.ome.zarr"))


def truth(z: int) -> Plane:
    source = label_plane(*SHAPE[1:], seed=z)
    return np.select([source == 0, source == 7], [1, 2], 0).astype(np.uint8)


def volume() -> Plane:
    found = np.zeros(SHAPE, np.uint8)
    found[[1, 3]] = truth(1), truth(3)
    return found


def png(path: Path, plane: Plane, table: str = "000000" + PORE[1:] + HYDRATE[1:], **options: Any) -> Path:
    """A PNG with a colour table, or in its colours."""
    image = Image.fromarray(plane).convert("P")
    image.putpalette(bytes.fromhex(table))
    image.convert(options.pop("mode", "P")).save(path, **options)
    return path


def tiff(path: Path, values: npt.NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, values, **options)
    return path


def by_tifffile(dtype: str) -> Callable[[Stack, Path], Path]:
    def make(stack: Stack, folder: Path) -> Path:
        saved = save(stack, folder / "saved.tif", "annotation")
        return tiff(folder / "labels.tif", tifffile.imread(saved).astype(dtype), photometric="minisblack")

    return make


def by_pillow(stack: Stack, folder: Path) -> Path:
    saved = save_slices(stack, folder / "saved", "annotation", form="png")
    for path in saved.glob("*.png"):
        image = Image.open(path)
        assert image.mode == "P"
        image.save(path, optimize=True)
    return saved


def by_nibabel(stack: Stack, folder: Path) -> Path:
    image = nibabel.Nifti1Image.from_filename(save(stack, folder / "saved.nii.gz", "annotation"))
    data = np.asanyarray(image.dataobj).astype(np.float32)
    nibabel.Nifti1Image(data, image.affine).to_filename(folder / "labels.nii.gz")
    return folder / "labels.nii.gz"


def by_itk(suffix: str) -> Callable[[Stack, Path], Path]:
    def make(stack: Stack, folder: Path) -> Path:
        image = sitk.ReadImage(save(stack, folder / f"saved{suffix}", "annotation"))
        sitk.WriteImage(image[4:, 2:, 1:], folder / f"labels{suffix}")  # programs crop what is empty
        return folder / f"labels{suffix}"

    return make


def by_pynrrd(stack: Stack, folder: Path) -> Path:
    """Segments whose numbers are others than those of the phases."""
    data, header = nrrd.read(str(save(stack, folder / "saved.seg.nrrd", "annotation")))
    header |= {"Segment0_LabelValue": "2", "Segment1_LabelValue": "1", "Segment0_Name": "Pore "}
    nrrd.write(str(folder / "labels.seg.nrrd"), np.array([0, 2, 1], np.uint8)[data], header)
    return folder / "labels.seg.nrrd"


EXPORTS = {
    **{f"TIFF, {dtype}": by_tifffile(dtype) for dtype in ("uint8", "uint16", "uint32", "float32")},
    "PNG": by_pillow,
    "TIFF a slice": lambda stack, folder: save_slices(stack, folder / "saved", "annotation"),
    "nibabel": by_nibabel,
    **{f"ITK, {suffix}": by_itk(suffix) for suffix in (".nrrd", ".mha", ".nii.gz")},
    "pynrrd": by_pynrrd,
    **{f"saved, {name}": lambda stack, folder, name=name: SAVED[name] for name in SAVED},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_exported_comes_back_unchanged(name: str, annotated: Stack, bare: Stack, tmp_path: Path) -> None:
    if "ITK" in name:  # it is to crop nothing but what is empty
        plane = annotated.read_annotation(3)
        plane[:2] = plane[:, :4] = 0
        annotated = annotate(annotated, {1: plane, 3: plane})
    path = EXPORTS[name](annotated, tmp_path)
    stack = import_annotations(bare, path).stack
    assert stack.train_slices == (1, 3)
    for z in (1, 3):
        np.testing.assert_array_equal(stack.read_annotation(z), annotated.read_annotation(z))
        assert stack.annotated_by(z) == path.name
    assert import_annotations(annotated, path).unchanged == (1, 3)


def given(stack: Stack, path: Path, *slices: int | str, **options: Any) -> Imported:
    said = (options.pop("mapping", None), options.pop("colours", ()))
    return import_annotations(stack, path, slices=slices, meaning=Meaning.parse(stack.phases, *said), **options)


def check_one(done: Imported, z: int = 1) -> None:
    assert done.set == (z,)
    np.testing.assert_array_equal(done.stack.read_annotation(z), truth(1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_are_phases(mode: str, suffix: str, bare: Stack, tmp_path: Path) -> None:
    path = png(tmp_path / f"slice_1{suffix}", truth(1), "ffffff" + "ff0000" + HYDRATE[1:], mode=mode)
    with pytest.raises(AnnotationError, match=r"colours #ffffff and #ff0000 \(\d+ pixels\) belong to no phase"):
        given(bare, path)
    with pytest.raises(ConfigError, match="a colour image, but --mapping is for values"):
        given(bare, path, mapping="1=pore")
    check_one(given(bare, path, colours=["pore=#ff0000", "unlabelled=#FFFFFF"]))


def test_what_has_no_phase_is_told_once_with_options_that_do(bare: Stack, tmp_path: Path) -> None:
    """However many files there are, and whichever of them a value is in."""
    (tmp_path / "painted").mkdir()
    (tmp_path / "numbers").mkdir()
    for z, colours in ((1, "0000ff" + "0000ff" + HYDRATE[1:]), (2, "000000" + "0000ff" + HYDRATE[1:])):
        png(tmp_path / "painted" / f"slice_{z}.png", truth(1), colours, mode="RGB")
    with pytest.raises(AnnotationError) as caught:
        given(bare, tmp_path / "painted")
    (line,) = str(caught.value).splitlines()
    file, said = line.split(" and 1 more: ")
    assert Path(file) == tmp_path / "painted" / "slice_1.png"
    assert re.sub(r"\d+ pixels", "N pixels", said) == (
        "colours #0000ff and #000000 (N pixels) belong to no phase (pore #20304f, hydrate #c0b090); "
        "give each, e.g. --colour 'pore=#0000ff' --colour 'unlabelled=#000000'"
    )
    options = re.findall(r"--colour '(.*?)'", line)
    assert given(bare, tmp_path / "painted", colours=options).set == (1, 2)
    for z, values in ((1, [0, 1, 7]), (2, [9, 1, 7])):
        tiff(tmp_path / "numbers" / f"slice_{z}.tif", np.array(values, np.uint8)[truth(1)])
    with pytest.raises(AnnotationError, match="values 7 and 9 ") as caught:
        given(bare, tmp_path / "numbers")
    (mapping,) = re.findall("--mapping (.*)", str(caught.value))
    assert mapping == "1=pore,7=hydrate,9=unlabelled"
    done = given(bare, tmp_path / "numbers", mapping=mapping, overwrite=True)
    assert {*done.set, *done.unchanged} == {1, 2}


def test_colours_of_the_phases_need_no_word(bare: Stack, tmp_path: Path) -> None:
    picture = np.zeros((*SHAPE[1:], 4), np.uint8)  # transparent where nothing is painted
    for phase in bare.phases:
        picture[truth(1) == phase.value] = (*phase.rgb, 255)
    Image.fromarray(picture).save(tmp_path / "slice_1.png")
    check_one(given(bare, tmp_path / "slice_1.png"))


def test_colours_count_in_tables_on_request(bare: Stack, tmp_path: Path) -> None:
    path = png(tmp_path / "slice_1.png", np.array([2, 0, 1], np.uint8)[truth(1)], PORE[1:] + HYDRATE[1:] + "ffffff")
    with pytest.raises(AnnotationError, match=r"value 1 is that of phase 'pore', but has the colour of 'hydrate'"):
        given(bare, path)
    with pytest.raises(
        AnnotationError, match=r"colour #ffffff .* phase \(pore #20304f, hydrate .*--colour 'unlabelled=#ffffff'$"
    ):
        given(bare, path, colours=[f"pore={PORE}"])
    check_one(given(bare, path, colours=["unlabelled=#ffffff"]))
    check_one(given(bare, path, "3", mapping="0=pore,1=hydrate,2=unlabelled"), 3)


def test_soft_edges_are_told_from_colours(bare: Stack, tmp_path: Path) -> None:
    sharp = Image.open(png(tmp_path / "slice_1.png", np.tile(truth(1)[:1] // 2 * 2, (40, 1)), mode="RGB"))
    sharp.resize((30, 40), Image.Resampling.BILINEAR, box=(0, 0, 29, 40)).save(tmp_path / "slice_1.png")
    with pytest.raises(
        AnnotationError, match=r"colours #.* and \d+ more \(\d+ pixels\) .*edges are soft .*hard pencil[^#]*#\w{6}'$"
    ):
        given(bare, tmp_path / "slice_1.png", colours=["unlabelled=#000000"])
    seen = np.zeros((*SHAPE[1:], 4), np.uint8)
    seen[0, 0] = 192, 176, 144, 100
    Image.fromarray(seen).save(tmp_path / "slice_1.png")
    with pytest.raises(AnnotationError, match=r"colour half transparent \(1 pixel\)"):
        given(bare, tmp_path / "slice_1.png")


def test_values_mean_what_is_said(bare: Stack, tmp_path: Path) -> None:
    path = tiff(tmp_path / "slice_1.tif", np.array([9, 0, 300], np.uint16)[truth(1)])
    with pytest.raises(
        AnnotationError,
        match=r"slice_1.tif: values 300 and 9 .* no phase \(pore 1, hydrate 2\); .* 9=hydrate,300=pore$",
    ):
        given(bare, path)
    with pytest.raises(AnnotationError, match=r"value 9 \(\d+ pixels\) .*--mapping 0=pore,9=unlabelled,300=hydrate$"):
        given(bare, path, mapping="0=pore,300=Hydrate")
    with pytest.raises(ConfigError, match="has values without colours, but --colour is for colours"):
        given(bare, path, colours=["pore=#ffffff"])
    check_one(given(bare, path, mapping="0=pore, 300=Hydrate ,9=unlabelled"))


def test_a_folder_of_another_programs_numbers(bare: Stack, tmp_path: Path) -> None:
    """As segmentation programs write them: 16 bits, a file a slice, counted from 0, their own numbers."""
    (tmp_path / "labels").mkdir()
    for z, plane in enumerate(np.array([3, 2, 1], np.uint16)[volume()]):
        tiff(tmp_path / "labels" / f"labels_{z:04}.tiff", plane)
    done = given(bare, tmp_path / "labels", mapping="1=hydrate,2=pore,3=unlabelled")
    assert done.set == (1, 3)
    np.testing.assert_array_equal(done.stack.read_annotation(3), truth(3))


def test_names_in_the_file_count(bare: Stack, tmp_path: Path) -> None:
    header: dict[str, Any] = {"Segment0_LabelValue": "1", "Segment0_Name": "hydrate"}
    header |= {"Segment1_LabelValue": "2", "Segment1_Name": "Segment_2"}
    path = tmp_path / "slice_1.seg.nrrd"
    nrrd.write(str(path), (3 - truth(1)).T[..., None] % 3, header)
    with pytest.raises(
        AnnotationError, match=r"value 2 \(segment 'Segment_2'\) \(\d+ pixels\) .*--mapping 1=hydrate,2=pore$"
    ):
        given(bare, path)
    with pytest.raises(AnnotationError, match="value 1 is named 'hydrate' in the file, but 'pore' in --mapping"):
        given(bare, path, mapping="1=pore,2=hydrate")
    check_one(given(bare, path, mapping="1=hydrate,2=pore"))


@pytest.mark.parametrize(
    ("mapping", "colours", "text"),
    [
        ("pore", (), "--mapping 'pore': write the value, '=' and the phase"),
        (
            "1=pore,hydrate",
            (),
            "'pore,hydrate' is not a phase; give one of pore, hydrate, or unlabelled",
        ),
        ("1=pore,1=hydrate", (), "1=hydrate: it already has another phase"),
        (None, ("pore=blue",), "--colour 'pore=blue': write the phase, '=' and #rrggbb"),
        (None, ("air=#000000",), "--colour: 'air' is not a phase"),
        ("1=pore", ("pore=#000000",), "--mapping is for values and --colour for colours"),
    ],
)
def test_wrong_or_ambiguous_options_are_refused(
    mapping: str | None, colours: tuple[str, ...], text: str, bare: Stack
) -> None:
    with pytest.raises(ConfigError, match=text):
        Meaning.parse(bare.phases, mapping, colours)


def test_phases_of_one_colour_are_not_told_apart_by_it(bare: Stack, tmp_path: Path) -> None:
    phases = (bare.phases[0], Phase(value=2, name="hydrate", rgb=bare.phases[0].rgb))
    bare.phases = phases
    path = png(tmp_path / "slice_1.png", truth(1), mode="RGB")
    with pytest.raises(AnnotationError, match="'pore' and 'hydrate' have the same colour, #20304f"):
        given(bare, path)


def test_a_plane_belongs_to_one_slice(bare: Stack, tmp_path: Path) -> None:
    check_one(given(bare, tiff(tmp_path / "slice_1 corrected.tif", truth(1))))
    check_one(given(bare, tiff(tmp_path / "labels.tif", truth(1)), "slice_4"), 4)
    two = tiff(tmp_path / "two.tif", np.stack([truth(1), truth(3)]), photometric="minisblack")
    assert given(bare, two, 3, "0").set == (0, 3)
    np.testing.assert_array_equal(Stack.open(bare.path).read_annotation(0), truth(3))
    (tmp_path / "folder").mkdir()
    tiff(tmp_path / "folder" / "a_z2.tif", truth(1))
    tiff(tmp_path / "folder" / "a_z4.tif", truth(1))
    assert given(bare, tmp_path / "folder").set == (2,)


def test_names_whose_number_is_not_clear_count_as_they_are(bare: Stack, tmp_path: Path) -> None:
    """Such as those of a stack whose description says where the number stands."""
    bare.slice_names = tuple(f"t{5 - z}_z{z}" for z in range(5))
    check_one(given(bare, tiff(tmp_path / "t4_z1.tif", truth(1))))
    with pytest.raises(AnnotationError, match="its name does not identify its slice"):
        given(bare, tiff(tmp_path / "z1.tif", truth(1)))
    check_one(given(bare, tmp_path / "z1.tif", "t1_z4"), 4)


@pytest.mark.parametrize(
    ("name", "values", "slices", "text"),
    [
        ("labels_1.tif", truth(1), (), r"its name does not identify its slice .*--slice N"),
        ("slice_9.tif", truth(1), (), "its name does not identify its slice"),
        ("slice_1.tif", truth(1)[1:], (), "has 39 x 30 pixels but the slices have 40 x 30"),
        ("two.tif", np.stack([truth(1)] * 2), (), "has 2 planes and the stack 5 slices; give the slice of every plane"),
        ("two.tif", np.stack([truth(1)] * 2), (1,), "has 2 planes but --slice is given 1 time"),
        ("two.tif", np.stack([truth(1)] * 2), (1, "slice_1"), "slice 1 .* is given twice"),
        ("slice_1.tif", truth(1), (5,), "slice 5 does not exist"),
        ("slice_1.tif", truth(1), ("01",), "no image has the stem '01'"),
        ("slice_1.tif", truth(1) * 0, (), "slice_1.tif: it has no labelled pixel"),
        ("all.tif", volume() * 0, (), "all.tif has no labelled pixel"),
        ("slice_1.tif", truth(1) + 0.5, (), r"\.5 and label values are integers"),
    ],
)
def test_what_fits_no_slice_is_refused(
    name: str, values: npt.NDArray[Any], slices: tuple[Any, ...], text: str, bare: Stack, tmp_path: Path
) -> None:
    path = tiff(tmp_path / name, values, photometric="minisblack")
    with pytest.raises(AppError, match=text):
        given(bare, path, *slices)
    assert not Stack.open(bare.path).roles


def test_all_faults_of_a_folder_are_told(bare: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    for z, plane in enumerate((truth(1), truth(1) + 1, truth(1) + 2)):
        tiff(folder / f"slice_{z}.tif", plane)
    with pytest.raises(AnnotationError, match=r"slice_1.tif and 1 more: values 3 and 4 .*pixels"):
        given(bare, folder)
    with pytest.raises(AnnotationError, match="--slice applies to a file"):
        given(bare, folder, 1, 2, 3)
    png(folder / "slice_3.png", truth(1))
    (folder / "slice_0.tif").rename(folder / "slice_9.tif")
    with pytest.raises(AnnotationError, match=r"slice_9.tif is an annotation for a slice that does not exist"):
        given(bare, folder)


def test_tables_that_differ_from_file_to_file_are_refused(bare: Stack, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for z, table in ((1, "000000ff0000ffffff"), (3, "000000ffffffff0000")):
        png(tmp_path / "labels" / f"slice_{z}.png", truth(z), table)
    with pytest.raises(AnnotationError, match="show value 1 in different colours"):
        given(bare, tmp_path / "labels")
    done = given(bare, tmp_path / "labels", colours=["pore=#ff0000", "hydrate=#ffffff", "unlabelled=#000000"])
    np.testing.assert_array_equal(done.stack.read_annotation(3), np.array([0, 2, 1], np.uint8)[truth(3)])


def itk(path: Path, values: Plane, first: tuple[float, float, float], size: float = 0.005) -> Path:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((size, 0.01, 0.02))
    image.SetOrigin(first)
    sitk.WriteImage(image, path)
    return path


def test_one_of_several_datasets_is_named(annotated: Stack, bare: Stack, tmp_path: Path) -> None:
    """Such as a label image in another store: its names count."""
    with pytest.raises(StackError, match=r"it has label images .*dataset: labels/annotation"):
        given(bare, annotated.path)
    assert given(bare, annotated.path, dataset="labels/annotation").set == (1, 3)
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["image"], file["labels"] = volume() + 3, volume()
    with pytest.raises(StackError, match="it has 2 datasets of pixels"):
        given(bare, tmp_path / "two.h5")
    assert given(bare, tmp_path / "two.h5", dataset="labels").unchanged == (1, 3)


def test_volumes_lie_where_they_say(bare: Stack, tmp_path: Path) -> None:
    part = truth(1)[None, 10:20, 5:15]
    done = given(bare, itk(tmp_path / "part.nrrd", part, (0.025, 0.1, 0.08)))
    expected = np.zeros(SHAPE[1:], np.uint8)
    expected[10:20, 5:15] = part[0]
    assert done.set == (4,)
    np.testing.assert_array_equal(done.stack.read_annotation(4), expected)
    padded = np.pad(volume(), 1)
    done = given(bare, itk(tmp_path / "padded.mha", padded, (-0.005, -0.01, -0.02)))
    assert done.set == (1, 3)
    for first, text in (
        (
            (0.025, 0.1, 0.1),
            "are outside the stack: by its geometry the plane is slice 5 and starts at row 10, column 5",
        ),
        ((0.11, 0.1, 0.08), "are outside the stack"),
        ((0.027, 0.1, 0.08), "shifted by 0.4 of a voxel"),
    ):
        with pytest.raises(AnnotationError, match=text):
            given(bare, itk(tmp_path / "part.nrrd", part, first))
    with pytest.raises(AnnotationError, match=r"the labels' voxels are .*--slice"):
        given(bare, itk(tmp_path / "part.nrrd", part, (0.0, 0.0, 0.0), size=0.006))
    check_one(given(bare, itk(tmp_path / "one.nii.gz", truth(1)[None], (7.0, 0.0, 0.0)), 2), 2)
    (tmp_path / "folder").mkdir()
    for z in (0, 2):  # as files of single slices, they are named by slice
        itk(tmp_path / "folder" / f"slice_{z}.nrrd", truth(1)[None], (0.0, 0.0, 0.0))
    done = given(bare, tmp_path / "folder")
    assert (done.set, done.unchanged) == ((0,), (2,))


def test_annotations_are_replaced_on_request(annotated: Stack, tmp_path: Path) -> None:
    path = tiff(tmp_path / "both.tif", np.stack([truth(3), truth(3)]), photometric="minisblack")
    with pytest.raises(AnnotationError, match=r"slice 1 of .* already has a different annotation; .*--overwrite"):
        given(annotated, path, 1, 3)
    done = given(annotated, path, 1, 3, overwrite=True)
    assert (done.set, done.unchanged, done.stack.test_slices) == ((1,), (3,), (3,))
    with pytest.raises(AnnotationError, match="slice 3"):
        given(annotated, path, 1, 3, role="train")
    assert given(annotated, path, 1, 3, role="train", overwrite=True).stack.train_slices == (1, 3)


def test_labels_are_added_to_annotations(annotated: Stack, tmp_path: Path) -> None:
    free = truth(1) == 0
    painted = np.where(free, 2, 0).astype(np.uint8)
    path = tiff(tmp_path / "slice_1.tif", painted)
    with pytest.raises(AnnotationError, match="--merge"):
        given(annotated, path)
    done = given(annotated, path, merge=True)
    assert (done.set, done.stack.train_slices) == ((1,), (1,))
    np.testing.assert_array_equal(done.stack.read_annotation(1), np.where(free, 2, truth(1)))
    assert given(annotated, path, merge=True).unchanged == (1,)
    corner = np.zeros_like(painted)
    corner[np.unravel_index(np.flatnonzero(truth(1) == 1)[:3], corner.shape)] = 2
    path = tiff(tmp_path / "slice_1.tif", corner)
    with pytest.raises(AnnotationError, match=r"slice 1 of .* label 3 pixels differently; .*--overwrite"):
        given(annotated, path, merge=True)
    done = given(annotated, path, merge=True, overwrite=True)
    np.testing.assert_array_equal(done.stack.read_annotation(1), np.where(free | (corner > 0), 2, truth(1)))
    assert given(annotated, path, 0, merge=True).set == (0,)


def test_a_slice_keeps_its_role_unless_it_may_be_moved(annotated: Stack, tmp_path: Path) -> None:
    path = tiff(tmp_path / "slice_3.tif", truth(3))
    assert annotated.roles[3] == "test"
    for options in ({"merge": True}, {}):
        with pytest.raises(
            AnnotationError, match=r"slice 3 of .* has the role test, but --role is train; .*--overwrite"
        ):
            given(annotated, path, role="train", **options)
    assert annotated.reopened().roles[3] == "test"
    assert given(annotated, path, role="test", merge=True).unchanged == (3,)
    assert given(annotated, path, role="train", merge=True, overwrite=True).stack.roles[3] == "train"


def test_planes_without_labels_leave_slices_as_they_are(annotated: Stack, tmp_path: Path) -> None:
    values = volume()
    values[3] = 0
    done = given(annotated, tiff(tmp_path / "all.tif", values, photometric="minisblack"), overwrite=True)
    assert (done.unchanged, sorted(done.stack.roles)) == ((1,), [1, 3])


def test_labels_outside_the_pictures_do_not_count(bare: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = np.zeros(SHAPE[1:], np.bool_)
    inside[5:] = True
    monkeypatch.setattr(Stack, "inside", lambda *_: inside)
    path = tiff(tmp_path / "slice_1.tif", truth(1))
    np.testing.assert_array_equal(given(bare, path).stack.read_annotation(1), truth(1) * inside)
    assert given(bare, path).unchanged == (1,)
    inside[:] = False
    with pytest.raises(AnnotationError, match="it has no labelled pixel"):
        given(bare, path)


def test_a_prediction_is_what_corrections_begin_with(bare: Stack) -> None:
    swapped = (Phase(value=1, name="hydrate", rgb=(1, 2, 3)), Phase(value=2, name="pore", rgb=(3, 2, 1)))
    bare.write_labels("net", list(np.array([0, 2, 1], np.uint8)[volume()]), phases=swapped)
    done = import_labels(bare, "net", ["slice_1"], role="test")
    check_one(done)
    assert (done.stack.test_slices, done.stack.annotated_by(1)) == ((1,), "labels net")
    for labels, slices, text in (
        ("other", [1], "no finished label image 'other'"),
        ("net", [], "is given; give those to annotate"),
        ("net", [9], "slice 9 does not exist"),
        ("net", [2], "has no labelled pixel"),
    ):
        with pytest.raises((AnnotationError, StackError), match=text):
            import_labels(bare, labels, slices)
    bare.write_labels("air", list(volume()), phases=(Phase(value=1, name="air", rgb=(1, 2, 3)), swapped[1]))
    with pytest.raises(AnnotationError, match=r"segment 'air' \(value 1\) is not a phase"):
        import_labels(bare, "air", [1])


def test_stacks_without_phases_are_not_annotated(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", pixels(*SHAPE))
    stack = ingest(sample.write(), sample.target)
    with pytest.raises(AnnotationError, match="has no phases, so labels mean nothing"):
        import_annotations(stack, tiff(tmp_path / "slice_1.tif", truth(1)))
