"""Headers, planes, truncation and damage, on files by tifffile (plain, ImageJ, OME), Pillow and SimpleITK."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
import tifffile
from PIL import Image

from monai_app.errors import StackError
from monai_app.io.base import Request
from monai_app.io.formats.tiff import open_tiff
from tests.stack.samples import pixels

STACK = pixels(6, 37, 29)
STACK16 = pixels(6, 37, 29, "uint16")
GREY: dict[str, Any] = {"photometric": "minisblack"}
ZYX: dict[str, Any] = {"metadata": {"axes": "ZYX"}}


Grey = npt.NDArray[np.integer[Any]]
Writer = tuple[str, Grey, Callable[[Path], object]]
"""A file's name, its planes (slices, rows, columns), and what writes it."""


def _tifffile(name: str, stack: Grey, **options: Any) -> Writer:
    return name, stack, lambda path: tifffile.imwrite(path, stack, **options)


def _pil(name: str, stack: Grey, **options: Any) -> Writer:
    frames = [Image.fromarray(plane) for plane in stack]
    return name, stack, lambda path: frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def _sitk(name: str, stack: Grey, **options: Any) -> Writer:
    return name, stack, lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack), str(path), **options)


WRITERS = [
    _tifffile("plane.tif", STACK[:1]),
    _tifffile("plane_big_endian.tif", STACK16[:1], byteorder=">"),
    _tifffile("lzw_strips.tif", STACK16[:1], compression="lzw", predictor=True, rowsperstrip=8),
    _tifffile("packbits.tif", STACK[:1], compression="packbits"),
    _tifffile("tiles.tif", STACK[:1], tile=(16, 16)),
    _tifffile("zlib_tiles.tif", STACK16[:1], tile=(16, 16), compression="zlib"),
    _tifffile("pages.tif", STACK, **GREY),
    _tifffile("zlib_pages.tif", STACK16, compression="zlib", **GREY),
    _tifffile("plain_pages.tif", STACK, metadata=None, **GREY),
    _tifffile("zstd_pages.tif", STACK, compression="zstd", **GREY),
    _tifffile("bigtiff.tif", STACK16, bigtiff=True, byteorder=">", **GREY),
    _tifffile("imagej.tif", STACK, imagej=True, **ZYX),
    _tifffile("imagej16.tif", STACK16, imagej=True, **ZYX),
    _tifffile("imagej_time.tif", STACK16, imagej=True, metadata={"axes": "TYX"}),
    _tifffile("imagej_zlib.tif", STACK, imagej=True, compression="zlib", **ZYX),
    _tifffile("stack.ome.tif", STACK, **ZYX),
    _tifffile("zlib.ome.tif", STACK16, compression="zlib", **ZYX),
    _pil("pil.tif", STACK[:1]),
    _pil("pil16.tif", STACK16[:1]),
    _pil("pil_lzw.tif", STACK[:1], compression="tiff_lzw"),
    _pil("pil_pages.tif", STACK),
    _sitk("itk.tif", STACK),
    _sitk("itk_compressed.tif", STACK16, useCompression=True),
]


@pytest.fixture(params=WRITERS, ids=[name for name, _, _ in WRITERS])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Grey]:
    name, stack, write = request.param
    write(tmp_path / name)
    return tmp_path / name, stack


def test_reads_what_was_written(written: tuple[Path, Grey]) -> None:
    path, stack = written
    header = open_tiff(path, Request())
    header.check_alone()
    assert (header.count, header.shape, header.dtype) == (len(stack), stack.shape[1:], stack.dtype)
    planes = list(header.planes())
    assert all(plane.dtype == stack.dtype and plane.dtype.isnative for plane in planes)
    np.testing.assert_array_equal(planes, stack)
    np.testing.assert_array_equal(list(header.planes(range(len(stack) - 1, len(stack)))), stack[-1:])


def test_a_cut_file_is_refused_or_lacks_no_pixel(written: tuple[Path, Grey]) -> None:
    """Cutting the last bytes may cost metadata only; whatever the header check accepts has every pixel."""
    path, stack = written
    content = path.read_bytes()
    cuts = {*range(0, len(content), 211), *range(len(content) - 3, len(content)), 1, 7, 9}
    refused = 0
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        try:
            header = open_tiff(path, Request())
        except StackError:
            refused += 1
        else:
            np.testing.assert_array_equal(list(header.planes()), stack)
    assert refused > 0.8 * len(cuts)


