"""One TIFF file: its header checked before anything is decoded, its planes read one at a time."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, check_type, readable, size

_REDUCED = 1
"""Bit of the tag NewSubfileType that marks thumbnails."""


class TiffPlanes(PlaneFile):
    """The planes of a TIFF file."""

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order."""
        with _open(self.path) as tif:
            series = _first_series(tif)
            for index in indices:
                yield _read(tif, series, index)

    def check_alone(self) -> None:
        """Check that a file given as a whole stack holds one set of planes; thumbnails do not count.

        Raises:
            StackError: it holds pages of different shapes, or its metadata spreads the stack over several files.
        """
        with _open(self.path) as tif:
            if tif.is_ome and tif.series[0].kind != "ome":
                raise StackError(
                    "its OME metadata spreads the stack over several files; give the folder of the files instead"
                )
            for other in tif.series[1:]:
                if not other.keyframe.subfiletype & _REDUCED:
                    raise StackError(
                        f"it holds planes of {size(self.shape)} and others of {size(other.shape)}, and all slices must "
                        "have one shape; save the stack without the others"
                    )


def open_tiff(path: Path, labels: bool) -> TiffPlanes:
    """Check the header of a TIFF file without decoding pixels.

    Args:
        path: the file.
        labels: the file holds label values (see `check_type`), and a colour table does not matter.

    Raises:
        StackError: the file is unreadable, truncated, no grey image, or of another type than uint8 and uint16.
    """
    with _open(path) as tif:
        series = _first_series(tif)
        _check_pixels(series, labels)
        planes = _count_planes(series)
        _check_complete(tif, series, planes)
        return TiffPlanes(path, planes, _plane_shape(series), series.dtype.newbyteorder("="))


@contextmanager
def _open(path: Path) -> Iterator[TiffFile]:
    with readable(path), TiffFile(path, _multifile=False) as tif:
        yield tif


def _first_series(tif: TiffFile) -> TiffPageSeries:
    if not tif.series or not tif.series[0].keyframe.imagewidth:
        raise StackError("it holds no image; export it again")
    series = tif.series[0]
    _check_chain(tif)
    declared = _declared_images(tif)
    held = math.prod(series.shape) // max(1, math.prod(series.keyframe.shape))
    if declared > held and series.kind != "ome":
        raise StackError(
            f"its metadata declares {declared} planes and it holds {held}: it is truncated; export or copy it again"
        )
    return series


def _declared_images(tif: TiffFile) -> int:
    """The number of planes that ImageJ's or tifffile's own metadata declares for the first series; 1 without any."""
    if tif.imagej_metadata is not None:
        sizes = (int(tif.imagej_metadata.get(key, 1)) for key in ("frames", "slices", "channels"))
        return math.prod(sizes) // tif.pages.first.samplesperpixel
    if tif.shaped_metadata:
        shape = tuple(int(length) for length in tif.shaped_metadata[0].get("shape", ()))
        return math.prod(shape) // max(1, math.prod(tif.pages.first.shape))
    return 1


def _check_chain(tif: TiffFile) -> None:
    """Check that the list of pages ends where the file says so; tifffile drops pages that were cut off."""
    last = tif.pages[len(tif.pages) - 1]
    layout, handle = tif.tiff, tif.filehandle
    handle.seek(last.offset)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(tags * layout.tagsize, 1)
    (following,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    if following:
        raise StackError(
            f"page {len(tif.pages)} is announced but cannot be read: it is truncated; export or copy it again"
        )


def _check_pixels(series: TiffPageSeries, labels: bool) -> None:
    page = series.keyframe
    if page.samplesperpixel != 1 or page.photometric == PHOTOMETRIC.RGB or "S" in series.axes:
        raise StackError(
            f"it is a colour image ({page.samplesperpixel} values a pixel) and must be grey; convert it to 8-bit or "
            "16-bit grey"
        )
    if not labels:
        _check_grey(page)
    check_type(series.dtype, page.bitspersample, labels)


def _check_grey(page: TiffPage) -> None:
    if page.photometric == PHOTOMETRIC.PALETTE and not _is_grey_ramp(page.colormap):
        raise StackError(
            "its pixels are indices into a colour table, not grey values; convert it to 8-bit or 16-bit grey without a "
            "colour table"
        )
    if page.photometric == PHOTOMETRIC.MINISWHITE and 262 in page.tags:
        raise StackError("its grey values are stored inverted (0 is white); save it with 0 as black")


def _is_grey_ramp(table: npt.NDArray[np.uint16] | None) -> bool:
    """Whether a colour table (3, 256) shows every index as the same grey value, as Zeiss microscopes write it."""
    if table is None or table.shape != (3, 256):
        return False
    return bool((table >> 8 == np.arange(256)).all())


def _count_planes(series: TiffPageSeries) -> int:
    # Only the page knows rows and columns for certain: tifffile guesses axes where the file does not name them.
    leading = [axis for axis, length in zip(series.axes, series.shape, strict=True) if axis not in "YX" and length > 1]
    if len(leading) > 1 or leading == ["C"]:
        raise StackError(
            f"its axes are {series.axes} with sizes {series.shape} and must be rows and columns, or slices, rows and "
            "columns; save every detector as a TIFF of its own (in Fiji: Image > Color > Split Channels)"
        )
    return math.prod(series.shape) // math.prod(_plane_shape(series))


def _plane_shape(series: TiffPageSeries) -> tuple[int, int]:
    return series.keyframe.imagelength, series.keyframe.imagewidth


def _check_complete(tif: TiffFile, series: TiffPageSeries, planes: int) -> None:
    """Check that all pixel data lies inside the file."""
    size, page = tif.filehandle.size, series.keyframe
    plane_bytes = math.prod(_plane_shape(series)) * series.dtype.itemsize
    if series.dataoffset is not None:
        segments = [(series.dataoffset, planes * plane_bytes)]
    else:
        pages = [item for item in series.pages if item is not None]
        expected = len(pages) * math.prod(page.chunked)
        segments = [part for item in pages for part in zip(item.dataoffsets, item.databytecounts, strict=True)]
        if len(pages) != planes or len(segments) != expected:
            raise StackError(
                f"it lacks pixel data ({len(segments)} of {expected} strips or tiles in {len(pages)} of {planes} "
                "planes): it is truncated; export or copy it again"
            )
    end = max(offset + count for offset, count in segments)
    if end > size or not all(offset and count for offset, count in segments):
        raise StackError(
            f"its pixel data needs {end} bytes and it has {size}: it is truncated or damaged; export or copy it again"
        )
    if page.compression == 1 and page.bitspersample >= 8 and sum(n for _, n in segments) < planes * plane_bytes:
        raise StackError("it holds fewer bytes than pixels: it is damaged; export or copy it again")


def _read(tif: TiffFile, series: TiffPageSeries, index: int) -> npt.NDArray[Any]:
    shape = _plane_shape(series)
    if series.dataoffset is None:
        page = series.pages[index]
        if page is None:
            raise StackError(f"plane {index} is missing; export it again")
        plane = page.asarray()
    else:
        count = math.prod(shape)
        offset = series.dataoffset + index * count * series.dtype.itemsize
        stored = series.dtype.newbyteorder(tif.byteorder)
        plane = tif.filehandle.read_array(stored, count=count, offset=offset).reshape(shape)
    return plane.astype(plane.dtype.newbyteorder("="), copy=False)
