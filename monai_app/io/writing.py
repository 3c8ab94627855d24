"""Writing volumes as NIfTI or NRRD: whole or not at all, and the same bytes for the same pixels."""

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from monai_app import files
from monai_app.errors import StackError
from monai_app.io.grid import Grid, Volume

NIFTI = (".nii.gz", ".nii")
NRRD = ".nrrd"
SUFFIXES = (*NIFTI, NRRD)

_GZIP_LEVEL = 1
"""Noisy pixels hardly compress; higher levels only take longer."""

_NRRD_TYPES = {"uint8": "unsigned char", "int16": "short", "uint16": "unsigned short", "int32": "int"}

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
        with files.whole_file(path) as partial, partial.open("wb") as handle:
            _write(handle, suffix, pixels, grid)
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
    import SimpleITK as sitk  # noqa: N813  # as its own documentation calls it

    suffix = suffix_of(path)
    if pixels.shape != volume.pixels.shape[:3]:
        raise StackError(f"{path.name}: labels of shape {pixels.shape} for a volume of {volume.pixels.shape[:3]}")
    image = sitk.GetImageFromArray(pixels)
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())  # type: ignore[no-untyped-call]
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())  # type: ignore[no-untyped-call]
    image.SetOrigin(volume.affine[:3, 3].tolist())  # type: ignore[no-untyped-call]
    with files.whole_file(path) as partial, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / f"labels{suffix}"  # ITK chooses the format by the whole suffix
        sitk.WriteImage(image, str(written), True)
        written.replace(partial)


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
    if pixels.dtype.name not in _NRRD_TYPES:
        raise StackError(
            f"{path.name}: pixels are {pixels.dtype} and must be one of {', '.join(_NRRD_TYPES)}; convert them"
        )
    if suffix in NIFTI and max(pixels.shape) > _NIFTI_LONGEST:
        raise StackError(f"{path.name}: shape {pixels.shape} exceeds NIfTI's {_NIFTI_LONGEST}; use {NRRD}")


def _write(handle: BinaryIO, suffix: str, pixels: npt.NDArray[np.integer], grid: Grid) -> None:
    if suffix == ".nii":
        for part in _nifti_parts(pixels, grid):
            handle.write(part)
    elif suffix == NRRD:
        handle.write(_nrrd_header(pixels, grid))
        _write_zipped(handle, _planes(pixels))
    else:
        _write_zipped(handle, _nifti_parts(pixels, grid))


def _write_zipped(handle: BinaryIO, parts: Iterator[bytes]) -> None:
    # Neither name nor time stand in the file, so that equal pixels have equal checksums.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=handle, mtime=0) as stream:
        for part in parts:
            stream.write(part)


def _nifti_parts(pixels: npt.NDArray[np.integer], grid: Grid) -> Iterator[bytes]:
    import nibabel

    slices, rows, columns = grid.shape
    make: Any = nibabel.Nifti1Header  # typed in part
    header = make(endianness="<")
    header.set_data_shape((columns, rows, slices, *pixels.shape[3:]))
    header.set_data_dtype(pixels.dtype)
    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ grid.affine + 0.0  # no -0
    header.set_qform(ras, code="scanner")
    header.set_sform(ras, code="scanner")
    header["descrip"] = b"spacing in micrometres"
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = 1, 0
    yield header.binaryblock + bytes(4)  # no extensions
    yield from _planes(pixels)


def _planes(pixels: npt.NDArray[np.integer]) -> Iterator[bytes]:
    """The pixels, x fastest, then y, z and detectors, in little-endian order."""
    stored = pixels.dtype.newbyteorder("<")
    for volume in np.moveaxis(pixels, 3, 0) if pixels.ndim == 4 else pixels[None]:
        for plane in volume:
            yield plane.astype(stored, copy=False).tobytes()


def _nrrd_header(pixels: npt.NDArray[np.integer], grid: Grid) -> bytes:
    """Written by hand: pynrrd would put the time of day into it."""
    z, y, x = (repr(float(size)) for size in grid.spacing_um)
    lines = [
        "NRRD0004",
        f"type: {_NRRD_TYPES[pixels.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(length) for length in grid.shape[::-1])}",
        f"space directions: ({x},0,0) (0,{y},0) (0,0,{z})",
        "kinds: domain domain domain",
        'space units: "um" "um" "um"',
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(value)) for value in grid.origin_um[::-1])})",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")
