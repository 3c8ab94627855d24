import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from monai_app.errors import StackError
from monai_app.io.opening import natural_order, open_planes
from monai_app.io.registry import stem
from monai_app.io.sources import Source
from monai_app.stack.ingestion.agreement import check_agreement
from tests.stack.samples import pixels, write_folder


def _names(paths: Iterable[Path]) -> list[str]:
    return [path.name for path in paths]


def test_slice_2_comes_before_slice_10(tmp_path: Path) -> None:
    for name in ("slice_10.tif", "slice_2.tif", "slice_1.TIFF", "Slice_3.tif"):
        (tmp_path / name).touch()
    ordered = natural_order(list(tmp_path.iterdir()))
    assert _names(ordered) == ["slice_1.TIFF", "slice_2.tif", "Slice_3.tif", "slice_10.tif"]


@given(
    numbers=st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True),
    prefix=st.sampled_from(["slice_", "SEM Image - ", "run3_z", ""]),
    width=st.integers(0, 7),
    seed=st.integers(0, 99),
)
def test_natural_order_is_the_order_of_the_numbers(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], prefix: str, width: int, seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    paths = [folder / f"{prefix}{number:0{width}d}_ICE.tif" for number in numbers]
    shuffled = random.Random(seed).sample(paths, len(paths))
    assert natural_order(shuffled) == [folder / f"{prefix}{n:0{width}d}_ICE.tif" for n in sorted(numbers)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a_1.tif", "a_1"), ("a.ome.tif", "a"), ("a.OME.TIFF", "a"), ("a.b.tif", "a.b"), ("a.1", "a")],
)
def test_stem(tmp_path: Path, name: str, expected: str) -> None:
    assert stem(tmp_path / name) == expected


def test_folder_in_natural_order_without_other_files(tmp_path: Path) -> None:
    stack = pixels(12, 5, 7)
    folder = write_folder(tmp_path / "ICE", stack)
    (folder / "notes.txt").write_text("no image")
    (folder / "._slice_3.tif").write_text("written by macOS")
    (folder / "sub").mkdir()
    source = open_planes(folder)
    assert source.names == tuple(f"slice_{z}" for z in range(12))
    assert (len(source), source.shape, source.dtype, source.is_folder) == (12, (5, 7), np.dtype(np.uint8), True)
    np.testing.assert_array_equal(list(source.planes()), stack)
    np.testing.assert_array_equal(source.plane(10), stack[10])


def test_multi_page_file(tmp_path: Path) -> None:
    stack = pixels(12, 5, 7, "uint16")
    tifffile.imwrite(tmp_path / "ICE.ome.tif", stack, metadata={"axes": "ZYX"})
    source = open_planes(tmp_path / "ICE.ome.tif")
    assert source.names == tuple(f"ICE_{z:04d}" for z in range(12))
    assert (len(source), source.shape, source.dtype, source.is_folder) == (12, (5, 7), np.dtype(np.uint16), False)
    np.testing.assert_array_equal(list(source.planes()), stack)
    np.testing.assert_array_equal(source.plane(10), stack[10])


def test_refuses_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "slice_1.jpg").touch()
    with pytest.raises(StackError, match="holds no image file"):
        open_planes(tmp_path)


def test_refuses_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="does not exist"):
        open_planes(tmp_path / "none")


def test_refuses_several_planes_in_a_file_of_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(3, 5, 7))
    tifffile.imwrite(tmp_path / "slice_1.tif", pixels(4, 5, 7), photometric="minisblack")
    with pytest.raises(StackError, match=r"slice_1\.tif holds 4 planes"):
        open_planes(tmp_path)


def test_refuses_the_same_stem_twice(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(3, 5, 7))
    tifffile.imwrite(tmp_path / "slice_1.tiff", pixels(1, 5, 7)[0])
    with pytest.raises(StackError, match=r"slice_1\.tiff? and slice_1\.tiff? have the same stem"):
        open_planes(tmp_path)


