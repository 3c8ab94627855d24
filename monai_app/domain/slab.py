"""A slab: consecutive slices around a target slice; at the ends of a stack the end slice is repeated.

A slab never extends across a gap, where slices are missing. A gap is identified by the slice that follows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from monai_app.domain.region import Span
from monai_app.errors import ConfigError


def _check_odd(slices: int) -> int:
    if type(slices) is not int or slices < 1 or slices % 2 == 0:
        raise ValueError("must be odd and 1 or more, so that there is a middle slice; give 1, 3, 5 ...")
    return slices


SliceCount = Annotated[int, Field(ge=1, le=999), AfterValidator(_check_odd)]
"""Type of the number of slices of a slab, for declarations."""


@dataclass(frozen=True)
class Slab:
    """The number of slices that a network sees.

    Args:
        slices: number S of slices, odd.

    Raises:
        ConfigError: the number is not odd and positive.

    Example:
        >>> Slab(5).indices(1, depth=9)
        (0, 0, 1, 2, 3)
    """

    slices: int

    def __post_init__(self) -> None:
        try:
            _check_odd(self.slices)
        except ValueError as error:
            raise ConfigError(f"a slab of {self.slices!r} slices: {error}") from None

    @property
    def reach(self) -> int:
        """Slices on either side of the target."""
        return self.slices // 2

    def indices(self, z: int, depth: int, gaps: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the S slices around slice z of a stack of ``depth`` slices, see `sequence`."""
        return self.sequence(Span(z, z + 1), depth, gaps)

    def sequence(self, targets: Span, depth: int, gaps: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the slices in the slabs of consecutive targets: T + S - 1 for T targets.

        Args:
            targets: the target slices, without a gap between them.
            depth: slices of the stack.
            gaps: slices that follow a gap.

        Example:
            >>> Slab(5).sequence(Span(3, 5), depth=9, gaps=[3])
            (3, 3, 3, 4, 5, 6)
        """
        (whole,) = (part for part in Span(0, depth).cut(gaps) if targets.start in part.range)
        around = range(targets.start - self.reach, targets.stop + self.reach)
        return tuple(min(max(z, whole.start), whole.stop - 1) for z in around)
