"""A mask: what of each slice is segmented, or measured."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Region
from monai_app.errors import ConfigError, StackError
from monai_app.files import file_sha256, is_not
from monai_app.io import Request, open_planes
from monai_app.origin import Origin
from monai_app.stack.label_images.arrays import Planes
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.store import Stack


@dataclass(frozen=True)
class Mask:
    """What of each slice takes part; elsewhere labels and maps are 0.

    Args:
        stack: the stack.
        source: name of a finished label image of the stack, whose labels above 0 take part, or path of an image file,
            (rows, columns) for all slices or (slices, rows, columns); with ``None`` everything does.

    Raises:
        ConfigError: there is no such label image or file, its size is not the stack's, or it leaves nothing.
    """

    stack: Stack
    source: str | None = None

    def __post_init__(self) -> None:
        if self.source is None:
            return
        if self.source in self.stack.label_names():
            self.check()
            return
        if not Path(self.source).is_file():
            known = ", ".join(self.stack.label_names()) or "it has none"
            raise ConfigError(
                f"mask {is_not(Path(self.source), 'an image file')}, and is none of the label images of "
                f"{self.stack.path.name}: {known}; give one of them (--mask)"
            )
        self.check()
        check_mask_file(self.source, self.stack.shape)

    @property
    def identity(self) -> str | None:
        """The identity of the mask: the label image's name, or the SHA-256 of the file's pixels."""
        if self.source is None or self.source in self.stack.label_names():
            return self.source
        return hashlib.sha256(_read_file(self.source).tobytes()).hexdigest()

    @cached_property
    def _origin(self) -> Origin | dict[str, Any] | None:
        """What was found at first: the file, or what the label image was made with."""
        if self.source is None or self.source in self.stack.label_names():
            return self._labels()
        return Origin(Path(self.source), file_sha256(Path(self.source)))

    def _labels(self) -> dict[str, Any] | None:
        return None if self.source is None else finished_as(self.stack.path, self.source)

    def check(self) -> None:
        """Check that the mask is the one that was found at first.

        Raises:
            ConfigError: it was replaced or removed.
        """
        if isinstance(self._origin, Origin):
            self._origin.check()
        elif self._origin != self._labels():
            raise ConfigError(
                f"mask {self.source!r} of {self.stack.path.name} was replaced since it was read, so nothing more is "
                "written; run the same command again to use the new one"
            )

    def read(self, z: int, rect: Rect) -> npt.NDArray[np.bool_] | None:
        """Return (rows, columns), true where slice z takes part; None if all of it does.

        Where slices were moved, what lies outside their pictures never does.
        """
        inside = self.stack.inside(z, rect)
        kept = self._read(z, rect)
        return inside if kept is None else kept if inside is None else kept & inside

    def _read(self, z: int, rect: Rect) -> npt.NDArray[np.bool_] | None:
        """What the source says."""
        if self.source is None:
            return None
        if self.source in self.stack.label_names():
            return self.stack.read_labels(self.source, z, rect) > 0
        pixels = _read_file(self.source)
        kept: npt.NDArray[np.bool_] = (pixels if pixels.ndim == 2 else pixels[z])[rect.index] > 0
        return kept

    def keeps(self, region: Region) -> bool:
        """Whether any pixel of a region takes part."""
        parts = (self.read(z, region.rect) for z in region.z.range)
        return any(part is None or bool(part.any()) for part in parts)

    def apply(self, planes: Planes, z: int, rect: Rect) -> Planes:
        """Set what lies outside to 0 in the planes of a rectangle of slice z."""
        kept = self.read(z, rect)
        return planes if kept is None else {name: plane * kept for name, plane in planes.items()}


def check_mask_file(path: str, shape: tuple[int, int, int]) -> None:
    """Check an image file as the mask of a stack of this shape, (slices, rows, columns).

    Raises:
        ConfigError: it is not an image, its shape is another one, or it leaves nothing.
    """
    pixels = _read_file(path)
    if pixels.shape not in (shape, shape[1:]):
        raise ConfigError(
            f"mask {path} is of shape {pixels.shape}; it must be {shape[1:]} (rows, columns) or {shape}; give a mask "
            "of this stack (--mask)"
        )
    if not (pixels > 0).any():
        raise ConfigError(f"mask {path} is 0 everywhere, so nothing would be segmented; give another (--mask)")


def _read_file(path: str) -> npt.NDArray[np.integer]:
    return _read_version(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_version(path: str, changed: int) -> npt.NDArray[np.integer]:
    """Read a file, once as long as it stays as it is: every tile asks for it."""
    try:
        planes = np.stack(list(open_planes(Path(path), Request(labels=True)).planes()))
    except StackError as error:
        raise ConfigError(f"mask {error}; or give the name of a label image (--mask)") from error
    return planes if len(planes) > 1 else planes[0]
