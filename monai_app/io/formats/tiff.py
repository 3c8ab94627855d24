"""One TIFF file: its header checked before anything is decoded, its planes read one at a time."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, check_type, readable, size

_REDUCED = 1
"""Bit of the tag NewSubfileType that marks previews."""

_FEI = (34682, 34680)
"""Tags in which microscopes of FEI and Thermo Fisher describe their images."""

_LOSSY = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY)


class TiffPlanes(PlaneFile):
    """The planes of a TIFF file."""

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order."""
        with _open(self.path) as tif:
            planes = _planes(tif)
            for index in indices:
                yield _read(tif, *planes[index])[: self.shape[0]]

    def colours(self, plane: int) -> npt.NDArray[np.uint16] | None:
        """The colour table (red, green and blue; values) of a plane that holds indices into one; else None."""
        with _open(self.path) as tif:
            series, index = _planes(tif)[plane]
            page = series.pages[min(index, len(series.pages) - 1)]
            return None if page is None else page.aspage().colormap

    def check_alone(self) -> None:
        """Check that a file given as a whole stack is all of it.

        Raises:
            StackError: its metadata spreads the stack over several files.
        """
        with _open(self.path) as tif:
            if tif.is_ome and tif.series[0].kind != "ome":
                raise StackError(
                    "its OME metadata spreads the stack over several files; give the folder of the files instead"
                )


def open_tiff(path: Path, labels: bool) -> TiffPlanes:
    """Check the headers of all pages of a TIFF file without decoding pixels.

    All pages are planes but previews, which the file marks as such. Rows that the microscope added below the picture
    are left out.

    Args:
        path: the file.
        labels: the file holds label values (see `check_type`), and a colour table does not matter.

    Raises:
        StackError: the file is unreadable, truncated, no grey image, turned, or of another type than uint8 and uint16;
            its pages differ, or its metadata leaves some out; label values are compressed with loss.
    """
    with _open(path) as tif:
        pictures = _pictures(tif)
        first = pictures[0]
        _check_none_left_out(tif, pictures)
        for series in pictures:
            _check_alike(series, first)
            for page in series.pages:
                _check_pixels(page.aspage() if page is not None else series.keyframe, series.dtype, labels)
            _check_axes(series)
            _check_complete(tif, series, _count_planes(series))
        count = sum(_count_planes(series) for series in pictures)
        (rows, columns), kept = _plane_shape(first), _picture_rows(first.keyframe)
        return TiffPlanes(path, count, (kept, columns), first.dtype.newbyteorder("="), bar=rows - kept)


@contextmanager
def _open(path: Path) -> Iterator[TiffFile]:
    with readable(path), TiffFile(path, _multifile=False) as tif:
        yield tif


def _pictures(tif: TiffFile) -> list[TiffPageSeries]:
    """The pages but for previews, in series of one shape."""
    if not tif.series or not all(series.keyframe.imagewidth for series in tif.series):
        raise StackError("it holds no image; export it again")
    _check_chain(tif)
    pictures = [series for series in tif.series if not series.keyframe.subfiletype & _REDUCED] or tif.series
    declared, held = _declared_images(tif), _count_planes(pictures[0])
    if declared > held and pictures[0].kind != "ome":
        raise StackError(
            f"its metadata declares {declared} planes and it holds {held}: it is truncated; export or copy it again"
        )
    return list(pictures)


def _planes(tif: TiffFile) -> list[tuple[TiffPageSeries, int]]:
    return [(series, index) for series in _pictures(tif) for index in range(_count_planes(series))]


def _check_none_left_out(tif: TiffFile, pictures: list[TiffPageSeries]) -> None:
    """Check that every page that is no preview is in a series, and that previews are smaller than pictures."""
    shown, shape = sum(_count_planes(series) for series in pictures), _plane_shape(pictures[0])
    previews = [page for page in (page.aspage() for page in tif.pages) if page.subfiletype & _REDUCED]
    pages = len(tif.pages) - len(previews)
    if shown < pages:
        raise StackError(f"its metadata tells of {shown} planes and it holds {pages}; save it again without the others")
    if pages and any(page.imagelength * page.imagewidth >= math.prod(shape) for page in previews):
        raise StackError("a page that it calls a preview is as large as its picture; save it again without the preview")


def _check_alike(series: TiffPageSeries, first: TiffPageSeries) -> None:
    """Check that several series are one stack, written plane by plane."""
    if _plane_shape(series) != _plane_shape(first):
        raise StackError(
            f"it holds planes of {size(_plane_shape(first))} and others of {size(_plane_shape(series))}, and all "
            "slices must have one shape; save the stack without the others"
        )
    if series.dtype != first.dtype:
        raise StackError(f"it holds planes of {first.dtype} and others of {series.dtype}; save all as one type")
    if series is not first and ("ome" in (series.kind, first.kind) or _count_planes(series) + _count_planes(first) > 2):
        raise StackError("it holds several stacks, such as those of two detectors; save each as a file of its own")


def _picture_rows(page: TiffPage) -> int:
    """Rows of the picture: what microscopes of FEI and Thermo Fisher write below it, they say."""
    length, width = page.imagelength, page.imagewidth
    for sections in (page.tags.valueof(tag) for tag in _FEI):
        parts = [sections.get(name) if isinstance(sections, dict) else None for name in ("Image", "PrivateFei")]
        image, private = (part if isinstance(part, dict) else {} for part in parts)
        rows, bar = image.get("ResolutionY"), private.get("DatabarHeight")
        if isinstance(rows, int) and image.get("ResolutionX") == width and 0 < rows <= length:
            return rows
        if not isinstance(rows, int) and isinstance(bar, int) and 0 < bar < length:
            return length - bar
    return length


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


def _check_pixels(page: TiffPage, dtype: np.dtype[Any], labels: bool) -> None:
    if page.samplesperpixel != 1 or page.photometric == PHOTOMETRIC.RGB:
        raise StackError(
            f"it is a colour image ({page.samplesperpixel} values a pixel) and must be grey; convert it to 8-bit or "
            "16-bit grey"
        )
    if (turned := page.tags.valueof(274, 1)) != 1:
        raise StackError(f"it says that it is to be shown turned or mirrored (orientation {turned}); save it upright")
    if labels and page.compression in _LOSSY:
        raise StackError(
            "its compression is JPEG, which changes label values; save the original again with LZW, deflate or none"
        )
    if not labels:
        _check_grey(page)
    check_type(dtype, page.bitspersample, labels)


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
    return math.prod(series.shape) // max(1, math.prod(series.keyframe.shape))


def _check_axes(series: TiffPageSeries) -> None:
    # Only the page knows rows and columns for certain: tifffile guesses axes where the file does not name them.
    leading = [axis for axis, length in zip(series.axes, series.shape, strict=True) if axis not in "YX" and length > 1]
    if len(leading) > 1 or leading == ["C"]:
        raise StackError(
            f"its axes are {series.axes} with sizes {series.shape} and must be rows and columns, or slices, rows and "
            "columns; where C are slices, call them so (in Fiji: Image > Hyperstacks > Re-order Hyperstack), and where "
            "they are detectors, save each as a TIFF of its own (Image > Color > Split Channels)"
        )


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
