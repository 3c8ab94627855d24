"""Metadata of a TIFF file about its image, from any program."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from tifffile import TiffFile, TiffPage

from monai_app.io.formats.tiff.fei import read_fei_xml, read_sections
from monai_app.io.formats.tiff.xml import parse_xml
from monai_app.io.formats.tiff.zeiss import read_zeiss
from monai_app.io.recorded import Recorded, Size, from_resolution, length_nm, merged, positive

_Found = TypeVar("_Found")

_PER_UNIT = {2: 2.54e7, 3: 1e7}
"""ResolutionUnit -> nm."""

_VENDORS: tuple[Callable[[TiffPage], Recorded | None], ...] = (read_fei_xml, read_sections, read_zeiss)
"""The most exact one first: sections give six digits, XML all of them."""


def read_recorded(tif: TiffFile, page: TiffPage) -> Recorded:
    """What a file says of its image; what is damaged says nothing.

    Args:
        tif: the file.
        page: its first page that is a plane.
    """
    found = [part for read in _VENDORS if (part := _or_none(partial(read, page))) is not None]
    for general in (_ome, _imagej):
        if (part := _or_none(partial(general, tif, page))) is not None:
            found.append(part)
    if not found and (part := _or_none(partial(_resolution, page))) is not None:
        found.append(part)
    return merged(found)


def channel_names(tif: TiffFile, channels: int) -> list[str | None]:
    """What a file calls its channels; None for those that it gives no name."""
    names = _or_none(partial(_ome_names, tif)) or []
    return names if len(names) == channels else [None] * channels


def page_detectors(pages: Sequence[TiffPage]) -> list[str]:
    """The detectors of the pages, where every page names another one; else none."""
    found = [
        part.detector
        for page in pages
        for read in _VENDORS
        if (part := _or_none(partial(read, page))) is not None and part.detector
    ]
    return found if len(found) == len(pages) == len(set(found)) > 1 else []


def _or_none(read: Callable[[], _Found | None]) -> _Found | None:
    """What is read; None if it is damaged, whatever that makes of parsers."""
    with suppress(Exception):
        return read()
    return None


def _ome(tif: TiffFile, page: TiffPage) -> Recorded | None:
    root = parse_xml(tif.ome_metadata) if tif.is_ome and tif.ome_metadata else None
    pixels = [] if root is None else list(root.iter("Pixels"))
    if not pixels:
        return None
    sizes = [
        tuple(length_nm(each.get(f"PhysicalSize{axis}"), each.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX")
        for each in pixels
    ]
    size: Size = sizes[0] if len(set(sizes)) == 1 else (None, None, None)  # type: ignore[assignment]  # three
    return Recorded(size, origin="its OME metadata")


def _ome_names(tif: TiffFile) -> list[str | None]:
    root = parse_xml(tif.ome_metadata) if tif.is_ome and tif.ome_metadata else None
    pixels = None if root is None else next(root.iter("Pixels"), None)
    return [] if pixels is None else [channel.get("Name") for channel in pixels.iter("Channel")]


def _imagej(tif: TiffFile, page: TiffPage) -> Recorded | None:
    if not tif.is_imagej or not (content := tif.imagej_metadata):
        return None
    unit = content.get("unit", "")
    y = _per_unit(page, 283, length_nm(1, content.get("yunit", unit)))
    x = _per_unit(page, 282, length_nm(1, unit))
    return Recorded((length_nm(content.get("spacing"), content.get("zunit", unit)), y, x), origin="ImageJ's metadata")


def _per_unit(page: TiffPage, tag: int, unit_nm: float | None) -> float | None:
    """The size of a pixel; 1 pixel a unit is what programs write that know no size."""
    resolution = _ratio(page.tags.valueof(tag))
    return None if resolution in (None, 1) or unit_nm is None else unit_nm / resolution


def _resolution(page: TiffPage) -> Recorded | None:
    unit = _PER_UNIT.get(int(page.tags.valueof(296, 2)))
    if unit is None:
        return None
    y, x = (from_resolution(_ratio(page.tags.valueof(tag)), unit) for tag in (283, 282))
    return Recorded((None, y, x), origin="its resolution")


def _ratio(value: object) -> float | None:
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return None
    return positive(value[0] / value[1])
