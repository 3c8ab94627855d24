"""Reading whole volumes: NIfTI, NRRD and the other formats of volumes."""

from pathlib import Path

import numpy as np

from monai_app.errors import StackError
from monai_app.io.base import readable
from monai_app.io.grid import Extent, Volume, as_labels, check_covers
from monai_app.io.registry import find_format, suffixes
from monai_app.io.volume import Header
from monai_app.names import check_file_name


def partner_path(path: Path, detector: str) -> Path:
    """Where another detector's volume of a case lies: in a folder of its name beside the case file.

    Example:
        >>> partner_path(Path("cases/cement_z0011.nii.gz"), "TLD").as_posix()
        'cases/TLD/cement_z0011.nii.gz'
    """
    return path.parent / check_file_name(detector, "detector") / path.name


def read_header(path: Path) -> Header:
    """Read what a volume file says of itself, without its pixels.

    Args:
        path: a file of one of the formats of volumes, known by its suffix.

    Raises:
        StackError: the file is missing, damaged, none of these formats, no volume, holds other pixels than whole or
            floating-point numbers, leaves its pixels to a file elsewhere, or says twice where it lies and differently.
    """
    form = find_format(path)
    if form is None or form.header is None:
        raise StackError(f"{path} is not a volume file ({suffixes(volumes=True)}); convert or rename it")
    with readable(path):
        return form.header(path)


def read_volume(path: Path, *, max_voxels: int | None = None) -> Volume:
    """Read a volume.

    Args:
        path: as `read_header`.
        max_voxels: refuse files that announce more values, before anything is unpacked.

    Raises:
        StackError: see `read_header`; the file holds too much, or other pixels than it announces.
    """
    header = read_header(path)
    if max_voxels is not None and header.voxels > max_voxels:
        raise StackError(
            f"{path} declares {' x '.join(map(str, header.shape))} values and may hold {max_voxels}; give a file of "
            "the case's size"
        )
    data = bytearray()
    for part in header.portions():
        data += part
    pixels = header.values(data).reshape(header.shape[::-1])
    if pixels.ndim == 4:
        pixels = np.moveaxis(pixels, 0, 3)
    return Volume(pixels, header.affine, header.unit, header.segments)


def check_labels(path: Path, image: Extent) -> None:
    """Check that a file labels the voxels of an image, a portion at a time: the memory may not hold what it announces.

    Args:
        path: as `read_header`.
        image: where the image's voxels lie.

    Raises:
        StackError: see `read_volume`.
        AnnotationError: other voxels than the image's, or other values than integers 0..255.
    """
    header = read_header(path)
    check_covers(header.extent, image)
    rest = b""
    for part in header.portions():
        data = rest + part
        whole = len(data) - len(data) % header.dtype.itemsize
        as_labels(header.values(data[:whole]))
        rest = data[whole:]
