"""Cases as clients see them: exported with SimpleITK's and nibabel's eyes, labels painted there, back in the store."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
from hypothesis import given
from hypothesis import strategies as st

from monai_app import files
from monai_app.errors import AnnotationError, AppError, ConfigError, StackError
from monai_app.io import partner_path
from monai_app.io.writers.volumes import write_volume
from monai_app.label.datastore.cases import Case, Cases, id_prefix
from monai_app.label.datastore.segments import segment_names
from monai_app.label.settings import Settings
from monai_app.stack import Stack, annotate, to_phases
from tests.specs import phases_of
from tests.stack.samples import become_another

SLICES, ROWS, COLUMNS = 8, 96, 80
L_MARK = [(10, 20, 0), (10, 21, 0), (10, 22, 0), (11, 22, 0), (79, 95, 2)]
"""An L in x, y, z, and the last pixel of another slice."""
NAMES = ("pore", "hydrate", "clinker")


@pytest.fixture
def store(tiny_stack: Stack, tmp_path: Path) -> Path:
    """Slices 1, 3 and 5 train and 6 tests; phases pore, hydrate, clinker."""
    return Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


@pytest.fixture
def cases(store: Path, tmp_path: Path) -> Cases:
    return cases_of(store, tmp_path / "cases")


def cases_of(stack: Path, folder: Path, **settings: Any) -> Cases:
    return Cases(Settings(stack=str(stack), bundles=("unet",), **settings), folder)


def save(cases: Cases, case: Case, voxels: dict[tuple[int, int, int], int]) -> Path:
    """What a client saves: a label map on the image's grid with these voxels (x, y, z), written by ITK."""
    image = sitk.ReadImage(cases.image(case))
    labels = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    labels.CopyInformation(image)
    for voxel, value in voxels.items():
        labels.SetPixel(voxel, value)
    path = cases.folder.parent / f"saved{cases.suffix}"
    sitk.WriteImage(labels, path)
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd"])
def test_paired_volumes_hold_the_slab_of_every_detector(store: Path, tmp_path: Path, suffix: str) -> None:
    cases, stack = cases_of(store, tmp_path / "cases", suffix=suffix), Stack.open(store)
    case = cases.by_id["tiny_z0003"]
    path = cases.image(case)
    assert path == tmp_path / "cases" / f"tiny_z0003{suffix}"
    for detector, file in (("ICE", path), ("TLD", partner_path(path, "TLD"))):
        image = sitk.ReadImage(file)
        assert image.GetSize() == (COLUMNS, ROWS, 3)
        np.testing.assert_allclose(image.GetSpacing(), (0.01, 0.01, 0.02), rtol=1e-6)
        np.testing.assert_allclose(image.GetOrigin(), (0, 0, 0.04), atol=1e-7)
        expected = stack.read_slab(3, [detector], 3)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)
        if suffix != ".nrrd":
            np.testing.assert_array_equal(
                np.asanyarray(nibabel.Nifti1Image.from_filename(file).dataobj), expected.transpose(2, 1, 0)
            )


def test_channels_are_the_fourth_axis(store: Path, tmp_path: Path) -> None:
    cases = cases_of(store, tmp_path / "cases", layout="channels", thickness=5)
    path = cases.image(cases.by_id["tiny_z0001"])  # clipped at the beginning
    pixels = np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj)
    expected = np.stack([Stack.open(store).read_slab(z, ["ICE", "TLD"], 1) for z in range(4)])
    np.testing.assert_array_equal(pixels, expected.transpose(3, 2, 0, 1))
    assert not (tmp_path / "cases" / "TLD").exists()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("layout", ["paired", "channels"])
