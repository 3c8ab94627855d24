"""Writing MetaImage, ITK's own format: lines of `key = value`, then the pixels.

By hand: ITK takes whole volumes and writes its complaints to the terminal.
"""

import zlib
from pathlib import Path

import numpy as np

from monai_app.io.writers.content import Content

_TYPES = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "int32": "MET_INT"}

_LEVEL = 1
"""Noisy pixels hardly compress; higher levels only take longer."""

_DIGITS = 20
"""Digits of the compressed size, which stands before the pixels and is known after them."""


def write_metaimage(path: Path, content: Content) -> None:
    """Write MetaImage, .mha, compressed. Lengths are micrometres; the format names no unit that ITK reads.

    Raises:
        StackError: there are several channels.
    """
    content.check_one_channel()
    packer, size = zlib.compressobj(_LEVEL), 0
    with path.open("wb") as handle:
        before = "\n".join(_before(content))
        place = handle.write(f"{before}\nCompressedDataSize = ".encode())
        handle.write(f"{0:0{_DIGITS}d}\n{_after(content)}\n".encode())
        for data in content.little_endian():
            size += handle.write(packer.compress(data))
        size += handle.write(packer.flush())
        handle.seek(place)
        handle.write(f"{size:0{_DIGITS}d}".encode())


def _before(content: Content) -> list[str]:
    spacing = np.linalg.norm(content.affine[:3, :3], axis=0)
    directions = (content.affine[:3, :3] / spacing).T
    return [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"TransformMatrix = {_numbers(directions.ravel())}",
        f"Offset = {_numbers(content.affine[:3, 3])}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {_numbers(spacing)}",
        f"DimSize = {' '.join(str(length) for length in content.shape[::-1])}",
    ]


def _after(content: Content) -> str:
    return f"ElementType = {_TYPES[content.dtype.name]}\nElementDataFile = LOCAL"


def _numbers(values: "np.typing.NDArray[np.float64]") -> str:
    return " ".join(repr(float(value) + 0.0) for value in values)