@pytest.mark.parametrize("content", [b"", b"no TIFF at all", b"II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_refuses_what_is_no_tiff(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "slice.tif").write_bytes(content)
    with pytest.raises(StackError, match=r"slice\.tif.*again"):
        open_tiff(tmp_path / "slice.tif", Request())


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"none\.tif does not exist"):
        open_tiff(tmp_path / "none.tif", Request())


def _palette(path: Path) -> None:
    image = Image.fromarray(STACK[0]).convert("P")
    image.putpalette(bytes(range(256)) * 3)
    image.save(path)


REFUSED = {
    "rgb": (lambda path: tifffile.imwrite(path, np.zeros((20, 20, 3), np.uint8), photometric="rgb"), "colour image"),
    "rgba": (lambda path: Image.new("RGBA", (20, 20)).save(path), "colour image"),
    "planar rgb": (
        lambda path: tifffile.imwrite(
            path, np.zeros((3, 20, 20), np.uint8), photometric="rgb", planarconfig="separate"
        ),
        "colour image",
    ),
    "rgb stack": (
        lambda path: tifffile.imwrite(path, np.zeros((4, 20, 20, 3), np.uint8), photometric="rgb"),
        "colour image",
    ),
    "grey with alpha": (lambda path: Image.new("LA", (20, 20)).save(path), "colour image"),
    "imagej rgb": (
        lambda path: tifffile.imwrite(path, np.zeros((20, 20, 3), np.uint8), imagej=True),
        "colour image",
    ),
    "palette": (_palette, "colour table"),
    "inverted": (lambda path: tifffile.imwrite(path, STACK[0], photometric="miniswhite"), "0 is white"),
    "float": (lambda path: tifffile.imwrite(path, STACK[0].astype(np.float32)), "32-bit pixels of type float32"),
    "signed": (lambda path: tifffile.imwrite(path, STACK[0].astype(np.int16)), "16-bit pixels of type int16"),
    "32-bit": (lambda path: tifffile.imwrite(path, STACK[0].astype(np.uint32)), "32-bit pixels of type uint32"),
    "1-bit": (lambda path: Image.fromarray(STACK[0] > 99).save(path), "1-bit pixels of type bool"),
    "time and slices": (
        lambda path: tifffile.imwrite(path, STACK.reshape(3, 2, 37, 29), imagej=True, metadata={"axes": "TZYX"}),
        "axes are TZYX",
    ),
}


@pytest.mark.parametrize(("write", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    write(tmp_path / "slice.tif")
    with pytest.raises(StackError, match=rf"slice\.tif: .*{message}"):
        open_tiff(tmp_path / "slice.tif", Request())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint64"])
def test_labels_may_be_any_integer(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "labels.tif", STACK[0].astype(dtype))
    header = open_tiff(tmp_path / "labels.tif", Request(labels=True))
    np.testing.assert_array_equal(next(header.planes()), STACK[0])


def test_labels_may_be_bits_indices_or_inverted(tmp_path: Path) -> None:
    Image.fromarray(STACK[0] > 99).save(tmp_path / "bits.tif")
    np.testing.assert_array_equal(next(open_tiff(tmp_path / "bits.tif", Request(labels=True)).planes()), STACK[0] > 99)
    _palette(tmp_path / "indices.tif")
    stored = np.asarray(Image.open(tmp_path / "indices.tif"))
    np.testing.assert_array_equal(next(open_tiff(tmp_path / "indices.tif", Request(labels=True)).planes()), stored)
    tifffile.imwrite(tmp_path / "inverted.tif", STACK[0], photometric="miniswhite")
    np.testing.assert_array_equal(next(open_tiff(tmp_path / "inverted.tif", Request(labels=True)).planes()), STACK[0])


def test_labels_are_grey_and_whole_numbers(tmp_path: Path) -> None:
    REFUSED["rgb"][0](tmp_path / "colours.tif")
    with pytest.raises(StackError, match=r"colours\.tif"):
        open_tiff(tmp_path / "colours.tif", Request(labels=True))
    REFUSED["float"][0](tmp_path / "labels.tif")
    np.testing.assert_array_equal(next(open_tiff(tmp_path / "labels.tif", Request(labels=True)).planes()), STACK[0])
    tifffile.imwrite(tmp_path / "labels.tif", STACK[0] / np.float32(2))
    with pytest.raises(StackError, match=r"labels\.tif: plane 0 holds \S+\.5 and label values are integers"):
        list(open_tiff(tmp_path / "labels.tif", Request(labels=True)).planes())


def test_a_thumbnail_does_not_make_a_second_slice(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "vendor.tif") as writer:
        writer.write(STACK[0])
        writer.write(STACK[0, ::4, ::4], subfiletype=1)
    header = open_tiff(tmp_path / "vendor.tif", Request())
    header.check_alone()
    assert (header.count, header.shape) == (1, STACK.shape[1:])


def test_a_stack_file_has_one_shape(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[1, :20], metadata=None)
    with pytest.raises(StackError, match="planes of 37 x 29 and others of 20 x 29"):
        open_tiff(tmp_path / "mixed.tif", Request()).check_alone()


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "lzma", "zstd"])
def test_damaged_compressed_data_are_named(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "slice.tif"
    tifffile.imwrite(path, STACK[0], compression=compression, rowsperstrip=10)
    with tifffile.TiffFile(path) as tif:
        start, count = tif.pages[0].dataoffsets[1], tif.pages[0].databytecounts[1]
    content = bytearray(path.read_bytes())
    content[start : start + count] = b"\xff" * count
    path.write_bytes(content)
    with pytest.raises(StackError, match=r"slice\.tif cannot be read"):
        list(open_tiff(path, Request()).planes())


def test_a_file_that_changed_meanwhile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "slice.tif"
    tifffile.imwrite(path, STACK[0])
    header = open_tiff(path, Request())
    tifffile.imwrite(path, STACK16[0])
    with pytest.raises(StackError, match=r"slice\.tif: plane 0 holds uint16 pixels.*damaged or changed"):
        list(header.planes())


def test_files_of_one_ome_set_are_read_one_by_one(tmp_path: Path) -> None:
    """OME-TIFF may spread a stack over files, and each describes the whole; in a folder each is still one slice."""
    uid = "urn:uuid:00000000-0000-0000-0000-00000000000{}"
    blocks = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="z{z}.ome.tif">{uid.format(z)}</UUID></TiffData>'
        for z in range(3)
    )
    for z in range(3):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uid.format(z)}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="29" SizeY="37" '
            f'SizeZ="3" SizeC="1" SizeT="1"><Channel ID="Channel:0"/>{blocks}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"z{z}.ome.tif", STACK[z], description=xml, metadata=None)
    with tifffile.TiffFile(tmp_path / "z0.ome.tif") as tif:
        assert tif.series[0].shape == (3, 37, 29)  # a plain reader would take the whole set for one file
    header = open_tiff(tmp_path / "z1.ome.tif", Request())
    assert header.count == 1
    np.testing.assert_array_equal(next(header.planes()), STACK[1])
    with pytest.raises(StackError, match="spreads the stack over several files"):
        header.check_alone()


