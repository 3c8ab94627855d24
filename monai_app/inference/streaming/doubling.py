"""Transposed convolutions that double rows and columns, as convolutions of their source, and what is fused into them.

Of a kernel of 4 x 4 and stride 2, four pixels that meet at a corner of four pixels of the source depend on these alone.
One convolution of 2 x 2 gives the four, as channels, which are then put in their places: Shi et al. 2016,
doi 10.1109/CVPR.2016.207. That is faster than oneDNN's transposed convolution.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monai_app.inference.streaming.layers import BlockConvTranspose, Convolution, Fetch, Layer
from monai_app.inference.streaming.window import Window
from monai_app.inference.streaming.winograd import winograd

DOUBLING = Window.transposed(4, 2, 1)
"""The window of a doubling transposed convolution."""

_CORNERS = Window(kernel=2, padding=1)
_NEIGHBOURS = Window(kernel=3, padding=1)


@dataclass(frozen=True, kw_only=True)
class Doubling(Layer):
    """Transposed convolution of kernel 4, stride 2 and padding 1.

    Attributes:
        height: `DOUBLING`.
        width: likewise.
        corners: the convolution of 2 x 2 pixels that makes (2 rows, 2 columns, out channels) as its channels; it has no
            sources and target of its own.
        border: what the outermost pixels have more than the others: (3, 3, out channels), for first, inner and last
            rows and columns. None is nothing.
    """

    corners: Convolution
    border: Tensor | None = None

    @property
    def step(self) -> int:
        return 2 * self.corners.step

    @property
    def scratch(self) -> float:
        return 1 + self.corners.scratch

    def reads(self, place: int, first: int, stop: int) -> tuple[int, int]:
        low, high = super().reads(place, first, stop)
        return self.corners.reads(0, low + 1, high)

    def rows(self, fetch: Fetch, first: int, stop: int, height: int) -> Tensor:
        made = super().rows(fetch, first, stop, height)
        if self.border is None:
            return made
        ends = int(first == 0), made.shape[0] - int(stop == height)
        spans = slice(0, ends[0]), slice(*ends), slice(ends[1], None)
        for span, (left, inner, right) in zip(spans, self.border, strict=True):
            made[span, 0] += left
            made[span, -1] += right
            if span != spans[1]:
                made[span, 1:-1] += inner
        return made

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        above, cut = (skipped + 1) // 2, (skipped + 1) % 2  # the first corner's first row is not wanted, or it is
        found = self.corners.compute(parts, above, (cut + count + 1) // 2)
        height, width, channels = found.shape[0], found.shape[1] - 1, found.shape[2] // 4
        corners = found.view(height, width + 1, 2, 2 * channels)
        made = found.new_empty(height, 2, 2 * width * channels)
        # The first corner's right pixel is the first column; all others lie two by two.
        inner = made[:, :, channels:-channels].view(height, 2, width - 1, 2 * channels)
        inner.copy_(corners[:, 1:-1].transpose(1, 2))
        made[:, :, :channels] = corners[:, 0, :, channels:]
        made[:, :, -channels:] = corners[:, -1, :, :channels]
        return made.view(2 * height, 2 * width, channels)[cut:][:count]


def doubling(weight: Tensor, bias: Tensor | None) -> dict[str, Any]:
    """Return the options of `Doubling` for a transposed convolution.

    Args:
        weight: (in channels, out channels, 4, 4).
        bias: (out channels,).
    """
    inward, outward, *_ = weight.shape
    # Corner c lies between pixels c - 1 and c; row f of its two is row 2 c - 1 + f, which row 2 + f of the kernel takes
    # from pixel c - 1, and row f from pixel c.
    taps = weight.view(inward, outward, 2, 2, 2, 2).flip(2, 4)  # in, out, pixel, row, pixel, column
    kernel = taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * outward, inward, 2, 2)
    corners = Convolution(
        sources=(),
        target=-1,
        height=_CORNERS,
        width=_CORNERS,
        weight=kernel.contiguous(memory_format=torch.channels_last),
        bias=None if bias is None else bias.repeat(4),
    )
    return {"height": DOUBLING, "width": DOUBLING, "corners": winograd(corners, [inward]) or corners.pack([inward])}


def join_doublings(layers: Sequence[Layer], shapes: list[tuple[int, int, int]], outputs: Sequence[int]) -> list[Layer]:
    """Take transposed convolutions of 2 x 2 and convolutions of 3 x 3 behind them together, which saves operations.

    The map in between is made by the one and read by the other alone, beside other maps. Both are linear: together they
    are a transposed convolution of 4 x 4, which is added to the convolution of the others. Where the map in between
    has a bias, the outermost pixels get less of it, because it is padded with zeros.

    Args:
        layers: in the order of computation.
        shapes: channels, rows and columns of every map; those of the map in between become its sum's.
        outputs: numbers of the maps that are wanted.

    Returns:
        The layers.
    """
    joined = list(layers)
    places = {layer.target: place for place, layer in enumerate(layers)}
    readers = Counter([*outputs, *(source for layer in layers for source in layer.sources)])
    for place, layer in enumerate(layers):
        if not isinstance(layer, Convolution) or len(layer.sources) < 2 or not _sees_neighbours(layer):
            continue
        for source in layer.sources:
            before = joined[places[source]] if source in places else None
            if isinstance(before, BlockConvTranspose) and _doubles(before) and readers[source] == 1:
                joined[places[source]], joined[place] = _joined(before, layer, [shapes[n][0] for n in layer.sources])
                shapes[source] = (layer.weight.shape[0], *shapes[source][1:])
                break
    return joined


def _doubles(layer: BlockConvTranspose) -> bool:
    return layer.height.up == layer.width.up == 2


def _sees_neighbours(layer: Convolution) -> bool:
    return layer.groups == 1 and layer.height == layer.width == _NEIGHBOURS


def _joined(before: BlockConvTranspose, layer: Convolution, channels: Sequence[int]) -> tuple[Doubling, Convolution]:
    """Join a layer and one of its sources' layers; kernels are made in float64, so that they are rounded once."""
    parts = list(zip(layer.sources, torch.split(layer.weight, list(channels), 1), strict=True))
    own = parts.pop(layer.sources.index(before.target))[1].double()
    inward, between = before.kernels[0].shape[0], own.shape[1]
    spread = torch.stack(before.kernels).view(2, inward, 2, between).permute(1, 3, 0, 2).double()
    offset = before.bias[:between].double()
    # What the bias adds to the first, an inner and the last pixel, of rows and columns.
    added = functional.conv2d(offset[None, :, None, None].expand(1, -1, 3, 3), own, padding=1)[0].permute(1, 2, 0)
    inner = added[1, 1] if layer.bias is None else added[1, 1] + layer.bias.double()
    kind, kernel = layer.weight.dtype, functional.conv2d(spread, own, padding=2)
    made = Doubling(
        sources=before.sources,
        target=before.target,
        border=(added - added[1, 1]).to(kind) if offset.any() else None,
        **doubling(kernel.to(kind), inner.to(kind)),
    )
    others, weights = zip(*parts, strict=True)
    weight = torch.cat(weights, 1).contiguous(memory_format=torch.channels_last)
    return made, replace(layer, sources=(before.target, *others), weight=weight, bias=None, adds=True)
