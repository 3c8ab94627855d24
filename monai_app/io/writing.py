"""Writing volumes as NIfTI or NRRD: complete or not at all, and the same bytes for the same pixels."""

import gzip
from pathlib import Path
from typing import Any

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

_TYPES = ("uint8", "int16", "uint16", "int32")

_NOTE = "spacing in micrometres"
"""What stands in a field for remarks."""

_NIFTI_LONGEST = 32767
"""NIfTI-1 keeps lengths in 16 bits."""


def write_volume(path: Path, pixels: npt.NDArray[np.integer], grid: Grid) -> None:
    """Write a volume whose axes in the file are x, y, z (and detectors).

    The numbers of the geometry are micrometres. A file says so in a field for remarks only (``descrip`` or ``content``)
    and names no unit: ITK, and so 3D Slicer and MONAI Label, would turn the unit "micron" into mm but write labels
    without it, so that the labels would lie 1000 times as far apart as the image. A viewer's "mm" reads as micrometres
    therefore.

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
        _write(path, pixels, grid.affine, "unknown", _NOTE)
    except (OSError, RuntimeError) as error:  # ITK knows no other error
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
    with files.whole_file(path) as partial:
        if path.name.endswith(NRRD):
            _write_nrrd(partial, pixels, affine, note)
        else:
            _write_nifti(partial, pixels, affine, unit, note)


def _write_nifti(path: Path, pixels: npt.NDArray[np.integer], affine: Affine, unit: str, note: str) -> None:
    import nibabel

    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine + 0.0  # no -0
    kind: Any = nibabel.Nifti1Image  # typed in part
    image = kind(pixels.transpose(2, 1, 0, *range(3, pixels.ndim)), None)
    image.header.set_qform(ras, code="scanner")
    image.header.set_sform(ras, code="scanner")
    image.header.set_xyzt_units(unit if unit in ("mm", "micron", "meter") else "unknown")
    image.header["descrip"] = note.encode()
    with path.open("wb") as handle:
        if path.suffix != ".gz":
            image.to_stream(handle)
            return
        # Neither name nor time stand in the file, so that equal pixels have equal checksums.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=handle, mtime=0) as stream:
            image.to_stream(stream)


def _write_nrrd(path: Path, pixels: npt.NDArray[np.integer], affine: Affine, note: str) -> None:
    import SimpleITK as sitk  # noqa: N813  # as its own documentation calls it

    image = sitk.GetImageFromArray(pixels)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())  # type: ignore[no-untyped-call]
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())  # type: ignore[no-untyped-call]
    image.SetOrigin(affine[:3, 3].tolist())  # type: ignore[no-untyped-call]
    if note:
        image.SetMetaData("NRRD_content", note)  # type: ignore[no-untyped-call]
    sitk.WriteImage(image, str(path), True, _GZIP_LEVEL)
