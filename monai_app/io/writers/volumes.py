"""Writing volumes that are arrays as NIfTI or NRRD: complete or not at all, and the same bytes for the same pixels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app import files
from monai_app.errors import StackError
from monai_app.io.grid import Affine, Grid, Volume
from monai_app.io.writers.content import Content
from monai_app.io.writers.registry import WRITERS, writer_of

_VOLUMES = [writer for writer in WRITERS if writer.name in ("NIfTI", "NRRD")]

_TYPES = ("uint8", "int16", "uint16", "int32")


def write_volume(path: Path, pixels: npt.NDArray[np.integer], grid: Grid) -> None:
    """Write a volume whose axes in the file are x, y, z (and detectors); lengths are micrometres.

    See `writers.nifti.write_nifti` on the unit that a NIfTI file names.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.
        pixels: (slices, rows, columns), or (slices, rows, columns, detectors) for NIfTI; uint8, uint16, int16, int32.
        grid: where the voxels lie.

    Raises:
        StackError: another suffix, shape or type, or the disk cannot write.
    """
    writer_of(path, _VOLUMES)
    if pixels.shape[:3] != grid.shape or pixels.ndim not in (3, 4):
        raise StackError(
            f"{path.name}: pixels of shape {pixels.shape} do not fit a grid of {grid.shape} (slices, rows, columns); "
            "only NIfTI may have detectors as a fourth axis: give fitting pixels"
        )
    if pixels.dtype.name not in _TYPES:
        raise StackError(f"{path.name}: pixels are {pixels.dtype} and must be one of {', '.join(_TYPES)}; convert them")
    try:
        _write(path, pixels, grid.affine, None)
    except OSError as error:
        raise StackError(
            f"{path} cannot be written ({error}); free some space, or choose a folder that can be written"
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
    writer_of(path, _VOLUMES)
    if pixels.shape != volume.pixels.shape[:3]:
        raise StackError(f"{path.name}: labels of shape {pixels.shape} for a volume of {volume.pixels.shape[:3]}")
    _write(path, pixels, volume.affine, volume.unit)


def _write(path: Path, pixels: npt.NDArray[np.integer], affine: Affine, unit: str | None) -> None:
    slices, rows, columns, *channels = pixels.shape
    planes = iter(np.moveaxis(pixels, 3, 0).reshape(-1, rows, columns) if channels else pixels)
    content = Content((slices, rows, columns), pixels.dtype, planes, affine, unit, channels[0] if channels else 1)
    writer = writer_of(path, _VOLUMES)
    with files.atomic_file(path) as partial:
        writer.write(partial, content)