def test_a_mark_goes_to_its_pixels_and_comes_back(
    store: Path, tmp_path: Path, suffix: str, layout: Literal["paired", "channels"]
) -> None:
    if layout == "channels" and suffix == ".nrrd":
        with pytest.raises(ConfigError, match=r"'\.nrrd' does not support layout 'channels'"):
            cases_of(store, tmp_path / "cases", suffix=suffix, layout=layout)
        return
    annotate(Stack.open(store), {1: None, 3: None})
    cases = cases_of(store, tmp_path / "cases", suffix=suffix, layout=layout)
    case, mark = cases.by_id["tiny_z0002"], dict(zip(L_MARK, (1, 2, 3, 1, 2), strict=True))
    if layout == "paired":
        path = save(cases, case, mark)
    else:
        image = nibabel.Nifti1Image.from_filename(cases.image(case))
        labels = np.zeros(image.shape[:3], np.uint8)
        for voxel, value in mark.items():
            labels[voxel] = value
        path = tmp_path / "saved.nii.gz"
        nibabel.save(nibabel.Nifti1Image(labels, image.affine), path)
    done = cases.import_labels(case, path)
    assert done == ((1, 3), ())
    expected = np.zeros((3, ROWS, COLUMNS), np.uint8)
    for (x, y, z), value in mark.items():
        expected[z, y, x] = value
    stack = cases.stack
    assert stack.train_slices == (1, 3, 5), "slice 2 is blank, so it is not annotated"
    for z in (1, 3):
        np.testing.assert_array_equal(stack.read_annotation(z), expected[z - 1])
        assert stack.edits[z].source == "tiny_z0002"
    cases.export_labels(case, tmp_path / f"download{suffix}")
    downloaded = sitk.ReadImage(tmp_path / f"download{suffix}")
    for (x, y, z), value in mark.items():
        assert downloaded.GetPixel(x, y, z) == value
    assert np.count_nonzero(sitk.GetArrayFromImage(downloaded)) == len(mark)
    np.testing.assert_allclose(downloaded.GetOrigin(), (0.0, 0.0, 0.02), atol=1e-7)


def test_downloaded_labels_saved_unchanged_change_nothing(cases: Cases, tmp_path: Path) -> None:
    case, before = cases.by_id["tiny_z0004"], cases.stack
    cases.export_labels(case, tmp_path / "same.nii.gz")
    done = cases.import_labels(case, tmp_path / "same.nii.gz")
    assert done == ((), ())
    assert (cases.stack.identity, cases.stack.edits) == (before.identity, {})


def test_a_case_takes_back_only_what_it_set(cases: Cases) -> None:
    first, second = cases.by_id["tiny_z0003"], cases.by_id["tiny_z0004"]
    cases.import_labels(first, save(cases, first, {(1, 2, 0): 1, (3, 4, 2): 2}))  # slices 2 and 4
    done = cases.import_labels(second, save(cases, second, {(5, 6, 1): 3, (5, 6, 2): 3}))  # slices 4 and 5
    assert done.set == (4, 5)
    done = cases.import_labels(first, save(cases, first, {}))
    assert (done.set, done.removed) == ((), (2,)), "slice 3 was ingested, slice 4 set by the other case"
    assert cases.stack.train_slices == (1, 3, 4, 5)
    assert cases.stack.read_annotation(4)[6, 5] == 3
    with pytest.raises(AnnotationError, match="label of case tiny_z0003 has no labelled pixel, nor had it before"):
        cases.import_labels(first, save(cases, first, {}))
    done = cases.import_labels(second, save(cases, second, {(0, 0, 0): 1}))
    assert (done.set, done.removed) == ((3,), (4, 5))
    assert list(cases.stack.train_slices) == [1, 3]


