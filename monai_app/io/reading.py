"""Reading NIfTI and NRRD files that other programs wrote: headers first, and no more pixels than they announce.

Headers are parsed by nibabel and pynrrd, pixels are taken from the file here: a small compressed file may unpack to
more than the memory holds, and an NRRD header may name any other file of the machine as its data.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from monai_app.errors import AppError, StackError
from monai_app.io.grid import Affine, Extent, Volume, as_labels, check_covers
from monai_app.io.nifti import nifti_affine
from monai_app.io.writing import NRRD, suffix_of

_LONGEST_HEADER = 1 << 20
"""Bytes of an NRRD header that are read."""

_LARGEST_OFFSET = 1 << 26
"""Where the pixels of a NIfTI file begin at the latest."""

_PORTION = 1 << 24
"""Bytes read at a time, so that a header that announces too much costs no memory."""

_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "LPS": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "RAS": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "LAS": (1, -1, 1),
}

_NUMBERS = (EOFError, OSError, zlib.error)
"""What reading and unpacking raise on damaged files."""


@dataclass(frozen=True, eq=False)
class Header:
    """What a volume file says of itself.

    Args:
        path: the file.
        shape: lengths along the axes in the file, x, y, z, with detectors where there are several.
        dtype: type of the stored pixels.
        affine: 4 x 4, from the index x, y, z in the file to LPS.
        unit: unit of lengths that the file names; "unknown" where it names none.
        offset: bytes before the pixels, after unpacking where the whole file is packed.
        packed: "whole" file by gzip, "pixels" only, or "" .
        scale: slope and intercept of what is stored.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Affine
    unit: str = "unknown"
    offset: int = field(default=0, repr=False)
    packed: str = field(default="", repr=False)
    scale: tuple[float, float] = field(default=(1.0, 0.0), repr=False)

    @property
    def voxels(self) -> int:
        """Number of values in the file."""
        return math.prod(self.shape)

    @property
    def extent(self) -> Extent:
        """Where its voxels lie."""
        return Extent((*self.shape[2::-1], *self.shape[3:]), self.affine, self.unit)


def read_header(path: Path) -> Header:
    """Read what a volume file says of itself, without its pixels.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.

    Raises:
        StackError: the file is missing, damaged, none of these formats, no volume, holds other pixels than whole or
            floating-point numbers, leaves its pixels to another file, or says twice where it lies and differently.
    """
    suffix = suffix_of(path)
    with _readable(path):
        if suffix == NRRD:
            return _nrrd_header(path)
        packed = "whole" if suffix == ".nii.gz" else ""
        with _opened(path, packed) as stream:
            return _nifti_header(path, stream, packed)


def read_volume(path: Path, *, max_voxels: int | None = None) -> Volume:
    """Read a volume.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.
        max_voxels: refuse files that announce more values, before anything is unpacked.

    Raises:
        StackError: as `read_header`; the file holds too much, or other pixels than it announces.
    """
    header = read_header(path)
    if max_voxels is not None and header.voxels > max_voxels:
        raise StackError(
            f"{path} announces {' x '.join(map(str, header.shape))} values and may hold {max_voxels}; give a file of "
            "the case's size"
        )
    with _readable(path):
        data = bytearray()
        for part in _portions(header):
            data += part
    pixels = _values(header, data).reshape(header.shape[::-1])
    if pixels.ndim == 4:
        pixels = np.moveaxis(pixels, 0, 3)
    return Volume(pixels, header.affine, header.unit)


def check_labels(path: Path, image: Extent) -> None:
    """Check that a file labels the voxels of an image, a portion at a time: the memory may not hold what it announces.

    Args:
        path: ends in .nii.gz, .nii or .nrrd.
        image: where the image's voxels lie.

    Raises:
        StackError: as `read_volume`.
        AnnotationError: other voxels than the image's, or other values than whole numbers 0..255.
    """
    header = read_header(path)
    check_covers(header.extent, image)
    rest = b""
    with _readable(path):
        for part in _portions(header):
            data = rest + part
            whole = len(data) - len(data) % header.dtype.itemsize
            as_labels(_values(header, data[:whole]))
            rest = data[whole:]


