"""The layers of a row stream: each computes some rows of its map from the rows of others that its window reads.

Every map is one image and kept as (rows, columns, channels), so that its rows lie one after the other in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from monai_app.device import onednn
from monai_app.inference.streaming.window import SAME, Window

Fetch = Callable[[int, int, int, float | None], Tensor]
"""``fetch(source, first, stop, outside)``: the rows of a map. Rows outside the map hold the value ``outside``, or
repeat its first and last row where that is None. The tensor may be a view."""


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """One operation of a network.

    Attributes:
        sources: numbers of the maps it reads.
        target: number of the map it makes.
        height: its window along the rows.
        width: its window along the columns.
    """

    outside: ClassVar[float | None] = 0.0
    """What it takes rows outside the source for; see `Fetch`."""

    sources: tuple[int, ...]
    target: int
    height: Window = SAME
    width: Window = SAME

    @property
    def step(self) -> int:
        """Rows that it makes together; its first and its last ones may be fewer."""
        return 1

    @property
    def scratch(self) -> float:
        """Memory that it takes for itself, over that of the rows it reads and makes."""
        return 0.0

    def window(self, place: int) -> Window:
        """Return the window along the rows in one of the sources."""
        return self.height

    def reads(self, place: int, first: int, stop: int) -> tuple[int, int]:
        """Return the first and the stop row that it fetches of one of the sources."""
        return self.window(place).reads(first, stop)

    def rows(self, fetch: Fetch, first: int, stop: int, height: int) -> Tensor:
        """Make rows ``first`` to ``stop`` of all ``height``: (rows, columns, channels), dense or a view of a source."""
        spans = (self.reads(place, first, stop) for place in range(len(self.sources)))
        # one by one, for the cache's sake
        parts = (fetch(source, *span, self.outside) for source, span in zip(self.sources, spans, strict=True))
        low, _ = self.reads(len(self.sources) - 1, first, stop)
        return self.compute(parts, first - low * self.height.up, stop - first)

    @abstractmethod
    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        """Make ``count`` rows.

        Args:
            parts: the rows (rows, columns, channels) of each source that the window reads for them.
            skipped: rows, ``up`` for every row of the source, from the first of the parts to the first that is made.
            count: rows to make.
        """


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """Convolution, padded with zeros; several sources are concatenated.

    Attributes:
        weight: (out channels, in channels, kernel rows, kernel columns).
        bias: (out channels,).
        groups: of channels.
        adds: whether the first source is not convolved: the result is added to it, in place, as nothing else reads it.
        relu: whether a ReLU follows.
        packed: the kernels for oneDNN's fused convolution, for each source those of its channels; the weight is then a
            mere shape. Empty if they are not packed.
    """

    weight: Tensor
    bias: Tensor | None
    groups: int = 1
    adds: bool = False
    relu: bool = False
    packed: tuple[Tensor, ...] = ()

    def window(self, place: int) -> Window:
        return SAME if self.adds and place == 0 else self.height

    @property
    def geometry(self) -> onednn.Geometry:
        """Strides, padding and dilation: no rows of padding, where rows of other stripes are."""
        height, width = self.height, self.width
        return onednn.Geometry((height.stride, width.stride), (0, width.padding), (height.dilation, width.dilation))

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        if self.packed:
            images = map(as_image, parts)
            return as_rows(onednn.convolve(images, self.packed, self.bias, self.geometry, self.relu, self.adds))
        added = as_image(next(parts)) if self.adds else None
        made = torch.conv2d(as_image(torch.cat(list(parts), 2)), self.weight, self.bias, *self.geometry, self.groups)
        made = made if added is None else made.add_(added)
        return as_rows(made.relu_() if self.relu else made)

    def pack(self, channels: Sequence[int]) -> "Convolution":
        """Lay the kernels out for the fused convolution if there is one for sources of these channels."""
        packed = onednn.pack(self.weight, channels, self.geometry) if self.groups == 1 else ()
        return replace(self, packed=packed, weight=self.weight.to("meta")) if packed else self


@dataclass(frozen=True, kw_only=True)
class AveragePool(Layer):
    """The mean of a window's pixels, those outside the map being zeros.

    Attributes:
        divisor: what their sum is divided by.
    """

    divisor: int

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        kernel, stride = (self.height.kernel, self.width.kernel), (self.height.stride, self.width.stride)
        pool, padding = functional.avg_pool2d, (0, self.width.padding)
        return as_rows(pool(as_image(next(parts)), kernel, stride, padding, divisor_override=self.divisor))


class MaxPool(Layer):
    """The greatest of a window's pixels."""

    outside = -torch.inf

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        kernel, stride = (self.height.kernel, self.width.kernel), (self.height.stride, self.width.stride)
        dilation, padding = (self.height.dilation, self.width.dilation), (0, self.width.padding)
        return as_rows(torch.max_pool2d(as_image(next(parts)), kernel, stride, padding, dilation))