@pytest.mark.parametrize("way", ["saved again", "removed"])
def test_a_neighbour_that_saves_in_between_keeps_its_label(
    cases: Cases, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cases.by_id["tiny_z0004"], cases.by_id["tiny_z0003"]
    cases.import_labels(first, save(cases, first, {(1, 2, 0): 1, (1, 2, 2): 1}))  # slices 3 and 5
    blank, painted = tmp_path / "blank.nii.gz", tmp_path / "painted.nii.gz"
    save(cases, first, {(1, 2, 2): 2}).rename(blank)
    save(cases, second, {(5, 6, 1): 3}).rename(painted)  # slice 3
    turns = [lambda: cases.import_labels(second, painted)]

    def lock(path: Path, busy: str | None = None) -> AbstractContextManager[None]:
        if turns and path.name == ".annotation.lock":  # whoever comes in between has the lock before
            turns.pop()()
        return original(path, busy)

    original = files.lock
    monkeypatch.setattr(files, "lock", lock)
    if way == "removed":
        cases.remove_labels(first)
    else:
        assert cases.import_labels(first, blank).removed == ()
    assert not turns
    assert cases.stack.read_annotation(3)[6, 5] == 3
    assert cases.stack.edits[3].source == second.id


def test_what_was_painted_over_is_not_brought_back(cases: Cases) -> None:
    case = cases.by_id["tiny_z0004"]
    cases.import_labels(case, save(cases, case, {(1, 1, 1): 1, (1, 1, 2): 1}))
    done = cases.import_labels(case, save(cases, case, {(1, 1, 1): 1}))
    assert (done.removed, cases.stack.train_slices) == ((5,), (1, 3, 4)), "slice 5 was ingested with an annotation"


def test_test_slices_stay_for_testing(store: Path, tmp_path: Path) -> None:
    cases = cases_of(store, tmp_path / "cases", test_slices=[2])
    case = cases.by_id["tiny_z0002"]
    cases.import_labels(case, save(cases, case, {(1, 1, 0): 1, (1, 1, 1): 1, (1, 1, 2): 1}))
    assert (cases.stack.train_slices, cases.stack.test_slices) == ((1, 3, 5), (2, 6))
    case = cases.by_id["tiny_z0006"]
    cases.import_labels(case, save(cases, case, {(1, 1, 1): 2}))
    assert cases.stack.test_slices == (2, 6), "an ingested test slice that is corrected is not a training slice"


def segments(*names: str, first: int = 1) -> list[dict[str, object]]:
    return [{"name": name, "idx": n} for n, name in enumerate(names, first)]


@pytest.mark.parametrize(
    "names", [("hydrate", "pore", "clinker"), ("CLINKER", "Pore"), ("pore", "scribbles", "hydrate")]
)
def test_segments_are_known_by_name(cases: Cases, names: tuple[str, ...]) -> None:
    case = cases.by_id["tiny_z0002"]
    voxels = {(n, 2 * n, 1): n for n, name in enumerate(names, 1) if name != "scribbles"}
    cases.import_labels(case, save(cases, case, voxels), segments(*names))
    found = cases.stack.read_annotation(2)
    for (x, y, _), value in voxels.items():
        assert NAMES[found[y, x] - 1] == names[value - 1].casefold()


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("clinker", "Pore", "hydrate"), ("clinker", "pore", "hydrate")),
        (("Segment_1", "Segment_2", "Segment_3"), ("pore", "hydrate", "clinker")),  # they say nothing
    ],
)
def test_segments_that_the_file_names_are_known_by_name(
    store: Path, tmp_path: Path, names: tuple[str, ...], meant: tuple[str, ...]
) -> None:
    cases = cases_of(store, tmp_path / "cases", suffix=".nrrd")
    case, places = cases.by_id["tiny_z0002"], [(n, 2 * n, 1) for n in (1, 2, 3)]
    image = sitk.ReadImage(save(cases, case, {place: place[0] for place in places}))
    for n, name in enumerate(names):
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_LabelValue", str(n + 1))
    sitk.WriteImage(image, tmp_path / "saved.seg.nrrd")
    cases.import_labels(case, tmp_path / "saved.seg.nrrd")
    found = cases.stack.read_annotation(2)
    assert [NAMES[found[y, x] - 1] for x, y, _ in places] == [*meant]


