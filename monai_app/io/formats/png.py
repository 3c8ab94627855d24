"""PNG files: one plane each, grey or, as labels, indices into a colour table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request, check_type, is_grey_ramp, readable
from monai_app.io.formats.painted import DTYPE, colour_numbers
from monai_app.io.memory import DENSEST
from monai_app.io.recorded import Recorded, from_resolution

_HEADER = 26
"""Bytes up to the depth and the colour type."""

_PALETTE = 3
_GREY = 0
_COLOURS = (2, 6)

_METRE_NM = 1e9
_INCHES = 1 / 0.0254
"""In a metre."""


class PngPlane(PlaneFile):
    """The plane of a PNG file."""

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read the plane: (rows, columns), in the machine's byte order."""
        for _ in indices:
            with readable(self.path), self.path.open("rb") as handle:
                yield colour_numbers(np.asarray(_image(handle))) if self.painted else _pixels(handle, self.dtype)

    def colours(self, plane: int) -> npt.NDArray[np.uint16] | None:
        """The colour table (red, green and blue; values) of a plane that holds indices into one; else None."""
        with readable(self.path), self.path.open("rb") as handle:
            return _table(_image(handle))


def open_png(path: Path, request: Request) -> PngPlane:
    """Check the header of a PNG file.

    Raises:
        StackError: the file is unreadable or truncated, no grey image, or of another type than is asked for.
    """
    with readable(path), path.open("rb") as handle:
        start = handle.read(_HEADER)
        if len(start) < _HEADER or not start.startswith(b"\x89PNG\r\n\x1a\n"):
            raise StackError("it does not begin as a PNG file; export or copy it again")
        bits, colour = start[24], start[25]
        handle.seek(0)
        image = _image(handle)
        rows, columns = image.height, image.width
        painted = request.painted and colour in _COLOURS and bits == 8
        if colour not in (_GREY, _PALETTE) and not painted:
            raise StackError(
                "it is a colour image, or has transparency, and must be grey; convert it to 8-bit or 16-bit grey"
            )
        if colour == _PALETTE and not request.labels and not is_grey_ramp(_table(image)):
            raise StackError(
                "its pixels are indices into a colour table, not grey values; convert it to 8-bit or 16-bit grey "
                "without a colour table"
            )
        if rows * columns * bits > 8 * DENSEST * path.stat().st_size:
            raise StackError(
                f"it declares {rows} x {columns} pixels, which it cannot hold: it is truncated; copy it again"
            )
        dtype = np.dtype(np.uint16 if bits == 16 else np.uint8)
        check_type(dtype, 8 if colour == _PALETTE else bits, request)
        dtype = DTYPE if painted else dtype
        return PngPlane(path, 1, (rows, columns), dtype, recorded=_recorded(image), painted=painted)


def _image(handle: Any) -> Any:
    """Open without the limit that Pillow sets to the size of pictures: slices are larger."""
    from PIL import PngImagePlugin

    return PngImagePlugin.PngImageFile(handle)


def _pixels(handle: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    bits, colour = handle.read(_HEADER)[24:26]
    handle.seek(0)
    stored = np.asarray(_image(handle))
    if colour == _GREY and bits in (2, 4):  # Pillow spreads them over 0 to 255
        stored = stored // (255 // (2**bits - 1))
    return stored.astype(dtype)


def _table(image: Any) -> npt.NDArray[np.uint16] | None:
    if image.mode != "P":
        return None
    entries = np.array(image.getpalette("RGB") or [], np.uint16).reshape(-1, 3).T * 257
    table = np.zeros((3, 256), np.uint16)
    table[:, : entries.shape[1]] = entries
    return table


def _recorded(image: Any) -> Recorded:
    x, y = (from_resolution(float(each) * _INCHES, _METRE_NM) for each in image.info.get("dpi", (0, 0)))
    return Recorded((None, y, x), origin="its resolution")