def test_a_colour_table_that_is_a_grey_ramp_is_grey(tmp_path: Path) -> None:
    image = Image.fromarray(STACK[0]).convert("P")
    image.putpalette([level for grey in range(256) for level in (grey, grey, grey)])
    image.save(tmp_path / "ramp.tif")
    header = open_tiff(tmp_path / "ramp.tif", Request())
    np.testing.assert_array_equal(next(header.planes()), np.asarray(image))


_BARS = {
    "FEI-Helios-Ebeam-16bits.tif": 29,
    "FEI-Helios-Ebeam-8bits.tif": 29,
    "FEI-Helios-navcam-with-no-IRBeam-bad-floats.tif": 39,
    "FEI-Helios-navcam-with-no-IRBeam.tif": 39,
    "FEI-Helios-navcam.tif": 39,
    "fei-sem-rbc.tif": 70,
}
"""Rows of the data bar in files that have one."""


def test_files_of_real_microscopes(real_data: Path) -> None:
    files = sorted((real_data / "microscope_tiffs").glob("*.tif"))
    read = 0
    for path in files:
        if "Zeiss_SEM_512" in path.name:  # its colour table shows every ninth index as an overlay colour, not as grey
            with pytest.raises(StackError, match="colour table"):
                open_tiff(path, Request())
            continue
        header = open_tiff(path, Request())
        header.check_alone()
        whole, bar = np.asarray(Image.open(path)), _BARS.get(path.name, 0)
        assert (header.bar, header.shape[0] + header.bar) == (bar, len(whole))
        np.testing.assert_array_equal(next(header.planes()), whole[: len(whole) - bar])
        read += 1
    assert read >= 5
