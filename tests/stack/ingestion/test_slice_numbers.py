"""Which slice a file is: by its number, never by its place."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.errors import AnnotationError, AppError, ConfigError, StackError
from monai_app.stack import Stack, ingest
from tests.stack.samples import SampleFolder, label_plane, pixels, write_folder


@pytest.fixture
def small(tmp_path: Path) -> SampleFolder:
    """Two detectors, 6 slices of 8 x 9."""
    folder = SampleFolder(tmp_path)
    for seed, name in enumerate(("ICE", "TLD")):
        folder.detector(name, pixels(6, 8, 9, seed=seed))
    return folder


def made(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target)


def refuses(sample: SampleFolder, message: str, kind: type[AppError] = StackError) -> None:
    with pytest.raises(kind, match=message):
        made(sample)


def rename(folder: Path, pattern: str) -> None:
    for path in list(folder.iterdir()):
        path.rename(path.with_name(pattern.format(int(path.stem.split("_")[1]))))


def test_a_copy_of_a_slice_is_refused_though_the_counts_agree(small: SampleFolder) -> None:
    folder = small.root / "ICE"
    shutil.copy(folder / "slice_2.tif", folder / "slice_2 - Copy.tif")
    (folder / "slice_5.tif").unlink()
    refuses(
        small, r"slice_2( - Copy)?\.tif and slice_2( - Copy)?\.tif are both slice 2 by 'slice_\{\}\*'; remove the one"
    )


def test_a_digit_of_the_detector_is_not_the_slice(small: SampleFolder) -> None:
    for name, digit in (("ICE", 2), ("TLD", 1)):
        rename(small.root / name, f"slice_{{:04d}}_T{digit}.tif")
    np.testing.assert_array_equal(made(small).read_slab(3, ["ICE", "TLD"], 1)[1], small.images["TLD"][3])
    (small.root / "ICE" / "slice_0002_T2.tif").unlink()
    (small.root / "TLD" / "slice_0004_T1.tif").unlink()
    shutil.rmtree(small.target)
    refuses(small, r"have 5 and 5 slices \(without a partner: .*ICE/slice_0004_T2\.tif, .*TLD/slice_0002_T1\.tif")


def test_depths_are_ordered_by_their_value(tmp_path: Path) -> None:
    sample, stack = SampleFolder(tmp_path), pixels(6, 8, 9)
    sample.detector("ICE", stack)
    for z in range(6):
        (tmp_path / "ICE" / f"slice_{z}.tif").rename(tmp_path / "ICE" / f"z{z * 0.05:g}um.tif")
    store = made(sample)
    assert (store.slice_numbers, store.gaps) == ((0, 0.05, 0.1, 0.15, 0.2, 0.25), ())
    for z in range(6):
        np.testing.assert_array_equal(store.read_slab(z, ["ICE"], 1)[0], stack[z])


def test_names_that_do_not_fit_the_others_are_refused(small: SampleFolder) -> None:
    tifffile.imwrite(small.root / "ICE" / "overview.tif", pixels(1, 8, 9)[0])
    refuses(small, r"overview\.tif does not fit 'slice_\{\}\*'.*'numbers: \{pattern: \.\.\.\}'")


def test_a_link_that_leads_nowhere_is_refused(small: SampleFolder) -> None:
    path = small.root / "ICE" / "slice_3.tif"
    path.rename(small.root / "moved.tif")
    path.symlink_to(small.root / "lost.tif")
    refuses(small, r"slice_3\.tif is a link to .*lost\.tif, which does not exist")


@pytest.mark.parametrize("how", ["same folder", "link to the folder", "links to the files", "hard links"])
def test_one_folder_is_not_two_detectors(small: SampleFolder, how: str) -> None:
    shutil.rmtree(small.root / "TLD")
    if how == "same folder":
        small.content["detectors"]["TLD"] = "./ICE"
    elif how == "link to the folder":
        (small.root / "TLD").symlink_to(small.root / "ICE")
    else:
        (small.root / "TLD").mkdir()
        for path in (small.root / "ICE").iterdir():
            (os.symlink if how == "links to the files" else os.link)(path, small.root / "TLD" / path.name)
    refuses(small, r"detectors ICE and TLD have the same images: .*slice_0\.tif are the same file")


def without(sample: SampleFolder, *numbers: int) -> None:
    for name in sample.images:
        for number in numbers:
            (sample.root / name / f"slice_{number}.tif").unlink()


def test_a_gap_is_refused_unless_the_description_says_what_it_means(small: SampleFolder) -> None:
    without(small, 2, 3)
    refuses(small, r"slices 2 to 3 are missing of 0 to 5; .*'numbers: \{gaps: keep\}'.*'numbers: \{gaps: ignore\}'")
    small.content["numbers"] = {"gaps": "keep"}
    lines: list[str] = []
    stack = ingest(small.write(), small.target, report=lines.append)
    assert lines == [f"{name}: slices 0 to 5 (slice_{{}}*) without 2 to 3" for name in ("ICE", "TLD")]
    assert (stack.slice_numbers, stack.gaps) == ((0, 1, 4, 5), (2,))
    ice = small.images["ICE"]
    np.testing.assert_array_equal(stack.read_slab(1, ["ICE"], 3), ice[[0, 1, 1]])
    np.testing.assert_array_equal(stack.read_slab(2, ["ICE"], 3), ice[[4, 4, 5]])
    small.content["numbers"] = {"gaps": "ignore"}
    closed = ingest(small.write(), small.target, overwrite=True)
    assert (closed.gaps, closed.slice_numbers) == ((), stack.slice_numbers)
    np.testing.assert_array_equal(closed.read_slab(1, ["ICE"], 3), ice[[0, 1, 4]])
    assert closed.identity != stack.identity


def test_numbers_that_grow_evenly_have_no_gap(small: SampleFolder) -> None:
    without(small, 1, 3, 5)
    assert (made(small).slice_numbers, made_again(small).gaps) == ((0, 2, 4), ())


def made_again(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target, overwrite=True)


def test_the_description_may_say_where_the_number_stands(small: SampleFolder) -> None:
    for name in small.images:
        rename(small.root / name, "z{0}_t{0}.tif")
    refuses(small, "ICE: names such as 'z.*' and 'z.*' differ in several numbers")
    small.content["numbers"] = {"pattern": "z{}_*"}
    assert made(small).slice_names == tuple(f"z{z}_t{z}" for z in range(6))


@pytest.mark.parametrize("pattern", ["slice", "{}_{}", "*{}"])
def test_a_pattern_that_does_not_say_it_is_refused(small: SampleFolder, pattern: str) -> None:
    small.content["numbers"] = {"pattern": pattern}
    refuses(small, r"numbers::pattern: .* does not contain the place of the number; write it as \{\}", ConfigError)


def test_names_without_numbers_pair_by_name(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    for seed, name in enumerate(("ICE", "TLD")):
        sample.detector(name, pixels(3, 8, 9, seed=seed))
        for z, letter in enumerate("abc"):
            (tmp_path / name / f"slice_{z}.tif").rename(tmp_path / name / f"{letter}.tif")
    assert made(sample).slice_names == ("a", "b", "c")
    (tmp_path / "TLD" / "b.tif").rename(tmp_path / "TLD" / "d.tif")
    shutil.rmtree(sample.target)
    refuses(sample, r"without a partner: .*ICE/b\.tif, .*TLD/d\.tif")


def test_numbers_that_start_elsewhere_in_one_detector_are_refused(small: SampleFolder) -> None:
    """Nothing but their places would pair them."""
    rename(small.root / "TLD", "slice_1{:02d}.tif")
    refuses(small, r"have 6 and 6 slices \(without a partner: ")


def test_the_slices_of_one_file_are_counted(tmp_path: Path) -> None:
    sample, stack = SampleFolder(tmp_path), pixels(4, 8, 9)
    tifffile.imwrite(tmp_path / "ice.tif", stack, photometric="minisblack")
    write_folder(tmp_path / "TLD", pixels(4, 8, 9, seed=1), "s{}1.tif")
    sample.content["detectors"] = {"ICE": "ice.tif", "TLD": "TLD"}
    assert made(sample).slice_numbers == (1, 11, 21, 31)


def annotated(sample: SampleFolder, names: dict[int, str]) -> SampleFolder:
    sample.annotate({z: label_plane(8, 9, z) for z in names}, train=sorted(names)[:-1], test=sorted(names)[-1:])
    for z, name in names.items():
        (sample.root / "annotations" / f"slice_{z}.tif").rename(sample.root / "annotations" / f"{name}.tif")
    return sample


@pytest.mark.parametrize(
    "names",
    [
        {1: "slice_1_v2", 3: "slice_3_v2", 4: "slice_4_v2"},
        {1: "slice_0001_v2", 3: "slice_0003_v12", 4: "slice_0004"},
        {2: "labels of slice_2 (3)", 4: "labels of slice_4 (5)"},
        {1: "anna_01_v2", 3: "anna_03_v2"},
    ],
)
def test_a_version_is_not_the_slice_of_a_label_file(small: SampleFolder, names: dict[int, str]) -> None:
    stack = made(annotated(small, names))
    for z in names:
        plane = label_plane(8, 9, z)
        np.testing.assert_array_equal(stack.read_annotation(z), np.select([plane == 0, plane == 7], [1, 2], 0))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({1: "anna_01_v2"}, "it is unclear which number in 'anna_01_v2' is the slice number"),
        ({1: "slice_1_or_slice_2"}, "'slice_1_or_slice_2' names slices 1, 2"),
        ({1: "anna_1_2", 2: "anna_2_3"}, "differ in several numbers"),
        ({1: "slice_1_v1", 2: "slice_1_v2"}, "are both annotations of slice 1; remove one"),
    ],
)
def test_label_files_of_no_clear_slice_are_refused(small: SampleFolder, names: dict[int, str], message: str) -> None:
    refuses(annotated(small, names), message, AnnotationError)


def test_the_pattern_holds_for_label_files_too(small: SampleFolder) -> None:
    for name in small.images:
        rename(small.root / name, "{}_2026.tif")
    small.content["numbers"] = {"pattern": "{}_*"}
    assert made(annotated(small, {1: "1_3", 3: "3_1"})).train_slices == (1,)
