"""Where the images of a description come from, and how their values become grey values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from monai_app.domain.validation import Strict, Text, shown
from monai_app.errors import ConfigError
from monai_app.io.base import Request
from monai_app.io.grey import GreyMapping, Target
from monai_app.names import is_printable


def _find_source(value: Any, info: ValidationInfo) -> Path:
    """Make a path of a description, which is relative to the description's folder, absolute."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ConfigError(f"{shown(value)} is not text; write a path, relative to the description")
    if not is_printable(str(value)):
        raise ConfigError(f"{shown(value)} contains control characters; rename the file or folder")
    if info.context is None:
        return Path(value)
    try:
        path: Path = info.context / Path(value).expanduser()
        found = path.exists()
    except (OSError, RuntimeError) as error:  # a name too long; no such user
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{shown(value)} cannot be accessed ({reason}); correct the path") from None
    if not found:
        raise ConfigError(f"{path} does not exist; paths are relative to the description; correct it")
    return path


_Value = Annotated[float, Field(ge=-1e15, le=1e15)]
_Source = Annotated[Path, BeforeValidator(_find_source)]


class GreyDescription(Strict):
    """How stored values become grey values, for the whole stack."""

    range: Annotated[tuple[_Value, _Value], Field(strict=False)] | None = Field(default=None, alias="from")
    """The values that become black and white: 0, and the highest value of the type."""
    to: Target | None = None
    """The type of the grey values."""
    inverted: bool = False
    """Whether black and white are exchanged."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.range is None) != (self.to is None):
            raise ConfigError("'from' and 'to' belong together; give both, as in {from: [-1000, 3000], to: uint16}")
        if self.range is None and not self.inverted:
            raise ConfigError("has no effect; give 'from' and 'to', or 'inverted: true', or leave it out")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ConfigError(f"from: {list(self.range)} is not a range; give the lower value first")
        return self

    def mapping(self, dtype: np.dtype[Any]) -> GreyMapping:
        """The mapping of values of a type.

        Raises:
            StackError: the range is left out and the type is not uint8 or uint16.
        """
        if self.range is not None and self.to is not None:
            return GreyMapping(*self.range, self.to, self.inverted)
        return GreyMapping(0, int(np.iinfo(dtype).max), "uint8" if dtype == np.uint8 else "uint16", self.inverted)


class SourceDescription(Strict):
    """The source of images: a folder with one image per slice, or one file with all slices."""

    source: _Source
    """The folder or file."""
    files: Text | None = None
    """Only files whose names match this pattern, such as `*_ICE_*`; `!*_label*` means all others."""
    channel: Annotated[int, Field(ge=0, le=999)] | Text | None = None
    """The channel, counted from 0 or as the file names it."""
    page: Annotated[int, Field(ge=0, le=99_999)] | None = None
    """The page of every file, counted from 0."""
    dataset: Annotated[Text, BeforeValidator(lambda name: str(name) if type(name) is int else name)] | None = None
    """The dataset of a file that holds several (HDF5, OME-Zarr)."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.channel is not None and self.page is not None:
            raise ConfigError("'channel' and 'page' both select planes; give only one")
        return self

    def request(self, *, labels: bool = False, grey: GreyDescription | None = None) -> Request:
        """What is asked of the readers."""
        return Request(
            labels=labels,
            mapped=grey is not None and grey.range is not None,
            inverted=grey is not None and grey.inverted,
            files=self.files,
            channel=self.channel,
            page=self.page,
            dataset=self.dataset,
        )


class DetectorDescription(SourceDescription):
    """The source of a detector's images."""

    grey: GreyDescription | None = None
    """How its values become grey values, if different from the sample's `grey`."""


def expand_path(value: Any, info: ValidationInfo) -> Any:
    """A path alone means all that is there."""
    if isinstance(value, SourceDescription | Mapping):
        return value
    _find_source(value, info)  # errors then name the entry and not a key that the user did not write
    return {"source": value}
