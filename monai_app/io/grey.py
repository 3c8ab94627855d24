"""Grey values of any type as uint8 or uint16: one affine for a whole stack, never one of a slice."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError

Target = Literal["uint8", "uint16"]


@dataclass(frozen=True)
class GreyMapping:
    """How stored values become grey values: ``low`` becomes 0 and ``high`` the highest value of the type.

    Args:
        low: the value that becomes 0.
        high: the value that becomes 255 or 65535.
        to: the type.
        inverted: 0 and the highest value change places afterwards.

    Example:
        >>> GreyMapping(-1.0, 1.0, "uint8").apply(np.array([[-1.0, 0.0, 1.0]])).tolist()
        [[0, 128, 255]]
    """

    low: float
    high: float
    to: Target
    inverted: bool = False

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """The type of the grey values."""
        return np.dtype(self.to)

    def apply(self, plane: npt.NDArray[Any]) -> npt.NDArray[np.integer]:
        """Map a plane: (rows, columns), rounded half to even.

        Raises:
            StackError: a value lies outside, or is not a number.
        """
        low, high = float(plane.min()), float(plane.max())  # nan where any pixel is
        if not self.low <= low <= high <= self.high:
            raise StackError(f"it holds values from {exact(low)} to {exact(high)}, outside {self._range()}")
        top = np.iinfo(self.dtype).max
        if plane.dtype == self.dtype and (self.low, self.high) == (0, top):
            values = plane
        else:
            scaled = (plane.astype(np.float64) - self.low) * (top / (self.high - self.low))
            values = np.rint(scaled).astype(self.dtype)
        return top - values if self.inverted else values

    def _range(self) -> str:
        return f"'grey: {{from: [{exact(self.low)}, {exact(self.high)}], to: {self.to}}}'"


def exact(value: float) -> str:
    """A number as text that gives the very number back, and is short where that is enough.

    Example:
        >>> exact(7.0), exact(0.1), exact(1 / 3)
        ('7', '0.1', '0.3333333333333333')
    """
    short = f"{value:.10g}"
    return short if float(short) == value else repr(value)


def value_range(planes: Iterable[npt.NDArray[Any]]) -> tuple[float, float]:
    """The lowest and the highest finite value of planes; an empty range (inf, -inf) if there is none."""
    low, high = float("inf"), float("-inf")
    for plane in planes:
        finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high
