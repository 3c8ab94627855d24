"""The pages of a TIFF file that are planes, and whether they are whole and of one kind."""

import math
import struct
from typing import Any

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from monai_app.errors import StackError
from monai_app.io.base import Request, check_type, is_grey_ramp, size

_REDUCED = 1
"""Bit of the tag NewSubfileType that marks previews."""

_LOSSY = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY)


def pictures_of(tif: TiffFile) -> list[TiffPageSeries]:
    """The pages but for previews, in series of one shape."""
    if not tif.series or not all(series.keyframe.imagewidth for series in tif.series):
        raise StackError("it holds no image; export it again")
    _check_chain(tif)
    pictures = [series for series in tif.series if not series.keyframe.subfiletype & _REDUCED] or tif.series
    declared, held = _declared_images(tif), count_planes(pictures[0])
    if declared > held and pictures[0].kind != "ome":
        raise StackError(
            f"its metadata declares {declared} planes and it holds {held}: it is truncated; export or copy it again"
        )
    return list(pictures)


def check_none_left_out(tif: TiffFile, pictures: list[TiffPageSeries]) -> None:
    """Check that every page that is not a preview is in a series, and that previews are smaller than pictures."""
    shown, shape = sum(count_planes(series) for series in pictures), plane_shape(pictures[0])
    previews = [page for page in (page.aspage() for page in tif.pages) if page.subfiletype & _REDUCED]
    pages = len(tif.pages) - len(previews)
    if shown < pages:
        raise StackError(f"its metadata lists {shown} planes and it holds {pages}; save it again without the others")
    if pages and any(page.imagelength * page.imagewidth >= math.prod(shape) for page in previews):
        raise StackError("a page that it calls a preview is as large as its picture; save it again without the preview")


def check_alike(series: TiffPageSeries, first: TiffPageSeries) -> None:
    """Check that several series are one stack, written plane by plane."""
    if plane_shape(series) != plane_shape(first):
        raise StackError(
            f"it holds planes of {size(plane_shape(first))} and others of {size(plane_shape(series))}, and all "
            "slices must have one shape; save the stack without the others"
        )
    if series.dtype != first.dtype:
        raise StackError(f"it holds planes of {first.dtype} and others of {series.dtype}; save all as one type")
    if series is not first and ("ome" in (series.kind, first.kind) or count_planes(series) + count_planes(first) > 2):
        raise StackError("it holds several stacks, such as those of two detectors; save each to a separate file")


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
            f"page {len(tif.pages)} is declared but cannot be read: it is truncated; export or copy it again"
        )


def samples_of(page: TiffPage) -> int:
    """Samples of a pixel that are channels: those of a grey image after the first, without a declared meaning."""
    others = page.extrasamples or ()
    grey = page.photometric == PHOTOMETRIC.MINISBLACK and len(others) == page.samplesperpixel - 1
    return page.samplesperpixel if grey and not any(others) else 1


def check_pixels(page: TiffPage, dtype: np.dtype[Any], request: Request) -> None:
    """Check that a page is a grey image of a type that is asked for.

    Raises:
        StackError: it is not, or is to be shown turned.
    """
    painted = request.painted and is_painted(page)
    if not painted and (page.samplesperpixel != samples_of(page) or page.photometric == PHOTOMETRIC.RGB):
        raise StackError(
            f"it is a colour image ({page.samplesperpixel} values per pixel) and must be grey; convert it to 8-bit or "
            "16-bit grey"
        )
    if (turned := page.tags.valueof(274, 1)) != 1:
        raise StackError(f"it is marked as rotated or mirrored (orientation {turned}); save it upright")
    if request.labels and page.compression in _LOSSY:
        raise StackError(
            "its compression is JPEG, which changes label values; save the original again with LZW, deflate or none"
        )
    if not request.labels:
        _check_grey(page, request)
    check_type(dtype, page.bitspersample, request)


def is_painted(page: TiffPage) -> bool:
    """Whether the pixels of a page are red, green and blue, of 8 bits each, and perhaps an opacity."""
    colours = page.photometric == PHOTOMETRIC.RGB and page.dtype == np.uint8
    return bool(colours and (page.samplesperpixel, page.extrasamples) in ((3, ()), (4, (1,)), (4, (2,))))


def zero_is_white(page: TiffPage) -> bool:
    """Whether a page says that 0 is white."""
    return bool(page.photometric == PHOTOMETRIC.MINISWHITE and 262 in page.tags)


def _check_grey(page: TiffPage, request: Request) -> None:
    if page.photometric == PHOTOMETRIC.PALETTE and not is_grey_ramp(page.colormap):
        raise StackError(
            "its pixels are indices into a colour table, not grey values; convert it to 8-bit or 16-bit grey without a "
            "colour table"
        )
    if zero_is_white(page) and not request.inverted:
        raise StackError(
            "its grey values are stored inverted (0 is white); set 'grey: {inverted: true}' in the "
            "description, or save it with 0 as black"
        )


def count_planes(series: TiffPageSeries) -> int:
    """Planes of a series; one with several values a pixel counts once."""
    return math.prod(series.shape) // max(1, math.prod(series.keyframe.shape))


def leading_axes(series: TiffPageSeries) -> list[tuple[str, int]]:
    """The axes before rows and columns that are longer than 1: slices (Z, whatever the file calls them), channels (C).

    Only the page knows rows and columns for certain: tifffile guesses axes where the file does not name them.

    Raises:
        StackError: there are others.
    """
    named = zip(series.axes, series.shape, strict=True)
    leading = [("C" if axis == "C" else "Z", length) for axis, length in named if axis not in "YXS" and length > 1]
    if len({axis for axis, _ in leading}) < len(leading):
        raise StackError(
            f"its axes are {series.axes} with sizes {series.shape} and must be slices, channels, rows and columns; "
            "save every time point or position to a separate file"
        )
    return leading


def plane_shape(series: TiffPageSeries) -> tuple[int, int]:
    """(rows, columns), with those that are not pictures."""
    return series.keyframe.imagelength, series.keyframe.imagewidth


def check_complete(tif: TiffFile, series: TiffPageSeries, planes: int) -> None:
    """Check that all pixel data lies inside the file."""
    size, page = tif.filehandle.size, series.keyframe
    plane_bytes = math.prod(plane_shape(series)) * samples_of(page) * series.dtype.itemsize
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
