"""Slices as a page holds them: thinned to the screen, grey values in 8 bit, labels without loss."""

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
"""Of zlib: the higher ones take three to nine times as long for labels that are a tenth smaller."""


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
        """The window of the 0.5th to the 99.5th percentile of some planes together, one at least."""
        counts = np.zeros(0, np.int64)
        for plane in planes:
            found = np.bincount(plane.ravel(), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        share = np.cumsum(counts) / counts.sum() * 100
        low, high = (int(np.searchsorted(share, percentile)) for percentile in _PERCENTILES)
        return cls(low, max(high, low + 1))

    def apply(self, plane: Grey) -> Bytes:
        """Grey values (rows, columns) as 0..255, rounded."""
        share = (plane.astype(np.float32) - self.low) / (self.high - self.low)
        return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)


def picture_shape(rows: int, columns: int, side: int) -> tuple[int, int]:
    """Rows and columns of the picture of a slice whose longer side has ``side`` pixels at most.

    Example:
        >>> picture_shape(3868, 4062, 1024), picture_shape(96, 80, 1024)
        ((975, 1024), (96, 80))
    """
    part = min(1.0, side / max(rows, columns))
    return max(1, round(rows * part)), max(1, round(columns * part))


def thin_grey(plane: Bytes, shape: tuple[int, int]) -> Bytes:
    """Make a picture smaller: every pixel is the mean of the area that it stands for."""
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BOX))


def thin_labels(labels: Bytes, shape: tuple[int, int]) -> Bytes:
    """Make labels smaller: every pixel is the one in the middle of the area that it stands for, never a mean.

    Example:
        >>> thin_labels(np.array([[1, 1, 5, 2, 2, 2]], np.uint8), (1, 2)).tolist()
        [[1, 2]]
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for old, new in zip(labels.shape, shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def jpeg(picture: Bytes, quality: int) -> str:
    """A picture (rows, columns) as a JPEG, in base64."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
    return b64encode(file.getvalue()).decode("ascii")


def packed(plane: Bytes) -> str:
    """A plane (rows, columns), row after row, compressed by zlib without loss, in base64.

    A browser unpacks it by itself. It would decode an image, too, but what a page may read of that can be changed by
    its colour management, and by what keeps a user from being recognised: labels would become others.
    """
    return b64encode(zlib.compress(plane.tobytes(), _LEVEL)).decode("ascii")
