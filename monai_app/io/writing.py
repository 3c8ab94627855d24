"""Writing volumes as NIfTI or NRRD: complete or not at all, and the same bytes for the same pixels."""

import gzip
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from monai_app import files
from monai_app.errors import StackError
from monai_app.io.grid import Affine, Grid, Volume

NIFTI = (".nii.gz", ".nii")
NRRD = ".nrrd"
SUFFIXES = (*NIFTI, NRRD)

_GZIP_LEVEL = 1
"""Noisy pixels hardly compress; higher levels only take longer."""

_TYPES = {"uint8": "unsigned char", "int16": "short", "uint16": "unsigned short", "int32": "int"}

_NOTE = "spacing in micrometres"
"""What a NIfTI file says in its field for remarks."""

_NIFTI_LONGEST = 32767
"""NIfTI-1 keeps lengths in 16 bits."""


def write_volume(path: Path, pixels: npt.NDArray[np.integer], grid: Grid) -> None:
    """Write a volume whose axes in the file are x, y, z (and detectors).

    The numbers of the geometry are micrometres. A NIfTI file says so in ``descrip`` only and names no unit: ITK, and
    so 3D Slicer and MONAI Label, would turn the unit "micron" into mm but write labels without it, so that the labels
    would lie 1000 times as far apart as the image. A viewer's "mm" reads as micrometres therefore. An NRRD file names
    the unit, which ITK ignores.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.
        pixels: (slices, rows, columns), or (slices, rows, columns, detectors) for NIfTI; uint8, uint16, int16, int32.
        grid: where the voxels lie.

    Raises:
        StackError: another suffix, shape or type, or the disk cannot write.
    """
    suffix = suffix_of(path)
    _check(path, suffix, pixels, grid)
    try:
        _write(path, pixels, grid.affine, "micron" if suffix == NRRD else "unknown", _NOTE)
    except OSError as error:
        raise StackError(
            f"{path} cannot be written ({error}); make room, or choose a folder that can be written"
        ) from error


def write_like(path: Path, pixels: npt.NDArray[np.uint8], volume: Volume) -> None:
    """Write labels with the geometry of a volume that another program wrote, whatever its directions.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.
        pixels: (slices, rows, columns).
        volume: whose place the labels take.

    Raises:
        StackError: another suffix or shape.
    """
    suffix_of(path)
    if pixels.shape != volume.pixels.shape[:3]:
        raise StackError(f"{path.name}: labels of shape {pixels.shape} for a volume of {volume.pixels.shape[:3]}")
    _write(path, pixels, volume.affine, volume.unit)


def suffix_of(path: Path) -> str:
    """The suffix that says the format.

    Raises:
        StackError: it is none that is known.
    """
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return suffix
    raise StackError(f"{path} ends in none of {', '.join(SUFFIXES)}, by which the format is known; rename it")


def _check(path: Path, suffix: str, pixels: npt.NDArray[np.integer], grid: Grid) -> None:
    if pixels.shape[:3] != grid.shape or pixels.ndim not in ((3, 4) if suffix in NIFTI else (3,)):
        raise StackError(
            f"{path.name}: pixels of shape {pixels.shape} do not fit a grid of {grid.shape} (slices, rows, columns); "
            "only NIfTI may have detectors as a fourth axis: give fitting pixels"
        )
    if pixels.dtype.name not in _TYPES:
        raise StackError(f"{path.name}: pixels are {pixels.dtype} and must be one of {', '.join(_TYPES)}; convert them")
    if suffix in NIFTI and max(pixels.shape) > _NIFTI_LONGEST:
        raise StackError(f"{path.name}: shape {pixels.shape} exceeds NIfTI's {_NIFTI_LONGEST}; use {NRRD}")


def _write(path: Path, pixels: npt.NDArray[np.integer], affine: Affine, unit: str, note: str = "") -> None:
    with files.atomic_file(path) as partial, partial.open("wb") as handle:
        if path.name.endswith(NRRD):
            handle.write(_nrrd_header(pixels, affine, unit))
            with _zipped(handle) as stream:
                stream.write(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data.cast("B"))
        else:
            image = _nifti_image(pixels, affine, unit, note)
            with _zipped(handle) if path.suffix == ".gz" else nullcontext(handle) as stream:
                image.to_stream(stream)


def _zipped(handle: BinaryIO) -> gzip.GzipFile:
    """Neither name nor time stand in the file, so that equal pixels have equal checksums."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=handle, mtime=0)


def _nifti_image(pixels: npt.NDArray[np.integer], affine: Affine, unit: str, note: str) -> Any:
    import nibabel

    make: Any = nibabel.Nifti1Image  # typed in part
    image = make(pixels.transpose(2, 1, 0, *range(3, pixels.ndim)), None)
    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine + 0.0  # no -0
    image.header.set_qform(ras, code="scanner")
    image.header.set_sform(ras, code="scanner")
    image.header.set_xyzt_units(unit if unit in ("mm", "micron", "meter") else "unknown")
    image.header["descrip"] = note.encode()
    return image


def _nrrd_header(pixels: npt.NDArray[np.integer], affine: Affine, unit: str) -> bytes:
    """Written by hand: pynrrd would put the time of day into it, and ITK does not say why it cannot write."""
    *directions, origin = (f"({','.join(repr(float(value)) for value in column)})" for column in affine[:3].T)
    name = {"micron": "um", "unknown": ""}.get(unit, unit)
    lines = [
        "NRRD0004",
        f"type: {_TYPES[pixels.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(length) for length in pixels.shape[::-1])}",
        f"space directions: {' '.join(directions)}",
        "kinds: domain domain domain",
        *([f'space units: "{name}" "{name}" "{name}"'] if name else []),
        "endian: little",
        "encoding: gzip",
        f"space origin: {origin}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")