@given(order=st.permutations(NAMES), values=st.lists(st.integers(0, 3), min_size=1))
def test_any_order_of_segments_means_the_same(order: list[str], values: list[int]) -> None:
    phases = phases_of(NAMES)
    named = [value and order[value - 1] for value in values]
    found = to_phases(np.array(values, np.uint8), phases, segment_names(segments(*order))).tolist()
    assert [value and NAMES[value - 1] for value in found] == named


@pytest.mark.parametrize(
    ("label_info", "text"),
    [
        (segments("pore", "hydrate", first=2), r"numbered 'pore' 2, 'hydrate' 3 and must be 1 to 2: .*scribbles"),
        ([{"name": "pore", "idx": 1}, {"name": "hydrate", "idx": 3}], r"must be 1 to 2.*remove other segments"),
        ([{"name": "pore", "idx": 1}, {"name": "hydrate", "idx": 1}], "must be 1 to 2"),
        (
            segments("pore", "background"),
            r"segment 'background' \(value 2\) is not a phase.*1 pore, 2 hydrate, 3 clinker",
        ),
        (segments("pore"), "value 2 is not a phase"),
        ([{"name": "pore"}], r"label_info: \{'name': 'pore'\} is not a segment"),
        ([{"name": "pore", "idx": "1"}], "is not a segment"),
        (["pore"], "label_info: 'pore' is not a segment"),
        ({}, r"label_info: \{\} is not a list; give a list of objects with 'name'"),
        (5, "label_info: 5 is not a list"),
        ("pore", "label_info: 'pore' is not a list"),
    ],
)
def test_refuses_segments_that_are_not_known(cases: Cases, label_info: list[dict[str, Any]], text: str) -> None:
    case = cases.by_id["tiny_z0002"]
    path, before = save(cases, case, {(1, 1, 1): 1, (2, 2, 1): 2}), cases.stack.identity
    with pytest.raises(AnnotationError, match=text):
        cases.import_labels(case, path, label_info)
    assert cases.stack.identity == before


def test_refuses_labels_that_are_not_the_case_s(cases: Cases, tmp_path: Path) -> None:
    case, other = cases.by_id["tiny_z0002"], cases.by_id["tiny_z0006"]
    with pytest.raises(AnnotationError, match="labelled voxels lie outside the case"):
        cases.import_labels(case, save(cases, other, {(1, 1, 1): 1}))
    with pytest.raises(AnnotationError, match=r"value 4 is not a phase of the stack; its phases are 1 pore"):
        cases.import_labels(case, save(cases, case, {(1, 1, 1): 4}))
    with pytest.raises(AnnotationError, match=r"must be integers 0 to 255|is not a phase"):
        cases.import_labels(case, cases.image(case))
    (tmp_path / "damaged.nii.gz").write_bytes(b"PK")
    with pytest.raises(AnnotationError, match=r"damaged\.nii\.gz cannot be read"):
        cases.import_labels(case, tmp_path / "damaged.nii.gz")
    huge = nibabel.Nifti1Image(np.zeros((300, 300, 30), np.uint8), np.eye(4))
    nibabel.save(huge, tmp_path / "huge.nii.gz")
    with pytest.raises(AnnotationError, match="300 x 300 x 30 values and may hold"):
        cases.import_labels(case, tmp_path / "huge.nii.gz")