def _values(header: Header, data: bytes | bytearray) -> npt.NDArray[Any]:
    """The values that are stored as these bytes, in the machine's byte order."""
    values: npt.NDArray[Any] = np.frombuffer(data, header.dtype)
    if header.scale != (1.0, 0.0):
        slope, intercept = header.scale
        values = values * slope + intercept
    return values.astype(values.dtype.newbyteorder("="), copy=False)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say as an error of ours what a damaged file makes libraries raise."""
    try:
        yield
    except AppError:
        raise
    except FileNotFoundError:
        raise StackError(f"{path} isn't there; give a file that exists") from None
    except Exception as error:  # parsers of damaged headers raise anything
        kind = "" if isinstance(error, _NUMBERS) else f"{type(error).__name__}: "
        raise StackError(f"{path} cannot be read ({kind}{error}): it is damaged; save or copy it again") from None


@contextmanager
def _opened(path: Path, packed: str, begin: int = 0) -> Iterator[BinaryIO]:
    with path.open("rb") as handle:
        handle.seek(begin)
        if not packed:
            yield handle
            return
        with gzip.GzipFile(fileobj=handle, mode="rb") as stream:
            yield cast("BinaryIO", stream)


def _portions(header: Header) -> Iterator[bytes]:
    """The bytes of the pixels, `_PORTION` at a time, and no more than the file announces."""
    size, read = header.voxels * header.dtype.itemsize, 0
    begin = header.offset if header.packed == "pixels" else 0
    with _opened(header.path, header.packed, begin) as stream:
        if header.packed != "pixels":
            stream.seek(header.offset)
        while read < size:
            part = stream.read(min(_PORTION, size - read))
            if not part:
                raise StackError(
                    f"{header.path} holds {read} bytes of pixels and announces {size}: it is truncated; save or copy "
                    "it again"
                )
            read += len(part)
            yield part
        if stream.read(1):  # at the end of what it unpacks, gzip checks its sum
            raise StackError(
                f"{header.path} holds more than the {size} bytes of pixels that it announces: it is damaged; save or "
                "copy it again"
            )


def _nifti_header(path: Path, stream: BinaryIO, packed: str) -> Header:
    import nibabel

    start = stream.read(540)
    large = 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    kind: Any = nibabel.Nifti2Header if large else nibabel.Nifti1Header  # typed in part
    length = 540 if large else 348
    if len(start) < length:
        raise StackError(f"{path} has {len(start)} bytes and is no NIfTI file; save or copy it again")
    header = kind(start[:length], check=False)
    if header["sizeof_hdr"] != length or bytes(header["magic"].item())[:3] not in (b"n+1", b"n+2"):
        raise StackError(
            f"{path} does not begin as a NIfTI file in one piece (sizeof_hdr {header['sizeof_hdr']}, magic "
            f"{header['magic'].item()!r}); save it as .nii or .nii.gz, not as a pair of files"
        )
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    scale = (slope, intercept) if slope and math.isfinite(slope) and math.isfinite(intercept) else (1.0, 0.0)
    offset = float(header["vox_offset"])
    if not length + 4 <= offset <= _LARGEST_OFFSET:
        raise StackError(f"{path}: its pixels begin at byte {offset:g}: it is damaged; save it again")
    shape = _three_axes(path, tuple(int(size) for size in header.get_data_shape()))
    affine = np.diag((-1.0, -1.0, 1.0, 1.0)) @ nifti_affine(path, header)
    dtype = _numbers(path, header.get_data_dtype())
    unit = header.get_xyzt_units()[0]
    return Header(path, shape, dtype, _finite(path, affine), unit, int(offset), packed, scale)


def _nrrd_header(path: Path) -> Header:
    import nrrd

    with path.open("rb") as handle:
        start = handle.read(_LONGEST_HEADER)
    stream = BytesIO(start)
    content = nrrd.read_header(stream)
    _check_nrrd(path, content)
    shape = tuple(int(size) for size in content["sizes"])
    packed = content["encoding"].casefold() in ("gzip", "gz")
    if not packed and content["encoding"].casefold() != "raw":
        raise StackError(f"{path}: encoding {content['encoding']!r} is not read; save it with encoding gzip or raw")
    units = content.get("space units") or ["unknown"]
    unit = {"um": "micron", "": "unknown"}.get(units[0], units[0]) if len(set(units)) == 1 else ", ".join(units)
    affine = _finite(path, _nrrd_affine(path, content))
    dtype = _numbers(path, _nrrd_dtype(content))
    return Header(path, shape, dtype, affine, unit, stream.tell(), "pixels" if packed else "")


def _check_nrrd(path: Path, content: dict[str, Any]) -> None:
    lacking = [name for name in ("dimension", "type", "encoding", "sizes") if name not in content]
    if lacking or content["dimension"] != len(content["sizes"]):
        raise StackError(f"{path} is no whole NRRD file (lacking: {lacking or 'sizes'}); save or copy it again")
    if len(content["sizes"]) != 3 or min(content["sizes"]) < 1:
        raise StackError(
            f"{path} has axes of {content['sizes'].tolist()} and must have three; save one label map without "
            "overlapping segments, or use NIfTI"
        )
    for name in ("data file", "datafile"):
        if name in content:
            raise StackError(
                f"{path} leaves its pixels to another file ({content[name]!r}), which is not followed; save it as one "
                ".nrrd file"
            )
    for name in ("byte skip", "byteskip", "line skip", "lineskip"):
        if content.get(name, 0) != 0:
            raise StackError(f"{path}: {name!r} is {content[name]} and must be 0; save it again without")


def _nrrd_affine(path: Path, content: dict[str, Any]) -> Affine:
    """From index to LPS; a file without directions lies along the axes, as in ITK."""
    space = content.get("space", "LPS")
    if space not in _TO_LPS:
        raise StackError(f"{path}: space {space!r} is not one of {', '.join(_TO_LPS)}; save it in one of them")
    affine = np.eye(4)
    if "space directions" in content:
        affine[:3, :3] = np.asarray(content["space directions"], np.float64).T
    elif "spacings" in content:
        affine[:3, :3] = np.diag(content["spacings"])
    if "space origin" in content:
        affine[:3, 3] = content["space origin"]
    return np.asarray(np.diag((*_TO_LPS[space], 1)) @ affine, np.float64)


def _nrrd_dtype(content: dict[str, Any]) -> np.dtype[Any]:
    from nrrd.reader import _TYPEMAP_NRRD2NUMPY as TYPES  # a table, and the only one there is

    dtype = np.dtype(str(TYPES[content["type"]]))
    return dtype if dtype.itemsize == 1 else np.dtype({"little": "<", "big": ">"}[content["endian"]] + dtype.str[1:])


def _three_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths of x, y, z, and of detectors where there are several; axes of length 1 beyond the third mean nothing."""
    shape = (*shape, *(1 for _ in range(3 - len(shape))))
    shape = (*shape[:3], *(length for length in shape[3:] if length != 1))
    if len(shape) > 4 or min(shape) < 1:
        raise StackError(f"{path} has axes of {shape} and must have x, y, z, and at most one more; save a volume")
    return shape


def _numbers(path: Path, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "uif":
        raise StackError(f"{path} holds values of type {dtype} and must hold whole numbers; save it as uint8 or uint16")
    return dtype


def _finite(path: Path, affine: Affine) -> Affine:
    if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
        raise StackError(f"{path}: its geometry {affine[:3].tolist()} spans no volume; save it again with its spacing")
    return affine
