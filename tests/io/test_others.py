"""HDF5, MRC, OME-Zarr, PNG and EMD, as other programs' libraries write them: pixels, sizes, parts, what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import numpy as np
import pytest
import zarr
from PIL import Image

from monai_app.errors import StackError
from monai_app.io import Request, open_planes
from monai_app.io.formats import arrays
from monai_app.io.grey import GreyMapping
from tests.io.written import (
    Pixels,
    by_h5py,
    by_mrcfile,
    by_ome_zarr,
    by_pillow,
    by_rosetta,
    labels_by_ome_zarr,
)
from tests.stack.samples import pixels

STACK = pixels(5, 7, 9)
STACK16 = pixels(5, 7, 9, "uint16")

WRITERS: dict[str, tuple[str, Pixels, Callable[[Path, Pixels], object]]] = {
    "HDF5": ("a.h5", STACK16, by_h5py),
    "HDF5, big-endian": ("a.h5", STACK16, lambda path, stack: by_h5py(path, stack.astype(">u2"))),
    "HDF5, chunks": (
        "a.hdf5",
        STACK,
        lambda path, stack: by_h5py(path, stack, "t/volume", chunks=(2, 4, 4), compression="gzip", shuffle=True),
    ),
    "MRC": ("a.mrc", STACK16, by_mrcfile),
    "OME-Zarr 0.4": ("a.zarr", STACK, lambda path, stack: by_ome_zarr(path, stack, "0.4")),
    "OME-Zarr 0.5": ("a.ome.zarr", STACK16, by_ome_zarr),
    "OME-Zarr, one channel": ("a.zarr", STACK, lambda path, stack: by_ome_zarr(path, stack[None], axes="czyx")),
    "PNG": ("a", STACK, by_pillow),
    "PNG, 16 bit": ("a", STACK16, by_pillow),
    "EMD": ("a.emd", STACK16, by_rosetta),
}


@pytest.mark.parametrize(("name", "stack", "write"), WRITERS.values(), ids=WRITERS)
def test_what_others_write_is_read_plane_by_plane(
    tmp_path: Path, name: str, stack: Pixels, write: Callable[[Path, Pixels], object]
) -> None:
    write(tmp_path / name, stack)
    source = open_planes(tmp_path / name)
    assert (len(source), source.shape, source.dtype) == (len(stack), stack.shape[1:], stack.dtype)
    np.testing.assert_array_equal(list(source.planes()), stack)
    np.testing.assert_array_equal(source.plane(3), stack[3])
    assert source.plane(3).dtype.isnative
    assert source.files[0].recorded.voxel_nm == (None, None, None)


def h5_with_size(path: Path) -> None:
    by_h5py(path, STACK)
    with h5py.File(path, "a") as file:
        file["volume"].attrs["element_size_um"] = (0.02, 0.01, 0.005)


SIZES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "HDF5": ("a.h5", h5_with_size),
    "MRC": ("a.mrc", lambda path: by_mrcfile(path, STACK16, (50, 100, 200))),
    "OME-Zarr 0.4": ("a.zarr", lambda path: by_ome_zarr(path, STACK, "0.4", scale=(0.02, 0.01, 0.005))),
    "OME-Zarr 0.5": ("a.zarr", lambda path: by_ome_zarr(path, STACK, scale=(20, 10, 5), unit="nanometer")),
    "EMD": ("a.emd", lambda path: by_rosetta(path, STACK, sizes=((20, "nm"), (10, "nm"), (0.005, "um")))),
}


@pytest.mark.parametrize(("name", "write"), SIZES.values(), ids=SIZES)
def test_the_voxel_size_is_what_the_file_says(tmp_path: Path, name: str, write: Callable[[Path], object]) -> None:
    write(tmp_path / name)
    assert open_planes(tmp_path / name).files[0].recorded.voxel_nm == pytest.approx((20, 10, 5), rel=1e-6)


def test_a_resolution_is_a_size_where_no_print_has_it(tmp_path: Path) -> None:
    by_pillow(tmp_path / "a", STACK, dpi=(2.54e6, 5.08e6))
    assert open_planes(tmp_path / "a").files[0].recorded.voxel_nm[1:] == pytest.approx((5, 10), rel=1e-4)
    by_pillow(tmp_path / "a", STACK, dpi=(300, 300))
    assert open_planes(tmp_path / "a").files[0].recorded.voxel_nm == (None, None, None)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_channels_of_ome_zarr_have_names(tmp_path: Path, version: str) -> None:
    stack = np.stack([STACK, 255 - STACK])
    group = by_ome_zarr(tmp_path / "a.zarr", stack, version, axes="czyx")
    with pytest.raises(StackError, match=r"a\.zarr holds 2 channels \(0, 1\)"):
        open_planes(tmp_path / "a.zarr")
    omero = {"channels": [{"label": "ICE"}, {"label": "TLD"}]}
    attributes: Any = dict(group.attrs)
    group.attrs.update({"omero": omero} if version == "0.4" else {"ome": {**attributes["ome"], "omero": omero}})
    for channel, expected in (("TLD", stack[1]), (0, stack[0])):
        source = open_planes(tmp_path / "a.zarr", Request(channel=channel))
        np.testing.assert_array_equal(list(source.planes()), expected)
    with pytest.raises(StackError, match=r"holds 2 channels: ICE, TLD, and no channel 'SE'"):
        open_planes(tmp_path / "a.zarr", Request(channel="SE"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_label_images_of_ome_zarr_are_named(tmp_path: Path, version: str) -> None:
    group = by_ome_zarr(tmp_path / "a.zarr", STACK, version)
    labels_by_ome_zarr(group, "cells", STACK % 3)
    with pytest.raises(StackError, match=r"label images \(labels/cells\); select one, .*'dataset: labels/cells'"):
        open_planes(tmp_path / "a.zarr", Request(labels=True))
    source = open_planes(tmp_path / "a.zarr", Request(labels=True, dataset="labels/cells"))
    np.testing.assert_array_equal(list(source.planes()), STACK % 3)
    for dataset in ("labels/none", "../a.zarr", "labels"):
        with pytest.raises(StackError, match=r"a\.zarr"):
            open_planes(tmp_path / "a.zarr", Request(labels=True, dataset=dataset))


@pytest.mark.parametrize("codec", ["pickle", "base64"])
def test_codecs_that_do_more_than_to_unpack_are_not_used(tmp_path: Path, codec: str) -> None:
    by_ome_zarr(tmp_path / "a.zarr", STACK, "0.4")
    file = tmp_path / "a.zarr" / "s0" / ".zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), "compressor": {"id": codec}}))
    with pytest.raises(StackError, match=r"object_codec_id': 'pickle'|packed by base64, which is not read"):
        open_planes(tmp_path / "a.zarr")


def test_which_dataset_is_meant_is_asked(tmp_path: Path) -> None:
    by_h5py(tmp_path / "a.h5", STACK, "ICE")
    by_h5py(tmp_path / "a.h5", 255 - STACK, "g/TLD")
    by_h5py(tmp_path / "a.h5", np.arange(5), "z")
    with pytest.raises(StackError, match=r"it has 2 datasets of pixels \(ICE, g/TLD\); select one"):
        open_planes(tmp_path / "a.h5")
    with pytest.raises(StackError, match=r"no dataset 'SE' of pixels; it has ICE, g/TLD"):
        open_planes(tmp_path / "a.h5", Request(dataset="SE"))
    source = open_planes(tmp_path / "a.h5", Request(dataset="/g/TLD"))
    np.testing.assert_array_equal(list(source.planes()), 255 - STACK)


def test_pixels_in_other_files_are_not_read(tmp_path: Path) -> None:
    by_h5py(tmp_path / "secret.h5", STACK)
    (tmp_path / "secret.raw").write_bytes(STACK.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("secret.h5", "volume")
        file.create_dataset("raw", STACK.shape, "u1", external=[(str(tmp_path / "secret.raw"), 0, STACK.size)])
        layout = h5py.VirtualLayout(STACK.shape, "u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "volume", STACK.shape)
        file.create_virtual_dataset("virtual", layout)
    for dataset, message in (("link", "no dataset"), ("raw", "other files"), ("virtual", "other files")):
        with pytest.raises(StackError, match=rf"a\.h5.*{message}"):
            open_planes(tmp_path / "a.h5", Request(dataset=dataset))


@pytest.mark.parametrize("axes", ["czyx", "zcyx"])
def test_named_axes_of_hdf5_may_be_channels(tmp_path: Path, axes: str) -> None:
    stack = np.stack([STACK, 255 - STACK], axes.index("c"))
    by_h5py(tmp_path / "a.h5", stack, chunks=(1, 2, 4, 4))
    with pytest.raises(StackError, match=r"axes of \(\d, \d, 7, 9\) without names"):
        open_planes(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        for dimension, axis in zip(file["volume"].dims, axes, strict=True):
            dimension.label = axis
    source = open_planes(tmp_path / "a.h5", Request(channel=1))
    np.testing.assert_array_equal(list(source.planes()), 255 - STACK)
    np.testing.assert_array_equal(source.plane(4), 255 - STACK[4])


def test_axes_that_are_turned_are_refused(tmp_path: Path) -> None:
    by_h5py(tmp_path / "a.h5", STACK)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["volume"].attrs["axistags"] = '{"axes": [{"key": "x"}, {"key": "y"}, {"key": "z"}]}'
    with pytest.raises(StackError, match=r"its axes are xyz with sizes \(5, 7, 9\)"):
        open_planes(tmp_path / "a.h5")


def test_chunks_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_h5py(tmp_path / "a.h5", STACK, chunks=(5, 7, 9))
    monkeypatch.setattr(arrays, "_LARGEST_CHUNK", 200)
    with pytest.raises(StackError, match=r"its chunks of \(5, 7, 9\) take 315 bytes each and may take 200"):
        open_planes(tmp_path / "a.h5")


def test_unsigned_bytes_of_imod(tmp_path: Path) -> None:
    """Mode 0 is signed by the standard; IMOD says where it is not."""
    by_mrcfile(tmp_path / "a.mrc", STACK.view(np.int8))
    with pytest.raises(StackError, match="8-bit pixels of type int8"):
        open_planes(tmp_path / "a.mrc")
    with mrcfile.open(tmp_path / "a.mrc", "r+") as file:
        file.header.extra2 = np.frombuffer(b"\0" * 40 + np.array([1146047817, 0], "<i4").tobytes() + b"\0" * 36, "V84")
    source = open_planes(tmp_path / "a.mrc")
    np.testing.assert_array_equal(list(source.planes()), STACK)


@pytest.mark.parametrize(("mode", "dtype"), [(0, "int8"), (1, "int16"), (2, "float32")])
def test_other_modes_of_mrc_are_mapped(tmp_path: Path, mode: int, dtype: str) -> None:
    stack = (STACK.astype(np.float32) - 128).astype(dtype)
    by_mrcfile(tmp_path / "a.mrc", stack)
    with mrcfile.open(tmp_path / "a.mrc") as file:
        assert file.header.mode == mode
    source = open_planes(tmp_path / "a.mrc", Request(mapped=True))
    grey = replace(source, grey=GreyMapping(-128, 127, "uint8"))
    np.testing.assert_array_equal(list(grey.planes()), STACK)


def test_the_distance_of_a_series_of_images_is_not_known(tmp_path: Path) -> None:
    """Its cell says nothing of z."""
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(STACK16)
        file.set_image_stack()
        file.voxel_size = (50, 100, 200)
    assert open_planes(tmp_path / "a.mrc").files[0].recorded.voxel_nm[1:] == pytest.approx((10, 5))
    assert open_planes(tmp_path / "a.mrc").files[0].recorded.voxel_nm[0] is None


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_labels_are_indices_of_png(tmp_path: Path, bits: int) -> None:
    labels = (STACK[0].astype(int) % 2**bits).astype(np.uint8)
    image = Image.fromarray(labels).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([value for each in range(2**bits) for value in (each, 255 - each, 7)])
    image.save(tmp_path / "palette.png", bits=bits)
    file = open_planes(tmp_path / "palette.png", Request(labels=True)).files[0]
    np.testing.assert_array_equal(next(file.planes()), labels)
    colours = file.colours(0)
    assert colours is not None
    assert (colours[:, 1] // 257).tolist() == [1, 254, 7]
    with pytest.raises(StackError, match=r"palette\.png: its pixels are indices into a colour table"):
        open_planes(tmp_path / "palette.png")


def test_grey_png_of_few_bits_are_labels_only(tmp_path: Path) -> None:
    Image.fromarray(STACK[0] > 99).save(tmp_path / "mask.png")
    plane = open_planes(tmp_path / "mask.png", Request(labels=True)).plane(0)
    np.testing.assert_array_equal(plane, STACK[0] > 99)
    with pytest.raises(StackError, match=r"mask\.png: it holds 1-bit pixels"):
        open_planes(tmp_path / "mask.png")


def cut_mrc(path: Path) -> None:
    by_mrcfile(path, STACK16)
    path.write_bytes(path.read_bytes()[:-1])


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "colour PNG": ("a.png", lambda path: Image.new("RGB", (5, 5)).save(path), "it is a colour image"),
    "transparent PNG": ("a.png", lambda path: Image.new("LA", (5, 5)).save(path), "or has transparency"),
    "no PNG": ("a.png", lambda path: path.write_bytes(b"no PNG, whatever it is called"), "not begin as a PNG"),
    "no HDF5": ("a.h5", lambda path: path.write_bytes(b"no HDF5 file"), "cannot be read"),
    "no pixels": ("a.h5", lambda path: by_h5py(path, np.arange(3)), "0 datasets of pixels"),
    "no MRC": ("a.mrc", lambda path: path.write_bytes(bytes(2000)), "cannot be read"),
    "cut MRC": ("a.mrc", cut_mrc, "truncated"),
    "no image": ("a.zarr", lambda path: zarr.create_group(str(path)).create_group("0"), "no 'multiscales', but 0"),
    "no Zarr": ("a.zarr", lambda path: path.mkdir(), "there is no Zarr image"),
    "a file": ("a.zarr", lambda path: path.touch(), "is not a folder of the format OME-Zarr"),
    "damaged DM3": ("a.dm3", lambda path: path.write_bytes(b"no DM3"), "cannot be read"),
}


@pytest.mark.parametrize(("name", "write", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(tmp_path: Path, name: str, write: Callable[[Path], Any], message: str) -> None:
    write(tmp_path / name)
    with pytest.raises(StackError, match=rf"{name}.*{message}"):
        list(open_planes(tmp_path / name).planes())


def test_what_an_extra_reads_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dm3").touch()
    monkeypatch.setitem(__import__("sys").modules, "rsciio", None)
    monkeypatch.delitem(__import__("sys").modules, "rsciio.digitalmicrograph", raising=False)
    with pytest.raises(StackError, match=r"a\.dm3: .*RosettaSciIO, which is not installed; .*monai-app\[microscopes\]"):
        open_planes(tmp_path / "a.dm3")
