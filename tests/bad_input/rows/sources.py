"""Detectors that are parts of files, files of other programs, and grey values that are mapped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from PIL import Image

from tests.bad_input.row import Make, Place, Row, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import DETECTORS, LINE, VOXEL, whole

Pixels = npt.NDArray[Any]

SCALE = {"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}
"""Pixels of 10 nm."""


def described(ice: str, write: Callable[[Path, Pixels], object], more: str = "") -> Make:
    """Make a sample whose first detector is what the description says; the slices are given to write it."""

    def make(place: Place) -> None:
        sample = place.copy("SAMPLE")
        write(sample, np.stack([tifffile.imread(sample / "ICE" / f"slice_{z}.tif") for z in range(8)]))
        edit_text(sample / "sample.yaml", DETECTORS, f"detectors: {{ICE: {ice}, TLD: TLD}}{more}")

    return make


def voxel(text: str) -> Make:
    """Make a sample whose description says another voxel size."""
    return lambda place: edit_text(place.copy("SAMPLE") / "sample.yaml", VOXEL, text)


def hyperstack(path: Path, volume: Pixels) -> None:
    stack = np.stack([volume, 255 - volume], 1)
    tifffile.imwrite(path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})


def hdf5(path: Path, volume: Pixels, *names: str) -> None:
    with h5py.File(path / "a.h5", "w") as file:
        for name in names or ("volume",):
            file[name] = volume


def hdf5_link(path: Path, volume: Pixels) -> None:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("volume", volume.shape, "u1", external=[("/etc/passwd", 0, volume.size)])


def mrc(path: Path, volume: Pixels) -> None:
    with mrcfile.new(path / "a.mrc") as file:
        file.set_data(volume)


def zarr_array(path: Path, volume: Pixels) -> None:
    zarr.create_group(str(path / "a.zarr")).create_array("0", data=volume)


def pngs(path: Path, volume: Pixels) -> None:
    for z, plane in enumerate(volume):
        (path / "ICE" / f"slice_{z}.tif").unlink()
        Image.fromarray(plane).save(path / "ICE" / f"slice_{z}.png")


def colour_png(path: Path, volume: Pixels) -> None:
    pngs(path, volume)
    Image.new("RGB", (80, 96)).save(path / "ICE" / "slice_3.png")


def written(change: Callable[[Pixels], Pixels], **options: Any) -> Callable[[Path, Pixels], None]:
    """Write both detectors anew."""

    def write(path: Path, _: Pixels) -> None:
        for each in [*(path / "ICE").iterdir(), *(path / "TLD").iterdir()]:
            tifffile.imwrite(each, change(tifffile.imread(each)), **options)

    return write


def scaled(sizes: dict[str, Any]) -> Callable[[Path, Pixels], None]:
    return written(lambda pixels: pixels, **sizes)


def untouched(path: Path, volume: Pixels) -> None:
    """Leave the files as they are."""


def bad(did: str, make: Make, *says: str) -> Row:
    return refused(did, LINE, *says, make=make)


def good(did: str, make: Make) -> Row:
    return taken(did, LINE, whole(), make=make)


ROWS = [
    bad("a file of two channels as a detector", described("a.tif", hyperstack), "2 channels", "channel: 0"),
    bad("channel 2 of two", described("{source: a.tif, channel: 2}", hyperstack), "no channel 2"),
    bad("a channel by a name that it has not", described("{source: a.tif, channel: SE}", hyperstack), "'SE'"),
    bad("a channel that is negative", described("{source: ICE, channel: -1}", untouched), "ICE::channel", "-1"),
    bad("a channel and a page", described("{source: ICE, channel: 0, page: 0}", untouched), "give only one"),
    bad("page 1 of files of one page", described("{source: ICE, page: 1}", untouched), "no page 1"),
    bad("a pattern that leaves out all files", described('{source: ICE, files: "!*"}', untouched), "'!*'"),
    bad("a pattern that no file fits", described('{source: ICE, files: "*_ICE_*"}', untouched), "'*_ICE_*'"),
    bad("a pattern for a file", described('{source: a.tif, files: "*"}', hyperstack), "leave it out"),
    bad("an unknown key of a detector", described("{source: ICE, chanel: 0}", untouched), "'chanel'", "'channel'"),
    bad("a detector without a source", described("{channel: 0}", untouched), "'source' is missing"),
    bad("a HDF5 file of two datasets", described("a.h5", lambda p, v: hdf5(p, v, "a", "b")), "2 datasets", "a, b"),
    bad("a dataset that is not there", described("{source: a.h5, dataset: c}", hdf5), "no dataset 'c'", "volume"),
    bad("a HDF5 file without pixels", described("a.h5", lambda p, v: hdf5(p, v[0, 0])), "0 datasets"),
    bad("a HDF5 file whose pixels are another file", described("a.h5", hdf5_link), "other files"),
    bad("a HDF5 file that is a text", described("a.h5", lambda p, _: (p / "a.h5").write_text("no")), "a.h5"),
    bad("a MRC file of signed bytes", described("a.mrc", lambda p, v: mrc(p, (v // 2).astype(np.int8))), "int8"),
    bad("a MRC file that is a text", described("a.mrc", lambda p, _: (p / "a.mrc").write_text("no")), "a.mrc"),
    bad("a Zarr group without OME metadata", described("a.zarr", zarr_array), "'multiscales'", "dataset: 0"),
    bad("an empty folder called `.zarr`", described("a.zarr", lambda p, _: (p / "a.zarr").mkdir()), "a.zarr"),
    bad("a dataset outside its folder", described("{source: a.zarr, dataset: ../b}", zarr_array), "'../b'"),
    bad("a colour PNG among grey ones", described("ICE", colour_png), "slice_3.png", "colour"),
    bad(
        "floats, and a range that is too small",
        described("ICE", written(lambda p: p.astype(np.float32)), "\ngrey: {from: [0, 9], to: uint8}"),
        "outside",
        "from: [",
    ),
    bad("a range without a type", described("ICE", untouched, "\ngrey: {from: [0, 9]}"), "belong together"),
    bad(
        "a range that is turned", described("ICE", untouched, "\ngrey: {from: [9, 0], to: uint8}"), "lower value first"
    ),
    bad("a range to another type", described("ICE", untouched, "\ngrey: {from: [0, 9], to: int16}"), "'int16'"),
    bad("`grey: {}`", described("ICE", untouched, "\ngrey: {}"), "has no effect"),
    bad(
        "files that say another pixel size",
        described("ICE", scaled({**SCALE, "resolution": (5e5, 5e5)})),
        "20 x 20",
        "voxel_nm",
    ),
    bad("a voxel size without z", voxel("voxel_nm: {y: 10, x: 10}"), "along z", "voxel_nm: {z: ...}"),
    good("two channels of a file", described("{source: a.tif, channel: 0}", hyperstack)),
    good("a HDF5 file", described("a.h5", hdf5)),
    good("a dataset of an array without metadata", described("{source: a.zarr, dataset: 0}", zarr_array)),
    good("a folder of PNGs", described("ICE", pngs)),
    good(
        "floats and their range",
        described("ICE", written(lambda p: p.astype(np.float32)), "\ngrey: {from: [0, 255], to: uint8}"),
    ),
    good(
        "0 as white, on request",
        described("ICE", written(lambda p: p, photometric="miniswhite"), "\ngrey: {inverted: true}"),
    ),
    good("a pixel size that files say", in_turn(described("ICE", scaled(SCALE)), voxel("voxel_nm: {z: 20}"))),
    good(
        "a pixel size that is right beside files that say another",
        described("ICE", scaled({**SCALE, "resolution": (5e5, 5e5)}), "\naccept: [voxel_size]"),
    ),
]
