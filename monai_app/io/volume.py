"""Volume files of other programs: what their headers say, and no more pixels than that.

Headers are read by a module per format, pixels are taken from the file here: a small compressed file may unpack to more
than the memory holds.
"""

import io
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request, check_type, readable
from monai_app.io.grid import Affine, Extent, check_upright
from monai_app.io.memory import DENSEST
from monai_app.io.parts import channels_of
from monai_app.io.recorded import Recorded, from_extent

_PORTION = 1 << 24
"""Bytes read at a time, so that a header that announces too much costs no memory."""

_ANY = 47
"""Makes zlib detect by the header whether a stream is gzip or zlib."""

_AGAIN = "save or copy it again"

Packing = Literal["", "file", "pixels"]
"""What is compressed, by gzip or zlib."""


@dataclass(frozen=True, eq=False)
class Header:
    """What a volume file says of itself.

    Args:
        path: the file.
        shape: lengths along the axes in the file, x, y, z, with detectors if there are several.
        dtype: type of the stored pixels.
        affine: 4 x 4, from the index x, y, z in the file to LPS.
        unit: unit of lengths that the file names; "unknown" where it names none.
        offset: bytes before the pixels, after unpacking where the whole file is packed.
        packed: what of the file is compressed.
        scale: slope and intercept of what is stored.
        placed: whether the file says where its voxels lie.
        data: the file of the pixels, if it is another one.
        segments: label value -> the segment's name, where the file gives names.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Affine
    unit: str = "unknown"
    offset: int = field(default=0, repr=False)
    packed: Packing = field(default="", repr=False)
    scale: tuple[float, float] = field(default=(1.0, 0.0), repr=False)
    placed: bool = field(default=True, repr=False)
    data: Path | None = field(default=None, repr=False)
    segments: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype.kind not in "uif":
            raise StackError(f"it holds values of type {self.dtype} and must hold integers; save it as uint8 or uint16")
        if not np.isfinite(self.affine).all() or not np.linalg.det(self.affine[:3, :3]):
            raise StackError(f"its geometry {self.affine[:3].tolist()} spans no volume; save it again with its spacing")

    @property
    def voxels(self) -> int:
        """Number of values in the file."""
        return math.prod(self.shape)

    @property
    def extent(self) -> Extent:
        """Where its voxels lie."""
        return Extent((*self.shape[2::-1], *self.shape[3:]), self.affine, self.unit)

    def values(self, data: bytes | bytearray) -> npt.NDArray[Any]:
        """The values that are stored as these bytes, in the machine's byte order."""
        values: npt.NDArray[Any] = np.frombuffer(data, self.dtype)
        if self.scale != (1.0, 0.0):
            slope, intercept = self.scale
            values = values * slope + intercept
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def portions(self, skip: int = 0) -> Iterator[bytes]:
        """Read the bytes of the pixels, a portion at a time, and no more than the file announces.

        Args:
            skip: bytes to leave out at the beginning.

        Raises:
            StackError: the file holds fewer or more bytes, or is damaged.
        """
        size, read = self.voxels * self.dtype.itemsize, skip
        begin = 0 if self.packed == "file" else self.offset
        ahead = skip + self.offset - begin  # what is packed has to be read, and is left out then
        if not self.packed:
            begin, ahead = begin + skip, 0
        with readable(self.path), opened(self.data or self.path, bool(self.packed), begin) as stream:
            while ahead > 0 and (part := stream.read(min(_PORTION, ahead))):
                ahead -= len(part)
            while read < size:
                part = stream.read(min(_PORTION, size - read))
                if not part:
                    raise StackError(f"it holds {read} bytes of pixels and declares {size}: it is truncated; {_AGAIN}")
                read += len(part)
                yield part
            if stream.read(1):  # at the end of what it unpacks, the checksum is checked
                raise StackError(f"it holds more than the {size} bytes of pixels that it declares; {_AGAIN}")


@dataclass(frozen=True)
class VolumePlanes(PlaneFile):
    """The slices of a volume file: rows are y, columns are x."""

    header: Header = field(kw_only=True)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that are read."""
        return (self.path,) if self.header.data is None else (self.path, self.header.data)

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order."""
        length = math.prod(self.shape) * self.header.dtype.itemsize
        data, place = bytearray(), indices.start * length
        for part in self.header.portions(place):
            data += part
            while len(data) >= length:
                if place // length in indices:
                    yield self.header.values(bytes(data[:length])).reshape(self.shape)
                place += length
                del data[:length]
            if place // length >= indices.stop and indices.stop < self.count:
                return  # the rest is not asked for


def open_volume(read: Callable[[Path], Header], path: Path, request: Request) -> VolumePlanes:
    """The slices of a volume file; a fourth axis are channels, one after the other.

    Args:
        read: reads the header.
        path: the file.
        request: what is asked for (see `check_type`).

    Raises:
        StackError: the file cannot be read or is too short, or lies turned or mirrored.
    """
    with readable(path):
        header = read(path)
        _check_holds(header)
        dtype = header.values(b"").dtype
        check_type(dtype, 8 * dtype.itemsize, request)
        if header.placed:
            check_upright(header.affine)
    columns, rows, slices, *channels = header.shape
    extent = Extent((slices, rows, columns), header.affine, header.unit)
    names = [None] * math.prod(channels)
    return VolumePlanes(
        header.path,
        slices * len(names),
        (rows, columns),
        dtype,
        extent=extent if header.placed else None,
        segments=header.segments,
        recorded=from_extent(extent) if header.placed else Recorded(),
        channels=channels_of(names, slices, outermost=True) if len(names) > 1 else {},
        header=header,
    )


def _check_holds(header: Header) -> None:
    """Check that the file may hold what it announces, before anything is unpacked."""
    size = header.voxels * header.dtype.itemsize
    held = (header.data or header.path).stat().st_size - (0 if header.packed == "file" else header.offset)
    if size > held * (DENSEST if header.packed else 1):
        raise StackError(f"it declares {size} bytes of pixels and has {held} for them: it is truncated; {_AGAIN}")


@contextmanager
def opened(path: Path, packed: bool, begin: int = 0) -> Iterator[BinaryIO]:
    """Open a file at a byte, and unpack what follows if it is compressed."""
    with path.open("rb") as handle:
        handle.seek(begin)
        yield cast("BinaryIO", io.BufferedReader(_Unpacked(handle))) if packed else handle


class _Unpacked(io.RawIOBase):
    """The content of the gzip or zlib streams of which the rest of a file consists; their checksums are checked."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle, self._rest, self._stream = handle, b"", zlib.decompressobj(_ANY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            packed = self._rest or self._handle.read(1 << 16)
            if self._stream.eof:
                if not packed.strip(b"\0"):  # zeros may fill up the file
                    break
                self._stream = zlib.decompressobj(_ANY)
            data = self._stream.decompress(packed, len(buffer))
            self._rest = self._stream.unconsumed_tail or self._stream.unused_data
            if not (packed or data):
                raise EOFError("its compressed data end too early")
        buffer[: len(data)] = data
        return len(data)
