"""Parts of a stack: a span of one axis, a rectangle of a slice and a region.

All count pixels of the stack from 0, along z, y and x in this order; the end is excluded. People give a region as
``--z 10:40 --y :2048 --x 1024:``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from monai_app.errors import ConfigError

LINES = {"z": "slice", "y": "row", "x": "column"}
"""Name of a unit along each axis."""

SPAN = re.compile(r"(?P<only>[0-9]+)|(?P<first>[0-9]*)\s*:\s*(?P<end>[0-9]*)")


@dataclass(frozen=True, order=True)
class Span:
    """Consecutive slices, rows or columns from ``start`` to ``stop``, which is excluded.

    Example:
        >>> span = Span(10, 40)
        >>> len(span), str(span), str(span.intersect(Span(30, 90))), [str(part) for part in span.split(16)]
        (30, '10:40', '30:40', ['10:16', '16:32', '32:40'])
    """

    start: int
    stop: int

    def __len__(self) -> int:
        """Return the number of slices, rows or columns."""
        return self.stop - self.start

    def __str__(self) -> str:
        """Return the span in the form of the command line."""
        return f"{self.start}:{self.stop}"

    @property
    def index(self) -> slice:
        """The span as an index of an array."""
        return slice(self.start, self.stop)

    @property
    def range(self) -> range:
        """Its slices, rows or columns as a range."""
        return range(self.start, self.stop)

    def shift(self, by: int) -> "Span":
        """Return the span moved towards higher numbers."""
        return Span(self.start + by, self.stop + by)

    def intersect(self, other: "Span") -> "Span":
        """Return the intersection of two spans, which may be empty."""
        start = max(self.start, other.start)
        return Span(start, max(start, min(self.stop, other.stop)))

    def enclose(self, other: "Span") -> "Span":
        """Return the shortest span that contains both."""
        return Span(min(self.start, other.start), max(self.stop, other.stop))

    def split(self, step: int, origin: int = 0) -> Iterator["Span"]:
        """Split the span at multiples of ``step``, counted from ``origin``."""
        first = self.start - (self.start - origin) % step
        return (Span(start, start + step).intersect(self) for start in range(first, self.stop, step) if len(self))

    def cut(self, places: Sequence[int]) -> "list[Span]":
        """Split the span before each of these indices."""
        ends = sorted({self.start, self.stop, *(place for place in places if self.start < place < self.stop)})
        return [Span(start, stop) for start, stop in pairwise(ends)]


@dataclass(frozen=True, order=True)
class Rect:
    """A rectangle of a slice: rows y and columns x.

    Example:
        >>> rect = Rect(Span(2, 5), Span(1, 4))
        >>> rect.shape, rect.relative_to(Rect(Span(2, 9), Span(0, 9))).index
        ((3, 3), (slice(0, 3, None), slice(1, 4, None)))
    """

    y: Span
    x: Span

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Rect":
        """Return the rectangle of a complete slice, or of an array whose last two axes are rows and columns."""
        rows, columns = shape[-2:]
        return cls(Span(0, rows), Span(0, columns))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.y), len(self.x)

    @property
    def index(self) -> tuple[slice, slice]:
        """The rectangle as an index of (rows, columns)."""
        return self.y.index, self.x.index

    def intersect(self, other: "Rect") -> "Rect":
        """Return the intersection of two rectangles."""
        return Rect(self.y.intersect(other.y), self.x.intersect(other.x))

    def enclose(self, other: "Rect") -> "Rect":
        """Return the smallest rectangle that contains both."""
        return Rect(self.y.enclose(other.y), self.x.enclose(other.x))

    def relative_to(self, outer: "Rect") -> "Rect":
        """Return the position of the rectangle in an array that contains ``outer``."""
        return Rect(self.y.shift(-outer.y.start), self.x.shift(-outer.x.start))

    def split(self, rows: int, columns: int) -> Iterator["Rect"]:
        """Split the rectangle along a grid of cells of ``rows`` x ``columns`` that starts at row and column 0."""
        return (Rect(y, x) for y, x in product(self.y.split(rows), self.x.split(columns)))

    def to_json(self) -> list[list[int]]:
        """Return the rectangle as JSON: ``[[first row, end], [first column, end]]``."""
        return [[self.y.start, self.y.stop], [self.x.start, self.x.stop]]


@dataclass(frozen=True, order=True)
class Region:
    """A block of a stack: slices z, rows y and columns x."""

    z: Span
    y: Span
    x: Span

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Region":
        """Return the region of a complete stack with this shape."""
        return cls(*(Span(0, length) for length in shape))

    @classmethod
    def parse(cls, z: str | None, y: str | None, x: str | None, shape: Sequence[int]) -> "Region":
        """Read a region; ``None`` stands for everything along an axis.

        Args:
            z: slices, see :func:`parse_span`.
            y: rows.
            x: columns.
            shape: slices, rows and columns of the stack.

        Raises:
            ConfigError: a text is not a span, or the span is not within the stack.
        """
        texts = {"z": z, "y": y, "x": x}
        spans = (
            Span(0, length) if text is None else parse_span(text, length, axis)
            for (axis, text), length in zip(texts.items(), shape, strict=True)
        )
        return cls(*spans)

    @property
    def rect(self) -> Rect:
        """The rows and columns, which are the same in all its slices."""
        return Rect(self.y, self.x)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def index(self) -> tuple[slice, slice, slice]:
        """The region as an index of (slices, rows, columns)."""
        return self.z.index, self.y.index, self.x.index

    def check_within(self, shape: Sequence[int]) -> None:
        """Check that the region is within a stack of this shape.

        Raises:
            ConfigError: it is empty or not within the stack.
        """
        for axis, span, length in zip("zyx", (self.z, self.y, self.x), shape, strict=True):
            if not 0 <= span.start < span.stop <= length:
                raise ConfigError(
                    f"region {axis} {span}: the {LINES[axis]}s are 0 to {length - 1}; give a part of them"
                )

    def to_json(self) -> dict[str, list[int]]:
        """Return the region as JSON: ``{"z": [start, stop], ...}``."""
        return {axis: [span.start, span.stop] for axis, span in vars(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Region":
        """Read the output of `to_json`; TypeError if an axis or an end is missing or superfluous."""
        return cls(**{axis: Span(*ends) for axis, ends in dict(content).items()})


def parse_span(text: str, length: int, axis: str) -> Span:
    """Read a span: ``"10:40"`` (40 excluded), ``":40"``, ``"10:"``, ``":"`` or ``"12"``, which is one.

    Args:
        text: the span.
        length: number of slices, rows or columns of the stack.
        axis: ``"z"``, ``"y"`` or ``"x"``, which names the option in errors.

    Raises:
        ConfigError: the text is not such a span (steps and negative numbers are not allowed), or the span is empty or
        not within the stack.
    """
    line = LINES[axis]
    given = f"--{axis} {text}"
    match = SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            f"{given} is not a range of {line}s; write --{axis} FIRST:END (END is excluded), FIRST: or :END, or one "
            f"number for one {line}; put it in quotes in a config"
        )
    only, first, end = match.groups()
    start = int(only or first or 0)
    stop = start + 1 if only else int(end or length)
    if start >= length or stop > length:
        raise ConfigError(
            f"{given} is not within the {line}s 0 to {length - 1}; write --{axis} 0:{length} or a part of it"
        )
    if start >= stop:
        raise ConfigError(f"{given} is empty, because the end is excluded; write --{axis} {start}:{start + 1}")
    return Span(start, stop)
