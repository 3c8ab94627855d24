from pathlib import Path

import pytest
import tifffile

from monai_app.errors import AnnotationError
from monai_app.io.opening import open_planes
from monai_app.stack.ingestion.slice_index import SliceIndex
from tests.stack.samples import pixels, write_folder


@pytest.fixture
def index(tmp_path: Path) -> SliceIndex:
    """Slices 101..112, called SE_101 by one detector and tld-101 by the other."""
    stack = pixels(13, 4, 5)[1:]
    for detector, pattern in (("ICE", "SE_{}.tif"), ("TLD", "tld-{}.tif")):
        write_folder(tmp_path / detector, stack, pattern)
        for z in reversed(range(12)):
            (tmp_path / detector / pattern.format(z)).rename(tmp_path / detector / pattern.format(z + 101))
    return SliceIndex({name: open_planes(tmp_path / name).numbered() for name in ("ICE", "TLD")})


def test_names_are_those_of_the_first_detector(index: SliceIndex) -> None:
    assert index.names == tuple(f"SE_{number}" for number in range(101, 113))


@pytest.mark.parametrize(("entry", "z"), [(0, 0), (11, 11), ("SE_101", 0), ("tld-112", 11)])
def test_resolves_positions_and_stems(index: SliceIndex, entry: int | str, z: int) -> None:
    assert index.resolve(entry, "train") == z


@pytest.mark.parametrize("entry", [-1, 12, 101])
def test_refuses_positions_outside(index: SliceIndex, entry: int) -> None:
    with pytest.raises(AnnotationError, match=f"train: slice {entry} does not exist; the slices are 0 to 11"):
        index.resolve(entry, "train")


@pytest.mark.parametrize("entry", ["SE_5", "5", "101"])
def test_refuses_unknown_stems(index: SliceIndex, entry: str) -> None:
    with pytest.raises(AnnotationError, match="train: no image has the stem"):
        index.resolve(entry, "train")


@pytest.mark.parametrize(("name", "z"), [("SE_103", 2), ("tld-103", 2), ("labels_0103", 2), ("103", 2), ("x", None)])
def test_matches_label_files_by_stem_then_number(index: SliceIndex, name: str, z: int | None) -> None:
    assert index.match([name]) == [z]


def test_a_number_that_all_slices_share_is_not_theirs(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(3, 4, 5), "slice_{}_run1.tif")
    index = SliceIndex({"ICE": open_planes(tmp_path).numbered()})
    assert index.match(["slice_2_run1", "labels_0", "my slice_1 of run 2"]) == [2, 0, 1]


def test_number_is_z_for_a_multi_page_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "run7.tif", pixels(12, 4, 5), photometric="minisblack")
    index = SliceIndex({"ICE": open_planes(tmp_path / "run7.tif")})
    assert index.match(["label_0010", "label_12"]) == [10, None]
    assert index.resolve("run7_0003", "test") == 3


def test_folder_names_win_over_pages(tmp_path: Path) -> None:
    stack = pixels(3, 4, 5)
    tifffile.imwrite(tmp_path / "ice.tif", stack, photometric="minisblack")
    write_folder(tmp_path / "TLD", stack[1:], "s{}9.tif")
    write_folder(tmp_path / "TLD", stack[:1], "s29.tif")
    index = SliceIndex({"ICE": open_planes(tmp_path / "ice.tif"), "TLD": open_planes(tmp_path / "TLD").numbered()})
    assert index.names == ("s09", "s19", "s29")
    assert index.match(["label_19", "label_1"]) == [1, None]
