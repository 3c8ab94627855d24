"""Images of detectors."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import numpy.typing as npt
import tifffile

from tests.bad_input.row import Make, Place, Row, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import DETECTORS, LINE, whole

Pixels = npt.NDArray[Any]


def image(change: Callable[[Pixels], Pixels], name: str = "ICE/slice_3.tif", **options: Any) -> Make:
    """Make a sample in which an image is another one."""

    def make(place: Place) -> None:
        path = place.copy("SAMPLE") / name
        tifffile.imwrite(path, change(tifffile.imread(path)), **options)

    return make


def images(change: Callable[[Pixels], Pixels], detector: str = "ICE", **options: Any) -> Make:
    """Make a sample in which all images of a detector are other ones."""

    def make(place: Place) -> None:
        for path in sorted((place.copy("SAMPLE") / detector).iterdir()):
            tifffile.imwrite(path, change(tifffile.imread(path)), **options)

    return make


def file(change: Callable[[Path], object], name: str = "ICE/slice_3.tif") -> Make:
    """Make a sample in which something was done to a file."""
    return lambda place: change(place.copy("SAMPLE") / name)


def folder(change: Callable[[Path], object]) -> Make:
    """Make a sample in which something was done to its folder."""
    return lambda place: change(place.copy("SAMPLE"))


def source(name: str, write: Callable[[Path, Pixels], object]) -> Make:
    """Make a sample whose first detector is one file."""

    def make(place: Place) -> None:
        sample = place.copy("SAMPLE")
        volume = np.stack([tifffile.imread(sample / "ICE" / f"slice_{z}.tif") for z in range(8)])
        write(sample / name, volume)
        edit_text(sample / "sample.yaml", DETECTORS, f"detectors: {{ICE: {name}, TLD: TLD}}")

    return make


def nrrd_of(**header: Any) -> Callable[[Path, Pixels], object]:
    return lambda path, volume: nrrd.write(str(path), volume.transpose(2, 1, 0), header)


def nifti_of(volume: Pixels, spacing: tuple[float, ...], path: Path) -> None:
    picture = nibabel.Nifti1Image(volume, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
    picture.header.set_xyzt_units("micron")
    nibabel.save(picture, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


def moved(target: str) -> Callable[[Path], object]:
    return lambda path: path.rename(path.with_name(target))


def copied(target: str) -> Callable[[Path], object]:
    return lambda path: path.with_name(target).write_bytes(path.read_bytes())


def with_nan(pixels: Pixels) -> Pixels:
    changed = pixels.astype(np.float32)
    changed[0, 0] = np.nan
    return changed


def pages(path: Path) -> None:
    pixels = tifffile.imread(path)
    tifffile.imwrite(path, np.stack([pixels, pixels, pixels]), photometric="minisblack")


def preview(path: Path) -> None:
    pixels = tifffile.imread(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels)
        writer.write(pixels[::4, ::4], subfiletype=1)


def another_shape(path: Path) -> None:
    pixels = tifffile.imread(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels)
        writer.write(pixels[::4, ::4])


def rubbish_inside(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path), compression="zlib")
    with tifffile.TiffFile(path) as opened:
        at, count = opened.pages[0].dataoffsets[0], opened.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[at : at + count] = bytes(count)
    path.write_bytes(data)


def made_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def linked_to(target: str) -> Callable[[Path], object]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


def linked_well(path: Path) -> None:
    path.rename(path.parents[1] / "elsewhere.tif")
    path.symlink_to("../elsewhere.tif")


def emptied(path: Path) -> None:
    for each in (path / "ICE").iterdir():
        each.unlink()


def each_renamed(pattern: Callable[[int], str], detectors: tuple[str, ...] = ("ICE",)) -> Make:
    """Make a sample whose files have other names."""

    def make(place: Place) -> None:
        sample = place.copy("SAMPLE")
        for detector in detectors:
            for z in range(8):
                path = sample / detector / f"slice_{z}.tif"
                if path.exists():
                    path.rename(path.with_name(pattern(z)))

    return make


def without(*names: str) -> Make:
    def make(place: Place) -> None:
        sample = place.copy("SAMPLE")
        for name in names:
            (sample / name).unlink()

    return make


def huge_header(path: Path) -> None:
    """Make a file of a few bytes that says that it is 60,000 x 60,000 pixels."""
    with tifffile.TiffFile(path, mode="r+") as opened:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            opened.pages[0].tags[tag].overwrite(60_000)  # type: ignore[union-attr]


def palette(grey: bool) -> dict[str, Any]:
    ramp = np.arange(256, dtype=np.uint16) * 257
    table = np.stack([ramp, ramp if grey else ramp[::-1], ramp])
    return {"photometric": "palette", "colormap": table}


def swapped_bytes(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path), byteorder=">", bigtiff=True, compression="lzw", tile=(16, 16))


def sidecar(path: Path) -> None:
    (path / "ICE" / "._slice_3.tif").write_bytes(b"\0\5\x16\7")
    (path / "ICE" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (path / "ICE" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (path / "ICE" / "notes.txt").write_text("mine")
    (path / "ICE" / "old").mkdir()


def big(pixels: Pixels) -> Pixels:
    return pixels.astype(np.uint16) * 100


def bad(did: str, make: Make, *says: str) -> Row:
    return refused(did, LINE, *says, make=make)


def good(did: str, make: Make, slices: int = 8) -> Row:
    return taken(did, LINE, whole(slices=slices), make=make)


ONE = "ICE/slice_3.tif"

ROWS = [
    bad("an image that ends too early", file(cut), ONE),
    bad("an image of 0 bytes", file(lambda path: path.write_bytes(b"")), ONE),
    bad("a text called `.tif`", file(lambda path: path.write_text("not here")), ONE),
    bad("an image with damaged pixels", file(rubbish_inside), ONE),
    bad("a PNG called `.tif`", file(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(90))), ONE),
    bad("an image of 60,000 x 60,000 pixels by its header, and of 7,680 bytes", file(huge_header), ONE),
    bad("an image with fewer rows", image(lambda pixels: pixels[:-1]), ONE, "95"),
    bad("an image with more columns", image(lambda pixels: np.pad(pixels, ((0, 0), (0, 1)))), ONE, "81"),
    bad("an image that is turned", image(lambda pixels: np.ascontiguousarray(pixels.T)), ONE),
    bad("an image of one pixel", image(lambda pixels: pixels[:1, :1]), ONE),
    bad("a detector whose images are all smaller", images(lambda pixels: pixels[:64, :64]), "ICE", "64"),
    bad("one image in 16 bit", image(lambda pixels: pixels.astype(np.uint16)), ONE, "16-bit"),
    bad("a detector in 16 bit beside one in 8 bit", images(lambda pixels: pixels.astype(np.uint16)), "16-bit"),
    bad("an image of floats", image(lambda pixels: pixels.astype(np.float32)), ONE, "float32"),
    bad("an image of floats with NaN", image(with_nan), ONE, "float32"),
    bad("a detector of floats", images(lambda pixels: pixels.astype(np.float32)), "float32"),
    bad("an image of double floats", image(lambda pixels: pixels.astype(np.float64)), "float64"),
    bad("an image of complex numbers", image(lambda pixels: pixels.astype(np.complex64)), "complex64"),
    bad("a signed 8-bit image", image(lambda pixels: (pixels // 2).astype(np.int8)), "int8"),
    bad("a signed 16-bit image", image(lambda pixels: pixels.astype(np.int16)), "int16"),
    bad("a 32-bit image", image(lambda pixels: pixels.astype(np.uint32)), "uint32"),
    bad("a black-and-white image of 1 bit", image(lambda pixels: pixels > 60), ONE),
    bad("a colour image", image(lambda p: np.stack([p, p, p], 2), photometric="rgb"), ONE, "colour"),
    bad("a colour image with alpha", image(lambda p: np.stack([p, p, p, p], 2), photometric="rgb"), ONE),
    bad("a colour image, plane by plane", image(lambda p: np.stack([p, p, p]), photometric="rgb"), ONE),
    bad("a CMYK image", image(lambda p: np.stack([p, p, p, p], 2), photometric="separated"), ONE),
    bad("an image with a colour table", image(lambda pixels: pixels, **palette(grey=False)), ONE, "colour"),
    bad("an image where 0 is white", image(lambda pixels: pixels, photometric="miniswhite"), ONE),
    bad("an image that is to be shown turned", image(lambda p: p, extratags=[(274, "H", 1, 6, True)]), ONE),
    bad("a file of three pages in a folder of slices", file(pages), ONE),
    bad("a second page of another shape", file(another_shape), ONE),
    bad("all images black", images(np.zeros_like), "ICE"),
    bad("one image black", image(np.zeros_like), "slice_3"),
    bad("one image white", image(lambda pixels: np.full_like(pixels, 255)), "slice_3"),
    bad("a slice twice under two numbers", file(copied("slice_4.tif")), "3", "4"),
    bad(
        "the same pictures for both detectors",
        folder(
            lambda path: [
                (path / "ICE" / each.name).write_bytes(each.read_bytes()) for each in (path / "TLD").iterdir()
            ]
        ),
        "ICE",
        "TLD",
    ),
    bad("a slice missing in one detector", without("ICE/slice_3.tif"), "3"),
    bad("the last slice missing in one detector", without("TLD/slice_7.tif"), "7"),
    bad("a slice missing in both detectors", without("ICE/slice_2.tif", "TLD/slice_2.tif"), "2"),
    bad("one slice more in one detector", file(copied("slice_8.tif")), "8"),
    bad("a copy, `slice_3 (1).tif`", file(copied("slice_3 (1).tif")), "slice_3 (1).tif"),
    bad("a copy, `slice_3 copy.tif`", file(copied("slice_3 copy.tif")), "slice_3 copy.tif"),
    bad("a copy, `slice_03.tif`", file(copied("slice_03.tif")), "slice_03.tif"),
    bad("a copy as `.tiff`", file(copied("slice_3.tiff")), "slice_3.tif"),
    bad("a name unlike the others", file(moved("third.tif")), "third.tif"),
    bad("an overview among the slices", file(copied("overview.tif")), "overview.tif"),
    bad("two kinds of names", each_renamed(lambda z: f"{'a' if z < 4 else 'b'}_{z}.tif"), "ICE"),
    bad("numbers that start elsewhere in one detector", each_renamed(lambda z: f"slice_{z + 1}.tif"), "8"),
    bad("names without numbers in one detector", each_renamed(lambda z: f"{'abcdefgh'[z]}.tif"), "ICE"),
    bad("two numbers that both count", each_renamed(lambda z: f"{z}_{7 - z}.tif"), "ICE"),
    bad("a folder called as a slice", file(made_folder), ONE),
    bad("a link to nothing", file(linked_to("nowhere.tif")), ONE),
    bad("a link to itself", file(linked_to("slice_3.tif")), ONE),
    bad("a link to a folder", file(linked_to("../TLD")), ONE),
    bad("a detector's folder that is empty", folder(emptied), "ICE"),
    bad("a detector's folder of PNGs", each_renamed(lambda z: f"slice_{z}.png"), "ICE"),
    bad("a detector with one slice, another with eight", without(*(f"ICE/slice_{z}.tif" for z in range(1, 8))), "ICE"),
    bad("a pipe called as a slice", file(in_turn(Path.unlink, os.mkfifo)), ONE),
    bad("a `.png` as a detector", source("ICE.png", lambda path, volume: path.write_bytes(b"\x89PNG")), "ICE.png"),
    bad("a `.zip` as a detector", source("ICE.zip", lambda path, volume: path.write_bytes(b"PK")), "ICE.zip"),
    bad("a `.npy` as a detector", source("ICE.npy", lambda path, volume: np.save(path, volume)), "ICE.npy"),
    bad("a file without suffix as a detector", source("volume", lambda path, volume: path.write_bytes(b"")), "volume"),
    bad("an empty `.nrrd`", source("ICE.nrrd", lambda path, volume: path.write_bytes(b"")), "ICE.nrrd"),
    bad("an empty `.nii`", source("ICE.nii", lambda path, volume: path.write_bytes(b"")), "ICE.nii"),
    bad("an empty `.mha`", source("ICE.mha", lambda path, volume: path.write_bytes(b"")), "ICE.mha"),
    bad("a `.nii.gz` that is a text", source("ICE.nii.gz", lambda path, volume: path.write_text("no")), "ICE.nii.gz"),
    bad(
        "a `.nii.gz` of a text",
        source("ICE.nii.gz", lambda path, _: path.write_bytes(gzip.compress(b"no"))),
        "ICE.nii.gz",
    ),
    bad(
        "a `.mhd` without its pixels",
        source(
            "ICE.mhd",
            lambda path, volume: path.write_text(
                "NDims = 3\nDimSize = 80 96 8\nElementType = MET_UCHAR\nElementDataFile = ICE.raw\n"
            ),
        ),
        "ICE",
    ),
    bad(
        "a `.mhd` whose pixels are another detector's file",
        source(
            "ICE.mhd",
            lambda path, volume: path.write_text(
                "NDims = 3\nDimSize = 80 96 8\nElementType = MET_UCHAR\nElementDataFile = TLD/slice_0.tif\n"
            ),
        ),
        "slice_0.tif",
    ),
    bad("a NRRD with fewer slices", source("ICE.nrrd", lambda path, volume: nrrd_of()(path, volume[:6])), "6"),
    bad(
        "a NRRD of floats",
        source("ICE.nrrd", lambda path, volume: nrrd_of()(path, volume.astype(np.float32))),
        "ICE.nrrd",
        "float32",
    ),
    bad(
        "a NRRD of another voxel size",
        source(
            "ICE.nrrd",
            nrrd_of(
                **{
                    "space": "left-posterior-superior",
                    "space directions": np.diag([99.0, 10.0, 20.0]),
                    "space units": ["nm"] * 3,
                }
            ),
        ),
        "ICE.nrrd",
        "99",
    ),
    bad(
        "a NRRD that is mirrored",
        source(
            "ICE.nrrd",
            nrrd_of(**{"space": "left-posterior-superior", "space directions": np.diag([-10.0, 10.0, 20.0])}),
        ),
        "ICE.nrrd",
    ),
    bad(
        "a picture as a volume", source("ICE.nrrd", lambda path, volume: nrrd.write(str(path), volume[0].T)), "ICE.nrrd"
    ),
    bad(
        "a NRRD of four axes",
        source(
            "ICE.nrrd", lambda path, volume: nrrd.write(str(path), volume.transpose(2, 1, 0)[..., None].repeat(2, 3))
        ),
        "ICE.nrrd",
    ),
    bad(
        "a NIfTI of another voxel size",
        source("ICE.nii", lambda path, volume: nifti_of(volume.transpose(2, 1, 0), (0.07, 0.01, 0.02), path)),
        "ICE.nii",
    ),
    bad(
        "a NIfTI of four axes",
        source(
            "ICE.nii",
            lambda path, volume: nifti_of(volume.transpose(2, 1, 0)[..., None].repeat(2, 3), (0.01, 0.01, 0.02), path),
        ),
        "ICE.nii",
    ),
    bad(
        "a TIFF stack whose planes are channels",
        source("ICE.tif", lambda path, volume: tifffile.imwrite(path, volume, imagej=True, metadata={"axes": "CYX"})),
        "ICE.tif",
        "8 channels",
    ),
    bad(
        "a TIFF stack with fewer planes",
        source("ICE.tif", lambda path, volume: tifffile.imwrite(path, volume[:5], photometric="minisblack")),
        "5",
    ),
    good("a preview beside the picture", file(preview)),
    good("files of other programs in the folder", folder(sidecar)),
    good("names with spaces, umlauts and `#`", each_renamed(lambda z: f"Körnung #1 slice {z}.tif")),
    good("numbers with zeros in front", each_renamed(lambda z: f"slice_{z:04}.tif")),
    good("decimals as depth", each_renamed(lambda z: f"z{z * 0.02:.2f}um.tif", ("ICE", "TLD", "annotations"))),
    good("an image that is BigTIFF, big-endian, LZW and in tiles", file(swapped_bytes)),
    good("a link to an image elsewhere", file(linked_well)),
    good(
        "a TIFF stack", source("ICE.tif", lambda path, volume: tifffile.imwrite(path, volume, photometric="minisblack"))
    ),
    good(
        "a NIfTI in um",
        source("ICE.NII", lambda path, volume: nifti_of(volume.transpose(2, 1, 0), (0.01, 0.01, 0.02), path)),
    ),
    good("both detectors in 16 bit", in_turn(images(big), images(big, "TLD"))),
]
