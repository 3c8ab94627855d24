"""The layers of a traced network, as row streaming sees them: which rows each needs, and how it computes some.

Every map is one image and kept as (rows, columns, channels), so that its rows lie one after the other in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor

Fetch = Callable[[int, int, int], Tensor]
"""``fetch(source, first, stop)``: the rows of a map; rows outside the map are zero. The tensor may be a view."""

_USUAL = (32, 512)
"""Rows and columns that kernels are laid out for; others are as right, if not as fast."""

_PACKED_CHANNELS = 8
"""oneDNN's fused convolution is for blocks of channels; on a few input channels it takes twice the plain one's time."""


@dataclass(frozen=True)
class Layer(ABC):
    """One operation of a network.

    Attributes:
        sources: numbers of the maps it reads.
        target: number of the map it makes.
    """

    sources: tuple[int, ...]
    target: int

    def height(self, height: int) -> int:
        """Rows of the whole map made from sources of ``height`` rows."""
        return height

    def width(self, width: int) -> int:
        """Columns of the map made from sources of ``width`` columns."""
        return width

    def ready(self, rows: int, height: int) -> int:
        """Rows that can be made when the first ``rows`` of the sources' ``height`` are there."""
        return rows

    def needed(self, row: int) -> int:
        """The first row of the sources that row ``row`` and those after it need."""
        return row

    @abstractmethod
    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        """Make rows ``first`` to ``stop``: (rows, columns, channels), dense or a view of a source."""


@dataclass(frozen=True)
class Convolution(Layer):
    """Convolution with odd kernel and step 1, padded with zeros to the same size; several sources are concatenated.

    Attributes:
        weight: (out channels, in channels, kernel rows, kernel columns).
        bias: (out channels,).
        dilation: of rows and columns.
        groups: of channels.
        relu: whether a ReLU follows.
        packed: the kernels as oneDNN wants them, for each source those of its channels; the weight is then a mere
            shape. Empty where they are not packed.
    """

    weight: Tensor
    bias: Tensor | None
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    relu: bool = False
    packed: tuple[Tensor, ...] = ()

    @property
    def reach(self) -> int:
        """Rows needed above and below."""
        return self.weight.shape[2] // 2 * self.dilation[0]

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of zeros: none above and below, where rows of other stripes are."""
        return 0, self.weight.shape[3] // 2 * self.dilation[1]

    def ready(self, rows: int, height: int) -> int:
        return rows if rows == height else max(0, rows - self.reach)

    def needed(self, row: int) -> int:
        return max(0, row - self.reach)

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        first, stop = first - self.reach, stop + self.reach
        if self.packed:
            return as_rows(self._fused(as_image(fetch(source, first, stop)) for source in self.sources))
        image = as_image(torch.cat([fetch(source, first, stop) for source in self.sources], 2))
        made = torch.conv2d(image, self.weight, self.bias, 1, self.padding, self.dilation, self.groups)
        return as_rows(made.relu_() if self.relu else made)

    def _fused(self, images: Iterator[Tensor]) -> Tensor:
        """Convolve one source after the other and add up, which saves laying them together."""
        options: Any = ([*self.padding], [1, 1], [*self.dilation], self.groups)
        convolve, add = torch.ops.mkldnn._convolution_pointwise, torch.ops.mkldnn._convolution_pointwise_.binary
        first, *others = self.packed
        activation = "relu" if self.relu and not others else "none"
        made: Tensor = convolve(next(images), first, self.bias, *options, activation, [], "")
        for place, kernels in enumerate(others, 1):
            last = place == len(others)
            add(made, next(images), kernels, None, *options, "add", 1.0, "relu" if self.relu and last else None, [], "")
        return made


@dataclass(frozen=True)
class Pool(Layer):
    """Pooling of ``step`` x ``step`` pixels, not overlapping."""

    step: int
    apply: Callable[[Tensor], Tensor]

    def height(self, height: int) -> int:
        return height // self.step

    def width(self, width: int) -> int:
        return width // self.step

    def ready(self, rows: int, height: int) -> int:
        return rows // self.step

    def needed(self, row: int) -> int:
        return row * self.step

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        return as_rows(self.apply(as_image(fetch(self.sources[0], first * self.step, stop * self.step))))


@dataclass(frozen=True)
class MaxPool(Pool):
    """The greatest of ``step`` x ``step`` pixels; several times as fast as torch's pooling of channels-last images."""

    apply: Callable[[Tensor], Tensor] = torch.relu  # not used

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        image = fetch(self.sources[0], first * self.step, stop * self.step)
        greatest = reduce(torch.maximum, [image[row :: self.step] for row in range(self.step)])
        columns = greatest.shape[1] // self.step * self.step
        return reduce(torch.maximum, [greatest[:, column : columns : self.step] for column in range(self.step)])


