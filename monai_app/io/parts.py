"""One channel or page of a file that holds several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request


@dataclass(frozen=True)
class SomePlanes(PlaneFile):
    """Some planes of a file.

    Args:
        file: the file.
        chosen: which of its planes.
    """

    file: PlaneFile = field(kw_only=True)
    chosen: range = field(kw_only=True)

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order."""
        return self.file.decode(self.chosen[indices.start : indices.stop : indices.step])

    def colours(self, plane: int) -> npt.NDArray[np.uint16] | None:
        """The colour table (red, green and blue; values) of a plane that holds indices into one; else None."""
        return self.file.colours(self.chosen[plane])

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that are read."""
        return self.file.inputs

    def check_alone(self) -> None:
        """Check that a file given as a whole stack holds one set of planes."""
        self.file.check_alone()


def channels_of(names: Sequence[str | None], slices: int, *, outermost: bool) -> Mapping[str, range]:
    """The planes of every channel, by name; by number where names are missing or occur twice.

    Args:
        names: what the file calls its channels, one entry each.
        slices: planes of a channel.
        outermost: whether all slices of a channel stand together, rather than all channels of a slice.

    Example:
        >>> dict(channels_of(["ICE", "TLD"], 3, outermost=False))
        {'ICE': range(0, 6, 2), 'TLD': range(1, 6, 2)}
        >>> dict(channels_of([None, None], 3, outermost=True))
        {'0': range(0, 3), '1': range(3, 6)}
    """
    count = len(names)
    given = [str(name).strip() for name in names if name is not None]
    keys = given if len({name for name in given if name}) == count else [str(number) for number in range(count)]
    if outermost:
        return {key: range(number * slices, (number + 1) * slices) for number, key in enumerate(keys)}
    return {key: range(number, count * slices, count) for number, key in enumerate(keys)}


def chosen_part(file: PlaneFile, request: Request) -> PlaneFile:
    """The part of a file that is asked for.

    Raises:
        StackError: there is no such channel or page, or a file of several channels is asked for as a whole.
    """
    if request.page is not None:
        return _some(file, _page(file, request.page), f"page {request.page}")
    if request.channel is not None:
        name = _channel(file, request.channel)
        return _some(file, file.channels.get(name, range(file.count)), f"channel {name}")
    if len(file.channels) > 1:
        raise StackError(
            f"{file.path} holds {len(file.channels)} channels ({', '.join(file.channels)}). Where they are detectors, "
            "give each one, as in 'ICE: {source: stack.tif, channel: 0}'; where they are slices, call them so (in "
            "Fiji: Image > Hyperstacks > Re-order Hyperstack) and save the file again"
        )
    return file


def _some(file: PlaneFile, chosen: range, what: str) -> PlaneFile:
    if chosen == range(file.count):
        return file
    extent = file.extent
    if extent is not None and len(chosen) != extent.shape[0]:
        extent = replace(extent, shape=(len(chosen), *file.shape))
    return SomePlanes(
        file.path,
        len(chosen),
        file.shape,
        file.dtype,
        extent=extent,
        bar=file.bar,
        segments=file.segments,
        recorded=file.recorded,
        part=f"{file.part} {what}".strip(),
        zero_is_white=file.zero_is_white,
        file=file,
        chosen=chosen,
    )


def _page(file: PlaneFile, page: int) -> range:
    if page >= file.count:
        raise StackError(
            f"{file.path} has pages 0 to {file.count - 1} and no page {page}; pages count from 0: correct 'page'"
        )
    return range(page, page + 1)


def _channel(file: PlaneFile, channel: int | str) -> str:
    names = list(file.channels) or ["0"]
    if isinstance(channel, int) and channel < len(names):
        return names[channel]
    if channel in file.channels:
        return str(channel)
    held = f"{len(names)} channels: {', '.join(names)}" if len(names) > 1 else "one channel"
    raise StackError(
        f"{file.path} holds {held}, and no channel {channel!r}; give one by name, or by number counted from 0: correct "
        "'channel'"
    )
