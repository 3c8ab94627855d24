"""The part of a stack that is segmented, as a person gives it: ``--z 10:40 --y :2048 --x 1024:``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monai_app.errors import ConfigError

LINES = {"z": "slice", "y": "row", "x": "column"}
"""What is counted along each axis."""

SPAN = re.compile(r"(?P<only>[0-9]+)|(?P<first>[0-9]*)\s*:\s*(?P<end>[0-9]*)")


@dataclass(frozen=True)
class Span:
    """Consecutive slices, rows or columns, from ``start`` to before ``stop``.

    Example:
        >>> len(Span(10, 40)), str(Span(10, 40))
        (30, '10:40')
    """

    start: int
    stop: int

    def __len__(self) -> int:
        """Return the number of slices, rows or columns."""
        return self.stop - self.start

    def __str__(self) -> str:
        """Return the span as it is given on the command line."""
        return f"{self.start}:{self.stop}"

    @property
    def index(self) -> slice:
        """The span as an index of an array."""
        return slice(self.start, self.stop)

    def within(self, other: "Span") -> "Span":
        """Return what the two spans share; they must share something, or touch."""
        return Span(max(self.start, other.start), min(self.stop, other.stop))


@dataclass(frozen=True)
class Region:
    """A block of a stack: slices z, rows y and columns x."""

    z: Span
    y: Span
    x: Span

    @classmethod
    def parse(cls, z: str | None, y: str | None, x: str | None, shape: Sequence[int]) -> "Region":
        """Read a region; ``None`` stands for everything along an axis.

        Args:
            z: slices, see :func:`parse_span`.
            y: rows.
            x: columns.
            shape: slices, rows and columns of the stack.

        Raises:
            ConfigError: a text that is no span, or one that leaves the stack.
        """
        texts = {"z": z, "y": y, "x": x}
        spans = (
            Span(0, length) if text is None else parse_span(text, length, axis)
            for (axis, text), length in zip(texts.items(), shape, strict=True)
        )
        return cls(*spans)


def parse_span(text: str, length: int, axis: str) -> Span:
    """Read a span: ``"10:40"`` (40 excluded), ``":40"``, ``"10:"``, ``":"`` or ``"12"``, which is one.

    Args:
        text: the span.
        length: slices, rows or columns that there are.
        axis: ``"z"``, ``"y"`` or ``"x"``, which names the option in errors.

    Raises:
        ConfigError: the text is no such span (steps and negative numbers are not), the span is empty or leaves the
            stack.
    """
    line = LINES[axis]
    given = f"--{axis} {text}"
    match = SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            f"{given} is no span of {line}s; write --{axis} FIRST:END (END is excluded), FIRST: or :END, or one "
            f"number for one {line}; a config wants quotes around it"
        )
    only, first, end = match.groups()
    start = int(only or first or 0)
    stop = start + 1 if only else int(end or length)
    if start >= length or stop > length:
        raise ConfigError(f"{given} leaves the {line}s 0 to {length - 1}; write --{axis} 0:{length} or a part of it")
    if start >= stop:
        raise ConfigError(f"{given} holds no {line}, because the end is excluded; write --{axis} {start}:{start + 1}")
    return Span(start, stop)
