"""Planes of one file, whatever its format: checked by the header when it is opened, decoded one at a time."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import AppError, StackError
from monai_app.io.grid import Extent
from monai_app.io.recorded import Recorded

Plane = npt.NDArray[np.integer]
"""One slice of one detector, or of the annotations: (rows, columns)."""

EXCEPT = "!"
"""What a pattern of file names begins with that says which files are left out."""

_NUMBERS = (EOFError, OSError, zlib.error)
"""What reading and unpacking raise on damaged files."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name the file in every error of the body; what libraries raise on a damaged file becomes a StackError."""
    try:
        yield
    except AppError as error:
        raise type(error)(f"{path}: {error}") from None
    except FileNotFoundError:
        raise StackError(f"{path} does not exist; give a file that exists") from None
    except MemoryError:
        raise StackError(
            f"{path} needs more memory than is available: it is damaged, or too large; save or copy it again, or close "
            "other programs"
        ) from None
    except Exception as error:  # parsers of damaged headers and codecs raise anything
        kind = "" if isinstance(error, _NUMBERS) else type(error).__name__
        reason = " ".join(": ".join(filter(None, (kind, str(error)))).split())  # parsers quote lines of the file
        raise StackError(f"{path} cannot be read ({reason}): it is damaged; save or copy it again") from error


@dataclass(frozen=True)
class Request:
    """What of a source is asked for, and what its values mean.

    Args:
        labels: label values: any integers, or integers of a floating-point type; else grey values.
        mapped: grey values may be of any numeric type, because they are mapped afterwards (see `grey.GreyMapping`).
        inverted: grey values may be stored with 0 as white.
        painted: label values may be colours (see `painted.colour_numbers`).
        files: only files of a folder whose names fit this pattern, as in ``*_ICE_*``; after ``!`` those that do not.
        channel: the channel, counted from 0 or as the file names it.
        page: the page of every file, counted from 0.
        dataset: the dataset of a file that may hold several (HDF5, OME-Zarr).
    """

    labels: bool = False
    mapped: bool = False
    inverted: bool = False
    painted: bool = False
    files: str | None = None
    channel: int | str | None = None
    page: int | None = None
    dataset: str | None = None

    def fits(self, path: Path) -> bool:
        """Whether a file of a folder is meant; case is ignored."""
        if self.files is None:
            return True
        pattern = self.files.removeprefix(EXCEPT)
        return fnmatchcase(path.name.casefold(), pattern.casefold()) == (pattern == self.files)


@dataclass(frozen=True)
class PlaneFile(ABC):
    """A file that holds one plane or several of one shape and type; no pixel has been decoded.

    A format is a subclass with `decode`, a function that checks the header of a file and gives an instance, and a line
    in `monai_app.io.registry.FORMATS`.

    Args:
        path: the file.
        count: number of planes.
        shape: (rows, columns) of every plane.
        dtype: data type of the pixels, in the machine's byte order.
        extent: where the voxels lie, if the file says so; its shape is (slices, rows, columns).
        bar: rows below the picture that the microscope added, and that are left out.
        segments: label value -> what the file calls it; empty if it gives no names.
        recorded: metadata of the file about its image.
        channels: name (or number, where it has none) of each channel -> its planes; empty if there is one channel.
        part: which part of the file this is, such as a dataset; empty for all of it.
        zero_is_white: whether the file says that 0 is white.
        painted: whether the values are numbers of colours.
    """

    path: Path
    count: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    extent: Extent | None = field(default=None, kw_only=True)
    bar: int = field(default=0, kw_only=True)
    segments: Mapping[int, str] = field(default_factory=dict, kw_only=True)
    recorded: Recorded = field(default=Recorded(), kw_only=True)
    channels: Mapping[str, range] = field(default_factory=dict, kw_only=True)
    part: str = field(default="", kw_only=True)
    zero_is_white: bool = field(default=False, kw_only=True)
    painted: bool = field(default=False, kw_only=True)

    @abstractmethod
    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order.

        Raises:
            StackError: a plane cannot be decoded.
        """

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that are read; of a format whose "files" are folders, those in it."""
        if not self.path.is_dir():
            return (self.path,)
        return tuple(sorted(path for path in self.path.rglob("*") if path.is_file()))

    def check_alone(self) -> None:  # noqa: B027  # most formats hold nothing but the planes
        """Check that a file given as a whole stack holds one set of planes.

        Raises:
            StackError: it holds others beside them.
        """

    def colours(self, plane: int) -> npt.NDArray[np.uint16] | None:
        """The colour table (red, green and blue; values) of a plane that holds indices into one; else None."""
        return None

    def planes(self, indices: range | None = None, *, fractions: bool = False) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order.

        Args:
            indices: which planes, ascending, counted from 0; all if None.
            fractions: whether values of a floating-point type may be other than integers; else they are returned as
                integers.

        Raises:
            StackError: a plane cannot be decoded, differs from the header, or has fractions.
        """
        indices = range(self.count) if indices is None else indices
        for index, plane in zip(indices, self.decode(indices), strict=True):
            if plane.shape != self.shape or plane.dtype != self.dtype:
                raise StackError(
                    f"{self.path}: plane {index} holds {plane.dtype} pixels of {size(plane.shape)} where its header "
                    f"declares {self.dtype} of {size(self.shape)}; it is damaged or changed meanwhile: export it again"
                )
            yield self._whole(index, plane) if plane.dtype.kind == "f" and not fractions else plane

    def _whole(self, index: int, plane: npt.NDArray[np.floating]) -> Plane:
        with np.errstate(invalid="ignore"):
            whole = plane.astype(np.int64)
        if (wrong := whole != plane).any():
            raise StackError(
                f"{self.path}: plane {index} holds {plane[wrong][0]:g} and label values are integers; save a "
                "label map, not an image or a probability"
            )
        return whole


def check_type(dtype: np.dtype[Any], bits: int, request: Request) -> None:
    """Check the type of the pixels.

    Args:
        dtype: the type.
        bits: bits that are stored for a pixel.
        request: whether label values or grey values are asked for, and whether those are mapped.

    Raises:
        StackError: labels or mapped grey values that are not real numbers, or other grey values than uint8 and uint16.
    """
    dtype = dtype.newbyteorder("=")
    if request.labels:
        if dtype.kind not in "uibf":
            raise StackError(f"it holds {dtype} pixels and label values are integers; save it as 8-bit")
    elif request.mapped and dtype.kind in "uif":
        return
    elif dtype not in (np.uint8, np.uint16) or bits != 8 * dtype.itemsize:
        mapped = "give the values of black and white ('grey: {from: [low, high], to: uint8}' in the description), or "
        raise StackError(
            f"it holds {bits}-bit pixels of type {dtype} and must hold unsigned 8-bit or 16-bit ones; "
            f"{mapped if dtype.kind in 'uif' else ''}convert it without rescaling single slices"
        )


def is_grey_ramp(table: npt.NDArray[np.uint16] | None) -> bool:
    """Whether a colour table (3, 256) shows every index as the same grey value, as Zeiss microscopes write it."""
    if table is None or table.shape != (3, 256):
        return False
    return bool((table >> 8 == np.arange(256)).all())


def size(shape: tuple[int, ...]) -> str:
    """A shape as messages give it.

    Example:
        >>> size((512, 768))
        '512 x 768'
    """
    return " x ".join(str(length) for length in shape)
