"""What headers declare is compared with what is stored before memory is taken for it."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import tifffile

from monai_app.errors import StackError
from monai_app.io import open_planes
from monai_app.io.memory import check_backed, limited_memory
from tests.io.written import by_h5py, by_ome_zarr, by_rosetta
from tests.stack.samples import pixels

STACK = pixels(3, 7, 9)


def _lengthen_texts(path: Path) -> None:
    """Make every text in a heap of an HDF5 file 3 GB long: its length stands before the place of the heap."""
    content = bytearray(path.read_bytes())
    heaps = [found.start() for found in re.finditer(b"GCOL", content)]
    places = [found.start() for heap in heaps for found in re.finditer(re.escape(heap.to_bytes(8, "little")), content)]
    assert places
    for place in places:
        content[place - 4 : place] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(content)


def _hdf5(path: Path) -> None:
    by_h5py(path, STACK)
    with h5py.File(path, "a") as file:
        file["volume"].attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in "zyx"]})


@pytest.mark.parametrize(("name", "write"), [("a.h5", _hdf5), ("a.emd", lambda path: by_rosetta(path, STACK))])
def test_the_length_of_a_text_takes_no_memory(tmp_path: Path, name: str, write: Callable[[Path], object]) -> None:
    """HDF5 sets so many bytes to 0 before it looks for the text."""
    write(tmp_path / name)
    assert len(open_planes(tmp_path / name)) == 3
    _lengthen_texts(tmp_path / name)
    resource = pytest.importorskip("resource", reason="there is no such limit on Windows")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StackError, match=f"{name} cannot be read"):
        open_planes(tmp_path / name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kB


def _wide_tiff(path: Path) -> None:
    tifffile.imwrite(path, STACK[0], photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags["ImageWidth"].overwrite(1 << 29, dtype="I")


def _high_tiles(path: Path) -> None:
    tifffile.imwrite(path, STACK[0], photometric="minisblack", compression="zlib", metadata=None, tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags["TileLength"].overwrite(1 << 28, dtype="I")


def _empty_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("volume", (3, 1 << 16, 1 << 16), np.uint8, chunks=(1, 64, 64))


def _wide_zarr(path: Path) -> None:
    by_ome_zarr(path, STACK)
    file = next(each for each in path.rglob("zarr.json") if "shape" in json.loads(each.read_text()))
    content = json.loads(file.read_text())
    content["shape"] = [3, 7, 999_999_999]
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "write", "declared"),
    [
        ("a.tif", _wide_tiff, 7 << 29),
        ("a.tif", _high_tiles, 16 << 28),
        ("a.h5", _empty_hdf5, 1 << 32),
        ("a.zarr", _wide_zarr, 7 * 999_999_999),
    ],
)
def test_large_planes_without_bytes_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], object], declared: int
) -> None:
    write(tmp_path / name)
    with pytest.raises(StackError, match=f"{name}: it declares {declared} bytes per plane and has .*: it is damaged"):
        open_planes(tmp_path / name)


def test_large_chunks_of_a_single_slice_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("volume", (9, 9), np.uint8, chunks=(1 << 15, 1 << 15), maxshape=(None, None))
    with pytest.raises(StackError, match=r"its chunks of \(32768, 32768\) take 1073741824 bytes each"):
        open_planes(tmp_path / "a.h5")


def test_small_planes_and_well_packed_ones_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 14))
    check_backed(1 << 28, [])
    check_backed(1 << 29, [tmp_path / "a"])
    with pytest.raises(StackError):
        check_backed((1 << 29) + 1, [tmp_path / "a"])


def test_the_limit_holds_in_the_body_alone() -> None:
    if not hasattr(psutil.Process, "rlimit"):
        pytest.skip("only Linux limits memory")
    before = psutil.Process().rlimit(psutil.RLIMIT_DATA)
    with pytest.raises(StackError, match="more than 512 MB"), limited_memory():
        np.empty(1 << 30, np.uint8)
    assert psutil.Process().rlimit(psutil.RLIMIT_DATA) == before
    assert np.empty(1 << 30, np.uint8).size == 1 << 30


def test_threads_that_limit_memory_at_once_leave_no_limit_behind() -> None:
    def limit(_: int) -> None:
        with limited_memory():
            time.sleep(0.01)

    process = psutil.Process()
    before = process.rlimit(psutil.RLIMIT_DATA)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(limit, range(8)))
    assert process.rlimit(psutil.RLIMIT_DATA) == before