def test_lists_cases(store: Path, tmp_path: Path) -> None:
    every = list(cases_of(store, tmp_path / "cases"))
    assert [case.id for case in every] == [f"tiny_z{z:04d}" for z in range(SLICES)]
    assert [case.slices for case in every[:2] + every[-1:]] == [range(2), range(3), range(6, 8)]
    some = cases_of(store, tmp_path / "cases", slices=[5, 0, 5], thickness=1)
    assert [(case.z, case.slices) for case in some] == [(0, range(1)), (5, range(5, 6))]
    assert len(some.by_id) == 2
    for options, text in (
        ({"thickness": 2}, "thickness: 2 must be odd"),
        ({"slices": [8]}, "slice 8 does not exist; .* has slices 0 to 7"),
        ({"test_slices": [-1]}, "slice -1 does not exist"),
        ({"suffix": ".mha"}, r"suffix: '\.mha' is not"),
        ({"layout": "rgb"}, "layout: 'rgb' is not"),
    ):
        with pytest.raises(AppError, match=text):
            cases_of(store, tmp_path / "cases", **options)
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("cement", "cement"),
        ("run 2.1, B", "run_2_1_B"),
        ("../../x", "x"),
        ("Zement-Körper", "Zement-K_rper"),
        ("…", "stack"),
    ],
)
def test_ids_are_names_of_files_without_dots(name: str, prefix: str) -> None:
    assert id_prefix(name) == prefix


def test_exports_once_and_again_where_the_stack_or_the_form_is_another(store: Path, tmp_path: Path) -> None:
    cases = cases_of(store, tmp_path / "cases")
    case = cases.by_id["tiny_z0002"]
    path = cases.image(case)
    partner_path(path, "TLD").unlink()
    annotate(cases.stack, {0: np.ones((ROWS, COLUMNS), np.uint8)})
    assert cases.image(case) == path
    assert not partner_path(path, "TLD").exists(), "labels change no image"
    thin = cases_of(store, tmp_path / "cases", thickness=1)
    assert sitk.ReadImage(thin.image(thin.by_id["tiny_z0002"])).GetSize()[2] == 1
    assert partner_path(path, "TLD").exists()
    other = tmp_path / "other.ome.zarr"
    shutil.copytree(store, other)
    become_another(other)
    path.write_bytes(b"of the stack before")
    again = cases_of(other, tmp_path / "cases", thickness=1)
    assert sitk.ReadImage(again.image(again.by_id["tiny_z0002"])).GetSize()[2] == 1
    wide = cases_of(other, tmp_path / "cases", suffix=".nrrd")
    wide.image(wide.by_id["tiny_z0002"])
    assert sorted(file.relative_to(tmp_path).as_posix() for file in (tmp_path / "cases").rglob("*.n*")) == [
        "cases/TLD/tiny_z0002.nrrd",
        "cases/tiny_z0002.nrrd",
    ]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cases" / "link").symlink_to(tmp_path / "elsewhere")
    mine = (tmp_path / "cases" / "holiday.nrrd", tmp_path / "elsewhere" / "tiny_z0002.nii")
    for file in mine:
        file.write_bytes(b"somebody's")
    (tmp_path / "cases" / "cases.json").write_text("of an earlier server")
    cases.image(cases.by_id["tiny_z0001"])
    assert all(file.exists() for file in mine)
    assert not (tmp_path / "cases" / "cases.json").exists()
    assert not wide.path(case).exists()


def test_an_export_that_was_stopped_is_done_again(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai_app.label.datastore import cases as module

    written = []

    def stop(path: Path, *arguments: Any) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError("no space left")
        write(path, *arguments)

    write = write_volume
    monkeypatch.setattr(module, "write_volume", stop)
    case = cases.by_id["tiny_z0002"]
    with pytest.raises(OSError, match="no space left"):
        cases.image(case)
    assert written == [partner_path(cases.path(case), "TLD"), cases.path(case)], "the case's file comes last"
    assert not cases.path(case).exists()
    assert sitk.ReadImage(cases.image(case)).GetSize() == (COLUMNS, ROWS, 3)


def test_a_stack_that_was_replaced_is_noticed(cases: Cases, store: Path) -> None:
    become_another(store)
    with pytest.raises(StackError, match="was replaced since it was opened: another stack was ingested"):
        cases.image(cases.by_id["tiny_z0000"])