@dataclass(frozen=True)
class Enlarge(Layer):
    """What makes ``step`` x ``step`` pixels of each pixel alone."""

    step: int

    def height(self, height: int) -> int:
        return height * self.step

    def width(self, width: int) -> int:
        return width * self.step

    def ready(self, rows: int, height: int) -> int:
        return rows * self.step

    def needed(self, row: int) -> int:
        return row // self.step

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        low, high = first // self.step, -(-stop // self.step)
        made = self.enlarge(fetch(self.sources[0], low, high))
        return made[first - low * self.step : stop - low * self.step]

    @abstractmethod
    def enlarge(self, rows: Tensor) -> Tensor:
        """(rows, columns, channels) to (rows * step, columns * step, channels)."""


class Repeat(Enlarge):
    """Nearest up-sampling."""

    def enlarge(self, rows: Tensor) -> Tensor:
        height, width, channels = rows.shape
        shape = (height, self.step, width, self.step, channels)
        return rows[:, None, :, None].expand(shape).reshape(height * self.step, width * self.step, channels)


@dataclass(frozen=True)
class Transposed(Enlarge):
    """Transposed convolution whose kernel is its stride: a product of matrices.

    oneDNN's own takes three times as long.

    Attributes:
        kernels: for each row of the kernel (in channels, kernel columns * out channels).
        bias: (kernel columns * out channels,).
    """

    kernels: tuple[Tensor, ...]
    bias: Tensor

    def enlarge(self, rows: Tensor) -> Tensor:
        height, width, _ = rows.shape
        made = rows.new_empty(height, self.step, width, self.bias.shape[0])
        for source, targets in zip(rows, made, strict=True):
            for kernel, target in zip(self.kernels, targets, strict=True):
                torch.addmm(self.bias, source, kernel, out=target)
        return made.view(height * self.step, width * self.step, -1)


@dataclass(frozen=True)
class SmoothTransposed(Layer):
    """Transposed convolution with kernel 4, stride 2 and padding 1, which overlaps by a pixel on each side.

    Attributes:
        weight: (in channels, out channels, 4, 4).
        bias: (out channels,).
    """

    weight: Tensor
    bias: Tensor | None

    def height(self, height: int) -> int:
        return 2 * height

    def width(self, width: int) -> int:
        return 2 * width

    def ready(self, rows: int, height: int) -> int:
        return 2 * rows if rows == height else max(0, 2 * (rows - 1))

    def needed(self, row: int) -> int:
        return max(0, row // 2 - 1)

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        low, high = first // 2, -(-stop // 2)
        image = as_image(fetch(self.sources[0], low - 1, high + 1))
        # One row of context makes two rows on each side, and the kernel reaches one row further.
        made = as_rows(torch.conv_transpose2d(image, self.weight, self.bias, stride=2, padding=(3, 1)))
        return made[first - 2 * low : stop - 2 * low]


@dataclass(frozen=True)
class Channels(Layer):
    """Some channels of a map, as a view."""

    begin: int
    end: int

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        return fetch(self.sources[0], first, stop)[:, :, self.begin : self.end]


@dataclass(frozen=True)
class Concatenation(Layer):
    """The channels of several maps, one after the other."""

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        return torch.cat([fetch(source, first, stop) for source in self.sources], 2)


@dataclass(frozen=True)
class Pointwise(Layer):
    """An operation on every pixel alone: activations, sums and products of maps.

    Attributes:
        apply: takes the sources as images (1, channels, rows, columns).
    """

    apply: Callable[..., Tensor]

    def rows(self, fetch: Fetch, first: int, stop: int) -> Tensor:
        images = [as_image(fetch(source, first, stop)) for source in self.sources]
        return as_rows(self.apply(*images))


def as_image(rows: Tensor) -> Tensor:
    """View (rows, columns, channels) as (1, channels, rows, columns), channels last in memory."""
    return rows.permute(2, 0, 1).unsqueeze(0)


def as_rows(image: Tensor) -> Tensor:
    """View (1, channels, rows, columns) as (rows, columns, channels)."""
    return image.squeeze(0).permute(1, 2, 0)


def pack(layer: Convolution, channels: Sequence[int]) -> Convolution:
    """Lay the kernels out for oneDNN's fused convolution, where there is one for this device and these channels.

    Args:
        layer: the convolution.
        channels: of each of its sources.
    """
    weight = layer.weight
    known = weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    usable = weight.device.type == "cpu" and known and layer.groups == 1
    blocks = all(count % _PACKED_CHANNELS == 0 for count in channels)
    if not (usable and blocks and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return layer
    packed = tuple(
        torch.ops.mkldnn._reorder_convolution_weight(
            part, [*layer.padding], [1, 1], [*layer.dilation], layer.groups, [1, part.shape[1], *_USUAL]
        )
        for part in torch.split(weight, list(channels), 1)
    )
    return replace(layer, packed=packed, weight=weight.to("meta"))
