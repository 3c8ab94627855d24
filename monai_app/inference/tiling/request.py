"""The user's requests for a plan."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ByteSize, TypeAdapter

from monai_app.errors import ConfigError

LONGEST_SIDE = 1_000_000
"""Of a tile, in pixels: more than slices have."""


@dataclass(frozen=True)
class Request:
    """Tile and memory, where they are not left to the planner.

    Attributes:
        tile: rows and columns of a tile.
        memory: bytes that a process may use in all.
    """

    tile: tuple[int, int] | None = None
    memory: int | None = None

    @classmethod
    def parse(cls, tile: str | int | Sequence[int] | None = None, memory: str | int | None = None) -> "Request":
        """Read what stands on a command line or in a config.

        Args:
            tile: ``"1024"`` for 1024 x 1024 pixels, ``"2048,1024"`` or a list for rows and columns.
            memory: bytes, or a text such as ``"4 GiB"`` or ``"800M"``.

        Raises:
            ConfigError: it cannot be read.

        Example:
            >>> Request.parse("1024", "2 GiB")
            Request(tile=(1024, 1024), memory=2147483648)
        """
        return cls(None if tile is None else _sides(tile), None if memory is None else _bytes(memory))


def _sides(tile: str | int | Sequence[int]) -> tuple[int, int]:
    parts = tile.split(",") if isinstance(tile, str) else tile if isinstance(tile, Sequence) else [tile]
    try:
        sides = [int(part) for part in parts]
    except (TypeError, ValueError):
        sides = []
    if len(sides) not in (1, 2) or not 1 <= min(sides) <= max(sides) <= LONGEST_SIDE:
        raise ConfigError(
            f"tile {tile!r}: must be the side of a square of 1 to {LONGEST_SIDE} pixels or ROWS,COLUMNS (--tile)"
        )
    return sides[0], sides[-1]


def _bytes(memory: str | int) -> int:
    try:
        text = (
            re.sub(r"(?<=[kmgtp])i$", "iB", memory.strip(), flags=re.IGNORECASE) if isinstance(memory, str) else memory
        )
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except (TypeError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise ConfigError(f"memory {memory!r}: must be a size such as 4GiB or 800MB (--memory)")
    return size
