"""Slices that are not neighbours, ranges of slices, label files that are not used, and all faults at once."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.errors import AnnotationError, AppError, ConfigError, StackError
from monai_app.stack import Stack, ingest
from tests.stack.samples import SampleFolder, label_plane, pixels


def made(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target)


def refusal(sample: SampleFolder, kind: type[AppError]) -> str:
    with pytest.raises(kind) as caught:
        made(sample)
    assert not sample.target.exists()
    return str(caught.value)


def test_independent_micrographs_have_no_neighbours(sample: SampleFolder) -> None:
    sample.content["independent"] = True
    stack = made(sample)
    assert stack.gaps == tuple(range(1, 12))
    np.testing.assert_array_equal(stack.read_slab(4, ["TLD"], 3), sample.images["TLD"][[4, 4, 4]])


def test_independent_micrographs_need_no_numbers_without_gaps(sample: SampleFolder) -> None:
    sample.content["independent"] = True
    for name in ("ICE", "TLD"):
        (sample.root / name / "slice_7.tif").unlink()
    sample.content["annotations"]["train"] = ["slice_2", "slice_10"]
    assert made(sample).shape[0] == 11


def test_slabs_do_not_reach_across_breaks(sample: SampleFolder) -> None:
    sample.content["breaks"] = [3, 6]
    stack = made(sample)
    assert stack.gaps == (3, 6)
    np.testing.assert_array_equal(stack.read_slab(3, ["ICE"], 5), sample.images["ICE"][[3, 3, 3, 4, 5]])


def test_a_break_explains_the_gap_in_the_numbers_before_it(sample: SampleFolder) -> None:
    for name in ("ICE", "TLD"):
        (sample.root / name / "slice_7.tif").unlink()
    sample.content["annotations"] |= {"train": ["slice_2", "slice_10"]}
    sample.content["breaks"] = [6]
    assert "slices 7 are missing" in refusal(sample, StackError)
    sample.content["breaks"] = [7]
    assert made(sample).gaps == (7,)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"breaks": [12]}, "breaks: slice 12 does not exist; the slices are 0 to 11"),
        ({"breaks": [0]}, "breaks::0: 0 is not an integer of at least 1"),
        ({"breaks": [3, 3]}, "3 occurs twice"),
        ({"breaks": [3], "independent": True}, "'independent' already separates all slices"),
    ],
)
def test_breaks_that_cannot_be_are_refused(entries: dict[str, object], message: str, sample: SampleFolder) -> None:
    sample.content |= entries
    assert message in refusal(sample, AppError)


@pytest.mark.parametrize(
    ("train", "test", "slices"),
    [
        (["0:12:5"], [2], (0, 5, 10)),
        (["9:", 2], ["slice_5"], (2, 9, 10, 11)),
        (["-2:", "0:2"], [5], (0, 1, 10, 11)),
        (["10::-5"], [2], (0, 5, 10)),
        (["0:100:6"], [5], (0, 6)),
    ],
)
def test_ranges_count_as_in_python(
    train: list[int | str], test: list[int | str], slices: tuple[int, ...], sample: SampleFolder
) -> None:
    for z in range(12):
        tifffile.imwrite(sample.root / "annotations" / f"slice_{z}.tif", label_plane(20, 33, z))
    sample.content["annotations"] |= {"train": train, "test": test, "unused": "ignore"}
    assert made(sample).train_slices == slices


@pytest.mark.parametrize("entry", ["12:", "5:5", "0:9:0", "3:0"])
def test_a_range_without_slices_is_refused(entry: str, sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [entry]
    assert f"range '{entry}' holds no slice; the slices are 0 to 11" in refusal(sample, AnnotationError)


def test_a_slice_in_a_range_and_beside_it_is_listed_twice(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = ["2:11:8", 2]
    assert "slice 2 (2) is listed twice" in refusal(sample, AnnotationError)


def test_label_files_that_no_list_names_are_ignored_on_request(sample: SampleFolder) -> None:
    sample.content["annotations"] |= {"train": [2]}
    tifffile.imwrite(sample.root / "annotations" / "slice_3.tif", label_plane(7, 7))
    message = refusal(sample, AnnotationError)
    assert "slice_10.tif annotates slice 10, which is listed in neither" in message
    assert "'unused: ignore'" in message
    sample.content["annotations"]["unused"] = "ignore"
    stack = made(sample)
    assert (stack.train_slices, stack.test_slices) == ((2,), (5,))


def test_a_label_file_without_a_slice_is_an_error_even_then(sample: SampleFolder) -> None:
    sample.content["annotations"]["unused"] = "ignore"
    tifffile.imwrite(sample.root / "annotations" / "slice_77.tif", label_plane(20, 33))
    assert "slice_77.tif is an annotation for a slice that does not exist" in refusal(sample, AnnotationError)


def test_all_faults_of_files_are_named_at_once(sample: SampleFolder) -> None:
    for name, z in (("ICE", 3), ("ICE", 4), ("TLD", 5)):
        tifffile.imwrite(sample.root / name / f"slice_{z}.tif", np.zeros((20, 33, 3), np.uint8), photometric="rgb")
    (sample.root / "annotations" / "slice_2.tif").write_bytes(b"II*\0")
    lines = refusal(sample, StackError).splitlines()
    files = ("ICE/slice_4.tif and 1 more: it is a colour image", "annotations/slice_2.tif")
    assert all(file in line for file, line in zip(files, lines, strict=True))


def test_all_faults_of_annotations_are_named_at_once(sample: SampleFolder) -> None:
    del sample.content["voxel_nm"]
    sample.content["annotations"] |= {"train": [2, 99, "x"], "test": ["5"]}
    message = refusal(sample, StackError)
    for part in (
        "no file contains the voxel size",
        "slice 99 does not",
        "no image has the stem 'x'",
        "no image has the stem '5'",
    ):
        assert part in message


def test_faults_of_values_are_named_for_every_slice(sample: SampleFolder) -> None:
    for z, value in ((2, 42), (5, 43)):
        tifffile.imwrite(sample.root / "annotations" / f"slice_{z}.tif", np.full((20, 33), value, np.uint8))
    message = refusal(sample, AnnotationError)
    assert "slice_2.tif: value 42" in message
    assert "slice_5.tif: value 43" in message


def test_faults_of_the_description_and_of_images_are_named_at_once(sample: SampleFolder) -> None:
    (sample.root / "ICE" / "slice_7.tif").unlink()
    sample.content["colour"] = "grey"
    sample.content["annotations"]["mapping"] = {0: "pore", 7: "hydrat"}
    message = refusal(sample, ConfigError)
    assert "unknown key 'colour'" in message
    assert "detectors ICE and TLD have 11 and 12 slices (without a partner:" in message


def test_micrographs_are_paired_by_what_their_patterns_leave_open(tmp_path: Path) -> None:
    """In whatever order their names stand: '-' is before '_', and after it if that is left out."""
    ice, tld = pixels(3, 8, 9, seed=1), pixels(3, 8, 9, seed=2)
    for z, name in enumerate(("a", "a-b", "c")):
        tifffile.imwrite(tmp_path / f"{name}_ICE.tif", ice[z])
        tifffile.imwrite(tmp_path / f"TLD {name}.tif", tld[z])
    sample = SampleFolder(tmp_path)
    sample.content["independent"] = True
    sample.content["detectors"] = {
        "ICE": {"source": ".", "files": "*_ICE.tif"},
        "TLD": {"source": ".", "files": "TLD *"},
    }
    stack = made(sample)
    for z in range(3):
        where = ["a", "a-b", "c"].index(stack.slice_names[z].removesuffix("_ICE"))
        np.testing.assert_array_equal(stack.read_slab(z, ["ICE", "TLD"], 1), [ice[where], tld[where]])


def test_micrographs_without_numbers_take_no_label_by_its_number(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", pixels(2, 8, 9), pattern="{}")
    for z, name in enumerate(("first.tif", "other_5_7.tif")):
        (tmp_path / "ICE" / str(z)).rename(tmp_path / "ICE" / name)
    sample.content["independent"] = True
    sample.annotate({0: label_plane(8, 9)}, train=[0], test=[])
    assert "slice_0.tif is an annotation for a slice that does not exist" in refusal(sample, AnnotationError)
