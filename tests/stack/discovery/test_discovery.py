"""What `monai-app init` finds, and what it asks."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import nrrd
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import AppError, ConfigError, StackError, TargetExistsError
from monai_app.io.registry import open_text
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.stack.discovery import describe, discover, questions, write_description
from tests.stack.samples import pixels, write_folder

ICE, TLD = pixels(5, 20, 30, seed=1), pixels(5, 20, 30, seed=2)
LABELS = np.random.default_rng(3).choice(np.array([0, 1, 2], np.uint8), (5, 20, 30))
BOTH = np.stack([ICE, TLD], 1)
SIZED = {"PhysicalSizeX": 5, "PhysicalSizeY": 5, "PhysicalSizeZ": 0.02} | {
    f"PhysicalSize{axis}Unit": unit for axis, unit in (("X", "nm"), ("Y", "nm"), ("Z", "µm"))
}


def two_folders(root: Path) -> None:
    write_folder(root / "ICE", ICE, "{:04d}.tif")
    write_folder(root / "TLD", TLD, "{:04d}.tif")
    (root / "ICE" / "Thumbs.db").write_bytes(b"no image")
    (root / "ICE" / "._0001.tif").write_bytes(b"a resource fork")
    (root / "notes.txt").write_text("no image")


def names_in_one_folder(root: Path) -> None:
    write_folder(root, ICE, "my s_ICE_{}.tif")
    write_folder(root, TLD, "my s_TLD_{}.tif")


def names_that_end_in_digits(root: Path) -> None:
    write_folder(root, ICE, "{:04d}_ICE1.tif")
    write_folder(root, TLD, "{:04d}_TLD2.tif")


def names_without_a_mark(root: Path) -> None:
    write_folder(root, ICE, "ICE{}.tif")
    write_folder(root, TLD, "TLD{}.tif")


def a_file_each(root: Path) -> None:
    for name, stack in (("ICE", ICE), ("TLD", TLD)):
        tifffile.imwrite(root / f"cement_{name}.tif", stack, photometric="minisblack")


def channels_with_names(root: Path) -> None:
    names = {"Channel": {"Name": ["ICE", "TLD"]}}
    tifffile.imwrite(root / "a.ome.tif", BOTH, metadata={"axes": "ZCYX", **names, **SIZED})


def channels_without(root: Path) -> None:
    spaced = {"axes": "ZCYX", "spacing": 0.02, "unit": "um"}
    tifffile.imwrite(root / "a.tif", BOTH, imagej=True, resolution=(200, 200), metadata=spaced)


def datasets(root: Path) -> None:
    with h5py.File(root / "a.h5", "w") as file:
        file["raw/ICE"], file["raw/TLD"], file["labels"] = ICE, TLD, LABELS


def pages(root: Path) -> None:
    write_folder(root / "images", BOTH, "slice {}.tif", photometric="minisblack")


LAYOUTS: dict[Callable[[Path], None], tuple[str, ...]] = {
    two_folders: ("ICE", "TLD"),
    names_in_one_folder: ("ICE", "TLD"),
    names_that_end_in_digits: ("ICE1", "TLD2"),
    names_without_a_mark: ("ICE", "TLD"),
    a_file_each: ("ICE", "TLD"),
    channels_with_names: ("ICE", "TLD"),
    channels_without: ("channel_0", "channel_1"),
    datasets: ("ICE", "TLD"),
    pages: ("page_0", "page_1"),
}


def answered(text: str) -> str:
    """A description whose proposals were taken for the answers, with a voxel size."""
    lines = [line for line in text.splitlines() if "# ?" not in line]
    return re.sub(r"voxel_nm: \{z: , y: , x: \}", "voxel_nm: {z: 20, y: 10, x: 10}", "\n".join(lines))


def described(root: Path) -> str:
    return describe(discover([root]), root)


def made(root: Path) -> Stack:
    (root / "answered.yaml").write_text(answered(described(root)))
    return ingest(root / "answered.yaml", root / "made.ome.zarr")


def pixels_of(stack: Stack) -> npt.NDArray[np.integer]:
    return np.stack([stack.read_slab(z, stack.detectors, 1) for z in range(stack.shape[0])], 1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layouts_are_described_to_the_right_pixels(layout: Callable[[Path], None], tmp_path: Path) -> None:
    layout(tmp_path)
    stack = made(tmp_path)
    assert stack.detectors == LAYOUTS[layout]
    np.testing.assert_array_equal(pixels_of(stack), [ICE, TLD])
    asked = any("name of this detector" in question for question in questions(described(tmp_path)))
    assert asked == (layout in (channels_without, pages))


def test_labels_beside_images_are_found_with_their_slices(tmp_path: Path) -> None:
    names_in_one_folder(tmp_path)
    for z in (1, 3):
        tifffile.imwrite(tmp_path / f"my s_label_{z}.tif", LABELS[z])
    told: list[str] = []
    discover([tmp_path], told.append)
    assert any(re.search(r"2 labelled slices \(z 1, 3\); values 0 \(3\d", line) for line in told)
    stack = made(tmp_path)
    assert (stack.train_slices, stack.test_slices) == ((1,), (3,))
    np.testing.assert_array_equal(stack.read_annotation(3), LABELS[3])
    asked = "\n".join(questions(described(tmp_path)))
    assert "names of the phases" in asked
    assert "1, 2 are phases and 0 unlabelled" in asked
    assert "are for training" in asked


def test_phases_are_asked_for_without_labels_and_may_be_left_out(tmp_path: Path) -> None:
    two_folders(tmp_path / "raw")
    path = tmp_path / "sample.yaml"
    asked = write_description([tmp_path / "raw"], path, overwrite=False, report=lambda line: None)
    assert asked[1].startswith("Which phases are to be labelled?")
    without = answered(path.read_text())
    path.write_text(without)
    result = CliRunner().invoke(app, ["ingest", str(path), str(tmp_path / "bare.ome.zarr")])
    assert result.exit_code == 0, result.output
    assert result.output.count("no phases: annotations cannot be imported\n") == 1
    path.write_text(re.sub("^# (?=phases:|  - )", "", without, flags=re.MULTILINE))
    result = CliRunner().invoke(app, ["ingest", str(path), str(tmp_path / "with.ome.zarr")])
    assert result.exit_code == 0, result.output
    assert "no phases" not in result.output
    assert [phase.name for phase in Stack.open(tmp_path / "with.ome.zarr").phases] == ["pore", "matrix"]


def test_segments_of_slicer_have_their_names(tmp_path: Path) -> None:
    a_file_each(tmp_path)
    named = {
        f"Segment{n}_{key}": text
        for n, each in enumerate(({"Name": "pore", "LabelValue": "1"}, {"Name": "C-S-H #1", "LabelValue": "2"}))
        for key, text in each.items()
    }
    nrrd.write(str(tmp_path / "painted.seg.nrrd"), LABELS.T, named)
    text = described(tmp_path)
    assert "mapping: {1: pore, 2: C-S-H 1}" in text
    assert not any("names of the phases" in question for question in questions(text))
    assert [phase.name for phase in made(tmp_path).phases] == ["pore", "C-S-H 1"]


def test_micrographs_without_numbers_belong_to_their_labels_by_name(tmp_path: Path) -> None:
    names = ("S2_a", "10#x_b", "a-b_7(1)", "a_9", "q")
    for z, name in enumerate(names):
        tifffile.imwrite(tmp_path / f"{name}_image.tif", ICE[z])
        tifffile.imwrite(tmp_path / f"{name}_label.tif", LABELS[z])
    stack = made(tmp_path)
    assert stack.gaps == (1, 2, 3, 4)
    order = [names.index(name.removesuffix("_image")) for name in stack.slice_names]
    np.testing.assert_array_equal(pixels_of(stack)[0], ICE[order])
    for z in range(5):
        np.testing.assert_array_equal(stack.read_annotation(z), LABELS[order[z]])
    assert any("not neighbours" in question for question in questions(described(tmp_path)))


@pytest.mark.parametrize("name", ["annotations", "Labels", "my_masks"])
def test_folders_of_labels_are_no_detectors(name: str, tmp_path: Path) -> None:
    two_folders(tmp_path)
    write_folder(tmp_path / name, LABELS[:2], "{:04d}.tif")
    found = discover([tmp_path])
    assert list(found.detectors) == ["ICE", "TLD"]
    assert [facts.slices for facts in found.labels] == [(0, 1)]


def test_several_sources_of_labels_are_asked_about(tmp_path: Path) -> None:
    two_folders(tmp_path)
    for name in ("truth", "annotations"):
        write_folder(tmp_path / name, LABELS[:2], "{:04d}.tif")
    assert any("holds the annotations: annotations, truth?" in question for question in questions(described(tmp_path)))


def test_a_picture_of_few_values_is_asked_about(tmp_path: Path) -> None:
    two_folders(tmp_path)
    write_folder(tmp_path / "by_anna", LABELS, "{:04d}.tif")
    assert any("has few values, like labels" in question for question in questions(described(tmp_path)))


def test_what_does_not_agree_is_a_question(tmp_path: Path) -> None:
    write_folder(tmp_path / "ICE", ICE, "{:04d}.tif")
    write_folder(tmp_path / "TLD", TLD[:4, :10], "{:04d}.tif")
    asked = "\n".join(questions(described(tmp_path)))
    assert "have 5 and 4 slices (without a partner: ICE/0004.tif)" in asked
    assert "differ: 20 x 30 pixels" in asked


def test_missing_numbers_are_a_question(tmp_path: Path) -> None:
    two_folders(tmp_path)
    for name in ("ICE", "TLD"):
        (tmp_path / name / "0002.tif").unlink()
    text = described(tmp_path)
    assert any("Slices 2 are missing of 0 to 4" in question for question in questions(text))
    assert "numbers: {gaps: keep}" in text


def test_fractions_are_asked_about_with_their_range(tmp_path: Path) -> None:
    write_folder(tmp_path / "ICE", ICE.astype(np.float32) / 4 - 1, "{:04d}.tif")
    text = described(tmp_path)
    assert any("Values are from -1 to 62.75" in question for question in questions(text))
    assert "grey: {from: [-1, 62.75], to: uint16}" in text
    assert made(tmp_path).dtype == np.uint16


def test_detectors_of_which_some_call_0_white_are_not_all_turned(tmp_path: Path) -> None:
    write_folder(tmp_path / "ICE", ICE, "{:04d}.tif", photometric="miniswhite")
    write_folder(tmp_path / "TLD", 255 - ICE, "{:04d}.tif")
    text = described(tmp_path)
    assert any("Files of ICE say that 0 is white, those of the others do not" in each for each in questions(text))
    assert "grey: {" not in text.replace("'grey: {inverted: true}'", "")


def test_paths_elsewhere_stay_whole(tmp_path: Path) -> None:
    (folder := tmp_path / "data").mkdir()
    elsewhere = tmp_path / "mnt" / str(folder).strip("/") / "ICE"
    write_folder(elsewhere, ICE, "{:04d}.tif")
    assert str(elsewhere) in describe(discover([elsewhere]), folder)


def test_detectors_get_ranges_of_their_own(tmp_path: Path) -> None:
    write_folder(tmp_path / "SE", ICE.astype(np.float32) / 255, "{:04d}.tif")
    write_folder(tmp_path / "BSE", TLD.astype(np.float32) * 100, "{:04d}.tif")
    text = described(tmp_path)
    assert any("of BSE from 0 to 25500; of SE from 0 to 1: which become" in each for each in questions(text))
    assert "BSE: {source: BSE, grey: {from: [0, 25500], to: uint16}}" in text
    assert "\ngrey:" not in text
    np.testing.assert_array_equal(pixels_of(made(tmp_path))[0], np.rint(TLD * (65535 / 255)))


def labels_of_names(root: Path) -> None:
    for z, name in enumerate(("alpha", "beta", "gamma")):
        tifffile.imwrite(root / f"{name}.tif", ICE[z])
        tifffile.imwrite(root / f"{name}_label.tif", LABELS[z])


def labels_of_numbers(root: Path) -> None:
    write_folder(root, ICE, "slice 00{}.tif")
    for z in range(3):
        tifffile.imwrite(root / f"slice 00{z}-Mask.tif", LABELS[z])


def labels_as_png(root: Path) -> None:
    write_folder(root, ICE, "slice_{}.tif")
    for z in range(3):
        Image.fromarray(LABELS[z]).save(root / f"seg_slice_{z}.png")


def labels_of_one_detector(root: Path) -> None:
    write_folder(root, ICE, "s_ICE_{}.tif")
    write_folder(root, TLD, "s_TLD_{}.tif")
    for z in range(3):
        tifffile.imwrite(root / f"s_ICE_{z}_label.tif", LABELS[z])


def labels_in_a_detector_s_folder(root: Path) -> None:
    two_folders(root)
    for z in range(3):
        tifffile.imwrite(root / "ICE" / f"{z:04d}_gt.tif", LABELS[z])


def labels_of_a_file(root: Path) -> None:
    tifffile.imwrite(root / "cement.tif", ICE, photometric="minisblack")
    tifffile.imwrite(root / "cement_labels.tif", LABELS, photometric="minisblack")


@pytest.mark.parametrize(
    ("layout", "detectors", "slices"),
    [
        (labels_of_names, 1, 3),
        (labels_of_numbers, 1, 5),
        (labels_as_png, 1, 5),
        (labels_of_one_detector, 2, 5),
        (labels_in_a_detector_s_folder, 2, 5),
        (labels_of_a_file, 1, 5),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_labels_that_are_called_as_their_images_are_parted_from_them(
    layout: Callable[[Path], None], detectors: int, slices: int, tmp_path: Path
) -> None:
    layout(tmp_path)
    stack = made(tmp_path)
    np.testing.assert_array_equal(pixels_of(stack), [detector[:slices] for detector in (ICE, TLD)[:detectors]])
    assert {0, 1, 2} <= {*stack.train_slices, *stack.test_slices}
    for z in range(3):
        np.testing.assert_array_equal(stack.read_annotation(z), LABELS[z])


def test_labels_among_images_that_are_called_otherwise_are_asked_about(tmp_path: Path) -> None:
    labels_of_numbers(tmp_path)
    (tmp_path / "slice 000-Mask.tif").rename(tmp_path / "slice 009-Mask.tif")  # whose image is not there
    asked = " ".join(questions(described(tmp_path)))
    assert "Mask.tif is named like labels, but is among images" in asked


def test_names_without_numbers_are_a_question(tmp_path: Path) -> None:
    for z, name in enumerate(("alpha", "beta", "gamma")):
        tifffile.imwrite(tmp_path / f"{name}.tif", ICE[z])
    found = discover([tmp_path])
    assert [len(unit.source) for unit in found.detectors.values()] == [3]
    assert "File names contain no numbers" in found.problems[0]


def test_folders_that_are_called_alike_are_a_question(tmp_path: Path) -> None:
    for name, stack in (("monday", ICE), ("friday", TLD)):
        write_folder(tmp_path / name / "ICE", stack, "{}.tif")
    found = discover([tmp_path])
    assert list(found.detectors) == ["friday_ICE", "monday_ICE"]
    assert "or several samples?" in found.problems[0]


def test_folders_to_which_links_lead_count_once(tmp_path: Path) -> None:
    two_folders(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert list(discover([tmp_path]).detectors) == ["ICE", "TLD"]


def test_a_damaged_file_of_a_series_is_a_question(tmp_path: Path) -> None:
    two_folders(tmp_path)
    path = tmp_path / "TLD" / "0002.tif"
    path.write_bytes(path.read_bytes()[:300])
    assert any("TLD/0002.tif" in question for question in questions(described(tmp_path)))


def test_a_lone_file_that_is_no_grey_image_is_left_out(tmp_path: Path) -> None:
    two_folders(tmp_path)
    tifffile.imwrite(tmp_path / "overview.tif", np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    assert re.search(r"^# not used: overview\.tif: in colour; .* must be grey", described(tmp_path), re.MULTILINE)


@pytest.mark.parametrize("count", [4, 12])
def test_labels_in_colour_are_left_to_annotate(count: int, tmp_path: Path) -> None:
    two_folders(tmp_path)
    (tmp_path / "hand labels").mkdir()
    for number in range(count):
        Image.new("RGB", (30, 20), "red").save(tmp_path / "hand labels" / f"s{number:02d} painted.png")
    lines: list[str] = []
    found = discover([tmp_path], lines.append)
    assert list(found.detectors) == ["ICE", "TLD"]
    assert not found.problems
    (line,) = [line for line in lines if line.startswith("not used")]
    assert f"s00 painted.png and {count - 1} more: in colour" in line
    assert "'monai-app annotate STORE --from FOLDER'" in line


def test_a_detector_in_colour_is_a_question(tmp_path: Path) -> None:
    two_folders(tmp_path)
    for path in (tmp_path / "TLD").iterdir():
        tifffile.imwrite(path, np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    (question,) = [each for each in questions(described(tmp_path)) if "in colour" in each]
    assert question.startswith("TLD/0000.tif and 4 more: in colour")


def test_a_folder_in_which_nothing_is_open_is_ingested_directly(tmp_path: Path) -> None:
    channels_with_names(tmp_path)
    assert questions(described(tmp_path)) == []
    stack = ingest(tmp_path, tmp_path / "direct.ome.zarr")
    assert stack.voxel_nm == pytest.approx((20, 5, 5))
    np.testing.assert_array_equal(pixels_of(stack), [ICE, TLD])
    assert list(discover([tmp_path]).detectors) == ["ICE", "TLD"]  # the store is not an image of the sample


def test_a_folder_with_open_questions_says_what_they_are(tmp_path: Path) -> None:
    two_folders(tmp_path)
    with pytest.raises(ConfigError, match=r"leaves questions open; .*init.*\nNo file contains the voxel size in nm"):
        ingest(tmp_path, tmp_path / "direct.ome.zarr")


def test_a_folder_with_a_description_is_what_that_says(tmp_path: Path) -> None:
    two_folders(tmp_path)
    (tmp_path / "sample.yaml").write_text("{name: mine, voxel_nm: {z: 20, y: 10, x: 10}, detectors: {TLD: TLD}}")
    assert ingest(tmp_path, tmp_path / "direct.ome.zarr").name == "mine"


def test_open_questions_are_refused_with_their_lines(tmp_path: Path) -> None:
    two_folders(tmp_path)
    asked = write_description([tmp_path], tmp_path / "a.yaml", overwrite=False, report=lambda line: None)
    assert len(asked) == 2
    with pytest.raises(
        ConfigError, match=r"a\.yaml has open questions.*\nline 5: No file contains the voxel size in nm"
    ):
        SampleDescription.from_yaml(tmp_path / "a.yaml")


def test_the_command_tells_what_it_found_and_overwrites_nothing(tmp_path: Path) -> None:
    two_folders(tmp_path)
    words = ["init", str(tmp_path / "ICE"), str(tmp_path / "TLD"), "-o", str(tmp_path / "sample.yaml")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "ICE: 5 slices of 20 x 30 pixels, uint8 (ICE)" in result.output
    assert "2 open questions: answer" in result.output
    assert "  ICE: ICE\n" in (tmp_path / "sample.yaml").read_text()
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, TargetExistsError)
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda root: None, "no image file"), (lambda root: write_folder(root / "labels", LABELS), "no usable image")],
)
def test_folders_without_images_are_refused(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(StackError, match=message):
        discover([tmp_path])


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="nowhere does not exist"):
        discover([tmp_path / "nowhere"])


def test_names_with_brackets_are_told_apart(tmp_path: Path) -> None:
    write_folder(tmp_path, ICE, "x[1]_ICE_{}.tif")
    write_folder(tmp_path, TLD, "x[1]_TLD_{}.tif")
    np.testing.assert_array_equal(pixels_of(made(tmp_path)), [ICE, TLD])
    assert open_text(Path("a[1]_x.tif"), "a[[]1]_*") == "x"


def test_names_with_control_characters_are_told_escaped(tmp_path: Path) -> None:
    two_folders(tmp_path)
    (tmp_path / "TLD").rename(tmp_path / "T\x1bLD\n")
    text = described(tmp_path)
    assert any(r"T\x1bLD\n' contains control characters" in question for question in questions(text))
    assert text.isascii()
    with pytest.raises(ConfigError, match="contains control characters"):
        discover([tmp_path / "T\x1bLD\n"])


def test_real_files_of_microscopes_name_their_detector(real_data: Path) -> None:
    found = discover([real_data / "microscope_tiffs" / "SerialFIB_testimage2.tif"])
    assert list(found.detectors) == ["ICE"]
    assert found.sizes["y"][0] == pytest.approx(134.896)
    assert "z" not in found.sizes