class BlockMaxPool(Layer):
    """The greatest of blocks that do not overlap; several times as fast as torch's pooling of channels-last images."""

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        image, down, across = next(parts), self.height.stride, self.width.stride
        greatest = reduce(torch.maximum, [image[row::down] for row in range(down)])
        columns = greatest.shape[1] // across * across
        return reduce(torch.maximum, [greatest[:, column:columns:across] for column in range(across)])


class Upsample(Layer):
    """A layer that makes ``up`` rows and columns of each one."""

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        return self.enlarge(next(parts))[skipped : skipped + count]

    @abstractmethod
    def enlarge(self, rows: Tensor) -> Tensor:
        """(rows, columns, channels) to (rows * up, columns * up, channels)."""


class NearestUpsample(Upsample):
    """Every pixel repeated."""

    def enlarge(self, rows: Tensor) -> Tensor:
        (height, width, channels), down, across = rows.shape, self.height.up, self.width.up
        shape = (height, down, width, across, channels)
        return rows[:, None, :, None].expand(shape).reshape(height * down, width * across, channels)


class BilinearUpsample(Upsample):
    """Bilinear interpolation without aligned corners, which repeats the outermost rows and columns."""

    outside = None

    def enlarge(self, rows: Tensor) -> Tensor:
        factor = float(self.height.up), float(self.width.up)
        return as_rows(functional.interpolate(as_image(rows), scale_factor=factor, mode="bilinear"))


@dataclass(frozen=True, kw_only=True)
class BlockConvTranspose(Upsample):
    """Transposed convolution whose kernel is its stride: a product of matrices.

    For CPUs: oneDNN's own takes three times as long.

    Attributes:
        kernels: for each row of the kernel (in channels, kernel columns * out channels).
        bias: (kernel columns * out channels,).
    """

    kernels: tuple[Tensor, ...]
    bias: Tensor

    def enlarge(self, rows: Tensor) -> Tensor:
        (height, width, _), down, across = rows.shape, self.height.up, self.width.up
        made = rows.new_empty(height, down, width, self.bias.shape[0])
        for source, targets in zip(rows, made, strict=True):
            for kernel, target in zip(self.kernels, targets, strict=True):
                torch.addmm(self.bias, source, kernel, out=target)
        return made.view(height * down, width * across, -1)


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Layer):
    """Transposed convolution.

    Attributes:
        weight: (in channels, out channels / groups, kernel rows, kernel columns).
        bias: (out channels,).
        groups: of channels.
    """

    weight: Tensor
    bias: Tensor | None
    groups: int = 1

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        part, height, width = next(parts), self.height, self.width
        # Of what torch makes without padding, ``above`` rows come before and ``below`` after those that are wanted.
        above = skipped + height.span - height.padding
        below = (part.shape[0] - 1) * height.up + height.span + 1 - above - count
        cut = min(above, below)
        made = torch.conv_transpose2d(
            as_image(part),
            self.weight,
            self.bias,
            (height.up, width.up),
            (cut, width.span - width.padding),
            (0, width.extra),
            self.groups,
            (height.dilation, width.dilation),
        )
        return as_rows(made)[above - cut : above - cut + count]


@dataclass(frozen=True, kw_only=True)
class Narrow(Layer):
    """Some channels of a map, as a view."""

    begin: int
    end: int

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        return next(parts)[:, :, self.begin : self.end]


class Concatenation(Layer):
    """The channels of several maps, one after the other."""

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        return torch.cat(list(parts), 2)


@dataclass(frozen=True, kw_only=True)
class Elementwise(Layer):
    """An operation on every pixel alone: activations, sums and products of maps.

    Attributes:
        apply: takes the sources as images (1, channels, rows, columns).
    """

    apply: Callable[..., Tensor]

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        return as_rows(self.apply(*map(as_image, parts)))


def as_image(rows: Tensor) -> Tensor:
    """View (rows, columns, channels) as (1, channels, rows, columns), channels last in memory."""
    return rows.permute(2, 0, 1).unsqueeze(0)


def as_rows(image: Tensor) -> Tensor:
    """View (1, channels, rows, columns) as (rows, columns, channels)."""
    return image.squeeze(0).permute(1, 2, 0)
