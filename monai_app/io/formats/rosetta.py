"""Formats of electron microscopes that RosettaSciIO reads: Digital Micrograph, EMD, TIA; it is an extra."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from monai_app.errors import StackError
from monai_app.io.base import Request, check_type, readable
from monai_app.io.formats.arrays import ArrayPlanes, channels_along, unnamed_axes
from monai_app.io.memory import check_backed, limited_memory
from monai_app.io.recorded import Recorded, length_nm

READERS: Mapping[str, str] = {".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia"}
"""Suffix -> module of RosettaSciIO. Others of its readers would run what stands in a file (pickle), or sum spectra."""


def open_rosetta(path: Path, request: Request) -> ArrayPlanes:
    """Check an image of a file that RosettaSciIO reads.

    Args:
        path: the file.
        request: what is asked for; `dataset` is the title of an image, where the file holds several.

    Raises:
        StackError: RosettaSciIO is not installed or cannot read the file, or which of its images is meant is not clear.
    """
    with readable(path):
        with limited_memory():
            title, signal = _chosen(path, request.dataset)
        data = signal["data"]
        check_type(data.dtype, 8 * data.dtype.itemsize, request)
        axes = unnamed_axes(data.shape)
        check_backed(math.prod(data.shape[-2:]) * data.dtype.itemsize, [path])
        sizes = {
            letter: length_nm(axis.get("scale"), axis.get("units"))
            for letter, axis in zip(axes, signal["axes"], strict=True)
        }
        return ArrayPlanes(
            path,
            math.prod(data.shape[:-2]),
            data.shape[-2:],
            data.dtype.newbyteorder("="),
            recorded=Recorded((sizes.get("z"), sizes["y"], sizes["x"]), origin="its header"),
            channels=channels_along(axes, data.shape),
            part=title,
            lead=data.shape[:-2],
            depth=1,
            opened=lambda: _opened(path, title),
        )


@contextmanager
def _opened(path: Path, title: str) -> Iterator[Any]:
    yield _chosen(path, title)[1]["data"]


def _chosen(path: Path, wanted: str | None) -> tuple[str, Mapping[str, Any]]:
    """The image that is asked for, and its title."""
    try:
        reader = import_module(f"rsciio.{READERS[path.suffix.casefold()]}")
    except ImportError:
        raise StackError(
            f"files of type {path.suffix} are read by RosettaSciIO, which is not installed; install it (pip install "
            "'monai-app[microscopes]'), or convert the file to TIFF"
        ) from None
    found = {_title(number, each): each for number, each in enumerate(reader.file_reader(str(path), lazy=True))}
    images = {title: each for title, each in found.items() if each["data"].ndim >= 2}
    if wanted is None and len(images) == 1:
        wanted = next(iter(images))
    if wanted not in images:
        asked = f"no image {wanted!r}" if wanted is not None else f"{len(images)} images"
        raise StackError(f"it holds {asked} ({', '.join(images) or 'none'}); select one: 'dataset: ...'")
    return wanted, images[wanted]


def _title(number: int, signal: Mapping[str, Any]) -> str:
    """The title of a signal; its number where it has none."""
    title = signal.get("metadata", {}).get("General", {}).get("title")
    return str(title or number)
