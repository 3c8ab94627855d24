"""One TIFF file: its header checked before anything is decoded, its planes read one at a time."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffPageSeries

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request, readable
from monai_app.io.formats.painted import DTYPE, colour_numbers
from monai_app.io.formats.tiff.fei import picture_rows
from monai_app.io.formats.tiff.pages import (
    check_alike,
    check_complete,
    check_none_left_out,
    check_pixels,
    count_planes,
    is_painted,
    leading_axes,
    pictures_of,
    plane_shape,
    samples_of,
    zero_is_white,
)
from monai_app.io.formats.tiff.recorded import channel_names, page_detectors, read_recorded
from monai_app.io.memory import check_backed
from monai_app.io.parts import channels_of


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
            series, index, _ = _planes(tif)[plane]
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


def open_tiff(path: Path, request: Request) -> TiffPlanes:
    """Check the headers of all pages of a TIFF file without decoding pixels.

    All pages are planes but previews, which the file marks as such. Rows that the microscope added below the picture
    are left out.

    Args:
        path: the file.
        request: what is asked for (see `check_type`); for label values a colour table does not matter.

    Raises:
        StackError: the file is unreadable, truncated, no grey image, turned, or of another type than is asked for; its
            pages differ, or its metadata leaves some out; label values are compressed with loss.
    """
    with _open(path) as tif:
        pictures = pictures_of(tif)
        first, white = pictures[0], set[bool]()
        check_none_left_out(tif, pictures)
        for series in pictures:
            check_alike(series, first)
            leading_axes(series)
            for page in (each.aspage() if each is not None else series.keyframe for each in series.pages):
                check_pixels(page, series.dtype, request)
                white.add(zero_is_white(page))
            check_complete(tif, series, count_planes(series))
        if len(white) > 1:
            raise StackError("0 is white on some of its pages and black on others; save all of them alike")
        (rows, columns), kept = plane_shape(first), picture_rows(first.keyframe)
        check_backed(max(rows * columns, math.prod(first.keyframe.chunks)) * first.dtype.itemsize, [path])
        painted = request.painted and is_painted(first.keyframe)
        return TiffPlanes(
            path,
            len(_planes(tif)),
            (kept, columns),
            DTYPE if painted else first.dtype.newbyteorder("="),
            bar=rows - kept,
            recorded=read_recorded(tif, first.keyframe),
            channels=_channels(tif, pictures),
            zero_is_white=white.pop(),
            painted=painted,
        )


def _channels(tif: TiffFile, pictures: list[TiffPageSeries]) -> Mapping[str, range]:
    """The planes of every channel; empty if there is one."""
    first, planes = pictures[0], _planes(tif)
    axes = leading_axes(first)
    outermost, samples = [axis for axis, _ in axes] == ["C", "Z"], samples_of(first.keyframe)
    if outermost and samples > 1:
        raise StackError(
            "it has channels both as planes and as values of a pixel, in an order that is not clear; save it with one "
            "kind of them"
        )
    channels = dict(axes).get("C", 1) * samples
    if channels > 1:
        return channels_of(channel_names(tif, channels), len(planes) // channels, outermost=outermost)
    pages = [page.aspage() for series in pictures for page in series.pages if page is not None]
    names = page_detectors(pages) if len(pages) == len(planes) else []
    return channels_of(names, 1, outermost=True) if names else {}


def _planes(tif: TiffFile) -> list[tuple[TiffPageSeries, int, int]]:
    """Series, plane and sample of every plane."""
    return [
        (series, index, sample)
        for series in pictures_of(tif)
        for index in range(count_planes(series))
        for sample in range(samples_of(series.keyframe))
    ]


@contextmanager
def _open(path: Path) -> Iterator[TiffFile]:
    with readable(path), TiffFile(path, _multifile=False) as tif:
        yield tif


def _read(tif: TiffFile, series: TiffPageSeries, index: int, sample: int) -> npt.NDArray[Any]:
    shape, samples, painted = plane_shape(series), samples_of(series.keyframe), is_painted(series.keyframe)
    if series.dataoffset is None or samples > 1 or painted:
        page = series.pages[index]
        if page is None:
            raise StackError(f"plane {index} is missing; export it again")
        plane = page.asarray()
        if samples > 1:
            plane = plane.reshape(samples, *shape)[sample] if series.keyframe.planarconfig == 2 else plane[..., sample]
        elif painted:
            plane = colour_numbers(np.moveaxis(plane, 0, 2) if series.keyframe.planarconfig == 2 else plane)
    else:
        count = math.prod(shape)
        offset = series.dataoffset + index * count * series.dtype.itemsize
        stored = series.dtype.newbyteorder(tif.byteorder)
        plane = tif.filehandle.read_array(stored, count=count, offset=offset).reshape(shape)
    return plane.astype(plane.dtype.newbyteorder("="), copy=False)