def test_names_the_unreadable_file(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(3, 5, 7))
    path = tmp_path / "slice_1.tif"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(StackError, match=r"slice_1\.tif: .*truncated"):
        open_planes(tmp_path)


def _detectors(
    tmp_path: Path, ice: npt.NDArray[np.integer[Any]], tld: npt.NDArray[np.integer[Any]], **options: Any
) -> dict[str, Source]:
    return {
        "ICE": open_planes(write_folder(tmp_path / "ICE", ice)).numbered(),
        "TLD": open_planes(write_folder(tmp_path / "TLD", tld, **options)).numbered(),
    }


def test_detectors_agree(tmp_path: Path) -> None:
    check_agreement(_detectors(tmp_path, pixels(4, 5, 7), pixels(4, 5, 7, seed=1), pattern="TLD {:03d}.TIF"))


def test_a_number_that_all_names_share_says_nothing(tmp_path: Path) -> None:
    check_agreement(_detectors(tmp_path, pixels(4, 5, 7), pixels(4, 5, 7), pattern="{}_at_17.tif"))


@pytest.mark.parametrize("slices", [3, 5])
def test_refuses_a_missing_or_extra_slice(tmp_path: Path, slices: int) -> None:
    with pytest.raises(StackError, match=rf"ICE and TLD have 4 and {slices} slices.*partner: .*slice_[34]\.tif"):
        check_agreement(_detectors(tmp_path, pixels(4, 5, 7), pixels(slices, 5, 7)))


def test_names_the_slice_missing_in_the_middle(tmp_path: Path) -> None:
    sources = _detectors(tmp_path, pixels(9, 5, 7), pixels(9, 5, 7))
    (tmp_path / "TLD" / "slice_4.tif").unlink()
    sources["TLD"] = open_planes(tmp_path / "TLD").numbered()
    with pytest.raises(StackError, match=r"without a partner: [^,]*ICE/slice_4\.tif\)"):
        check_agreement(sources)


def test_refuses_equal_counts_of_different_slices(tmp_path: Path) -> None:
    """Pairing by position would silently shift all slices between the two gaps."""
    _detectors(tmp_path, pixels(9, 5, 7), pixels(9, 5, 7))
    (tmp_path / "ICE" / "slice_2.tif").unlink()
    (tmp_path / "TLD" / "slice_6.tif").unlink()
    sources = {name: open_planes(tmp_path / name).numbered() for name in ("ICE", "TLD")}
    with pytest.raises(StackError, match=r"have 8 and 8 slices.*ICE/slice_6\.tif, .*TLD/slice_2\.tif"):
        check_agreement(sources)


def test_refuses_different_shapes(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ICE and TLD differ: 5 x 7 pixels, 8-bit, and 7 x 5 pixels, 8-bit"):
        check_agreement(_detectors(tmp_path, pixels(4, 5, 7), pixels(4, 7, 5)))


def test_refuses_different_bit_depth(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="8-bit, and 5 x 7 pixels, 16-bit"):
        check_agreement(_detectors(tmp_path, pixels(4, 5, 7), pixels(4, 5, 7, "uint16")))


def test_refuses_shapes_that_differ_within_a_detector(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(4, 5, 7))
    tifffile.imwrite(tmp_path / "slice_2.tif", pixels(1, 5, 8)[0])
    with pytest.raises(StackError, match=r"slice_2\.tif has 5 x 8 pixels but slice_0\.tif has 5 x 7"):
        check_agreement({"ICE": open_planes(tmp_path)})


def test_refuses_bit_depths_that_differ_within_a_detector(tmp_path: Path) -> None:
    write_folder(tmp_path, pixels(4, 5, 7))
    tifffile.imwrite(tmp_path / "slice_2.tif", pixels(1, 5, 7, "uint16")[0])
    with pytest.raises(StackError, match=r"slice_2\.tif is 16-bit but slice_0\.tif is 8-bit"):
        check_agreement({"ICE": open_planes(tmp_path)})
