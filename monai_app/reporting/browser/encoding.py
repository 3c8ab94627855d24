"""Encoding of slices for a page: reduced to screen resolution, grey values in 8 bit, labels lossless."""

import zlib
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.integer]
Bytes = npt.NDArray[np.uint8]

_PERCENTILES = (0.5, 99.5)
"""The grey values that are shown as black and white."""

_LEVEL = 7
"""Compression level of zlib: higher ones take three to nine times as long for a gain of a tenth."""


@dataclass(frozen=True)
class Window:
    """The grey values that are shown as black (``low``) and white (``high``).

    Example:
        >>> Window(100, 300).apply(np.array([[0, 100, 200, 300, 999]], np.uint16)).tolist()
        [[0, 0, 128, 255, 255]]
    """

    low: int
    high: int

    @classmethod
    def of(cls, planes: Iterable[Grey]) -> "Window":
        """Return the window from the 0.5th to the 99.5th percentile of one or more planes."""
        counts = np.zeros(0, np.int64)
        for plane in planes:
            found = np.bincount(plane.ravel(), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        share = np.cumsum(counts) / counts.sum() * 100
        low, high = (int(np.searchsorted(share, percentile)) for percentile in _PERCENTILES)
        return cls(low, max(high, low + 1))

    def apply(self, plane: Grey) -> Bytes:
        """Return grey values (rows, columns) as 0..255, rounded."""
        share = (plane.astype(np.float32) - self.low) / (self.high - self.low)
        return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)


def picture_shape(rows: int, columns: int, side: int) -> tuple[int, int]:
    """Return rows and columns of a slice's picture whose longer side has at most ``side`` pixels.

    Example:
        >>> picture_shape(3868, 4062, 1024), picture_shape(96, 80, 1024)
        ((975, 1024), (96, 80))
    """
    part = min(1.0, side / max(rows, columns))
    return max(1, round(rows * part)), max(1, round(columns * part))


def thin_grey(plane: Bytes, shape: tuple[int, int]) -> Bytes:
    """Reduce a picture: every pixel is the mean of the area that it represents."""
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BOX))


def thin_labels(labels: Bytes, shape: tuple[int, int]) -> Bytes:
    """Reduce labels: every pixel is the central one of the area that it represents.

    Example:
        >>> thin_labels(np.array([[1, 1, 5, 2, 2, 2]], np.uint8), (1, 2)).tolist()
        [[1, 2]]
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for old, new in zip(labels.shape, shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def jpeg(picture: Bytes, quality: int) -> str:
    """Return a picture (rows, columns) as a JPEG in base64."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
    return b64encode(file.getvalue()).decode("ascii")


def packed(plane: Bytes) -> str:
    """Return a plane (rows, columns) in row-major order, compressed with zlib, in base64.

    Browsers can decompress it natively. Decoding a PNG would not be exact: colour management and fingerprinting
    protection may change the pixels that a script reads.
    """
    return b64encode(zlib.compress(plane.tobytes(), _LEVEL)).decode("ascii")
