"""Small files of every format, damaged at random, and what reading them ends in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import nibabel
import nrrd
import numpy as np
import SimpleITK
import tifffile

from monai_app.errors import AppError
from monai_app.io import Request, open_planes
from tests.io.written import by_h5py, by_mrcfile, by_ome_zarr, by_pillow, by_rosetta
from tests.stack.samples import pixels

STACK = pixels(3, 7, 9)

_FEI = "[Beam]\r\nScan=EScan\r\n[EScan]\r\nPixelWidth=5e-9\r\nPixelHeight=1e-8\r\n[Image]\r\nResolutionX=9\r\n"
_ZEISS = "AP_WIDTH\r\nWidth = 0.045 um\r\nDP_DETECTOR_CHANNEL\r\nSignal A = SE2\r\n"
_XML = (
    "<Metadata><BinaryResult><PixelSize><X unit='m'>5E-9</X><Y unit='m'>5E-9</Y></PixelSize></BinaryResult></Metadata>"
)

FORMATS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "TIFF": ("a.tif", lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", compression="zlib")),
    "BigTIFF": ("a.tif", lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", bigtiff=True)),
    "ImageJ": (
        "a.tif",
        lambda path: tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX", "unit": "nm"}),
    ),
    "OME-TIFF": (
        "a.ome.tif",
        lambda path: tifffile.imwrite(
            path, STACK, photometric="minisblack", metadata={"axes": "ZYX", "PhysicalSizeX": 1}
        ),
    ),
    "TIFF of microscopes": (
        "a.tif",
        lambda path: tifffile.imwrite(
            path,
            STACK[0],
            extratags=[(tag, "s", 0, text, True) for tag, text in ((34118, _ZEISS), (34682, _FEI), (34683, _XML))],
        ),
    ),
    "NIfTI": ("a.nii", lambda path: nibabel.save(nibabel.Nifti1Image(STACK.T, np.diag((-1.0, -1, 2, 1))), path)),
    "NIfTI, packed": ("a.nii.gz", lambda path: nibabel.save(nibabel.Nifti1Image(STACK.T, None), path)),
    "NRRD": ("a.nrrd", lambda path: nrrd.write(str(path), STACK.T, {"spacings": [1.0, 2.0, 3.0]})),
    "MetaImage": ("a.mha", lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(STACK), str(path))),
    "MRC": ("a.mrc", lambda path: by_mrcfile(path, STACK.astype(np.uint16), (50, 50, 50))),
    "HDF5": ("a.h5", lambda path: by_h5py(path, STACK, "g/volume", chunks=(2, 4, 4), compression="gzip")),
    "OME-Zarr 0.4": ("a.zarr", lambda path: by_ome_zarr(path, STACK, "0.4", scale=(20, 10, 10))),
    "OME-Zarr 0.5": ("a.ome.zarr", lambda path: by_ome_zarr(path, STACK, scale=(20, 10, 10))),
    "PNG": ("slices", lambda path: by_pillow(path, STACK)),
    "EMD": ("a.emd", lambda path: by_rosetta(path, STACK, sizes=((20, "nm"), (10, "nm"), (5, "nm")))),
}


def write_all(folder: Path) -> dict[str, Path]:
    """Write a file of every format; returns format -> path."""
    made = {}
    for number, (name, (file, write)) in enumerate(FORMATS.items()):
        (folder / str(number)).mkdir(parents=True)
        made[name] = folder / str(number) / file
        write(made[name])
    return made


def damaged(good: Path, target: Path, random: Random) -> Path:
    """Copy a file or folder and damage bytes of one file: some are changed, cut off, or put in."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(good.parent, target)
    path = random.choice(sorted(each for each in target.rglob("*") if each.is_file()))
    content = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(content)) if content else 0
        match random.randrange(8):
            case 0:
                del content[place:]
            case 1:
                content[place:place] = random.randbytes(random.randint(1, 9))
            case 2:
                content[place : place + 8] = random.choice((b"\xff" * 8, bytes(8), b"99999999", b"-1      "))
            case _:
                content[place : place + 1] = random.randbytes(1)
    path.write_bytes(content)
    return target / good.name


def outcome(path: Path, request: Request) -> str:
    """Read all planes: empty where that went well, else the message.

    Any other exception than an error of the package passes through.
    """
    try:
        source = open_planes(path, request)
        for file in source.files:
            assert all(length is None or 0 < length < 1e30 for length in file.recorded.voxel_nm), file.recorded
        for plane in source.planes():
            assert plane.shape == source.shape
    except AppError as error:
        return str(error)
    return ""
