"""Which rows of a map a layer reads for which rows of its result: one geometry for all kinds of layers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis, of convolutions, pooling, up-sampling and transposed convolutions alike.

    The source's rows are spread ``up`` apart. Row r of the result reads ``kernel`` of the rows in between,
    ``dilation`` apart, from row ``r * stride - padding`` on; those that are not rows of the source count nothing::

        kernel 3, stride 2, padding 1      kernel 4, up 2, padding 2 (transposed: kernel 4, stride 2, padding 1)

        source    0 1 2 3 4 5              source    0   1   2   3
        row 0   [_ # #]                    row 0   [_ _ # _]
        row 1       [# # #]                row 1     [_ # _ #]

    Attributes:
        kernel: rows that the window reads.
        stride: rows that it moves for the next row of the result; 1 where ``up`` is more.
        padding: rows by which it begins before the source, and ends behind it.
        dilation: distance of the rows it reads.
        up: distance of the source's rows.
        extra: rows by which it goes further at the end, as ``output_padding`` of transposed convolutions.
    """

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    up: int = 1
    extra: int = 0

    @classmethod
    def transposed(cls, kernel: int, stride: int, padding: int = 0, dilation: int = 1, extra: int = 0) -> "Window":
        """The window of a transposed convolution, from its own arguments."""
        return cls(kernel, 1, dilation * (kernel - 1) - padding, dilation, stride, extra)

    @property
    def span(self) -> int:
        """Rows from the first to the last one that the window reads."""
        return self.dilation * (self.kernel - 1)

    @property
    def meets_source(self) -> bool:
        """Whether the window of every row of the result holds a row of the source."""
        return 0 <= self.padding <= self.span - self.extra and self.span >= self.up - 1

    def rows_out(self, height: int) -> int:
        """Rows of the result, of a source of ``height`` rows."""
        return ((height - 1) * self.up + self.extra + 2 * self.padding - self.span) // self.stride + 1

    def ready(self, rows: int, height: int) -> int:
        """Rows that can be made of the first ``rows`` of the source's ``height``."""
        if rows == height:
            return self.rows_out(height)
        return max((rows * self.up - 1 + self.padding - self.span) // self.stride + 1, 0)

    def reads(self, first: int, stop: int) -> tuple[int, int]:
        """First and stop row of the source that rows ``first`` to ``stop`` are made of; they may lie outside it."""
        low = -((self.padding - first * self.stride) // self.up)
        return low, ((stop - 1) * self.stride - self.padding + self.span) // self.up + 1


SAME = Window()
"""Every row is made of the same row of the source."""
