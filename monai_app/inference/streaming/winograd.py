"""Convolutions with fewer multiplications: Winograd's, along the rows.

Rows of the result are the coefficients of a product of polynomials, which its values at a few points determine: rows
and kernels are taken to these points, convolved there along the columns alone, and the result is taken back. Four rows
of a kernel of three rows take six convolutions of one row instead of twelve. Lavin and Gray 2016,
doi 10.1109/CVPR.2016.435, do so along rows and columns; along the rows alone all else is left to oneDNN, and rounding
is that of sums with small factors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from monai_app.device import onednn
from monai_app.inference.streaming.layers import Convolution, Fetch, as_image
from monai_app.inference.streaming.window import Window

_ROWS = 4
"""Rows that are made together."""

_POINTS = {3: (1, -1, 2, -2, 0), 2: (1, -1, 2, 0)}
"""Points by rows of the kernel, beside infinity; the first is 1, where a bias counts alike for all rows."""

_FEWEST = 64
"""Channels of a source and of the result; of fewer, taking rows to the points and back takes as long as it saves."""


@dataclass(frozen=True, kw_only=True)
class WinogradConvolution(Convolution):
    """Convolution of two or three rows in float32.

    Attributes:
        points: for each point the packed kernels for each source.
    """

    step: ClassVar[int] = _ROWS
    scratch: ClassVar[float] = 1.5

    points: tuple[tuple[Tensor, ...], ...]

    def rows(self, fetch: Fetch, first: int, stop: int, height: int) -> Tensor:
        def fetch_blocks(source: int, low: int, high: int, outside: float | None) -> Tensor:
            return fetch(source, low, high if self.adds and source == self.sources[0] else high + extra, outside)

        extra = (first - stop) % _ROWS
        return super().rows(fetch_blocks, first, stop, height)

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        added = next(parts) if self.adds else None
        to_points, _, from_points = _transforms(self.height.kernel)
        blocks = -(-count // _ROWS)
        images = [_to_points(part, blocks, to_points) for part in parts]
        values = [self._at(images, point) for point in range(len(self.points))]
        made = _from_points(values, from_points)[:count]
        made = made if added is None else made.add_(added)
        return made.relu_() if self.relu else made

    def _at(self, images: Sequence[Tensor], point: int) -> Tensor:
        values = (as_image(image[point]) for image in images)
        bias = None if point else self.bias
        return onednn.convolve(values, self.points[point], bias, self.geometry, relu=False)


def winograd(layer: Convolution, channels: Sequence[int]) -> WinogradConvolution | None:
    """Return a convolution with fewer multiplications; None where there is none that is faster.

    Args:
        layer: the layer, not packed.
        channels: of the sources that are convolved.
    """
    wide = min(layer.weight.shape[0], *channels) >= _FEWEST
    fits = layer.height.kernel in _POINTS and layer.height == Window(layer.height.kernel, padding=1)
    if not (wide and fits and layer.groups == 1 and layer.weight.dtype == torch.float32):
        return None
    _, kernel_to_points, _ = _transforms(layer.height.kernel)
    kernels = torch.einsum("pk,oikx->poix", kernel_to_points, layer.weight.double()).unsqueeze(3).float()
    points = tuple(onednn.pack(kernel, channels, layer.geometry) for kernel in kernels)
    if not all(points):
        return None
    known = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return WinogradConvolution(**known | {"weight": layer.weight.to("meta"), "points": points})


@cache
def _transforms(kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """The matrices that take rows and a kernel (in float64) to the points, and back to `_ROWS` rows."""
    points = _POINTS[kernel]
    powers = torch.tensor([[float(point**power) for power in range(len(points) + 1)] for point in points])
    values = torch.cat([powers, torch.eye(len(points) + 1)[-1:]]).double()
    factors = torch.tensor([*(prod(a - b for b in points if a != b) for a in points), 1]).double()
    to_points = (torch.linalg.inv(values).T * factors[:, None]).round()  # whole numbers
    kernel_to_points = torch.cat([values[:-1, :kernel], torch.eye(kernel)[-1:]]) / factors[:, None]
    from_points = torch.cat([values[:-1, :_ROWS], torch.eye(_ROWS)[-1:]]).T
    return to_points.float(), kernel_to_points, from_points.float().contiguous()


def _to_points(rows: Tensor, blocks: int, transform: Tensor) -> Tensor:
    """Take blocks of rows, which overlap, to (points, blocks, columns, channels)."""
    _, width, channels = rows.shape
    made = rows.new_empty(transform.shape[0], blocks, width * channels)
    for block, source in enumerate(rows.flatten(1).unfold(0, transform.shape[0], _ROWS)):
        torch.mm(transform, source.T, out=made[:, block])
    return made.unflatten(2, (width, channels))


def _from_points(values: Sequence[Tensor], transform: Tensor) -> Tensor:
    """Take images (1, channels, blocks, columns) at each point back to rows."""
    _, channels, blocks, width = values[0].shape
    every = torch.cat(values).permute(0, 2, 3, 1).flatten(2)
    made = every.new_empty(blocks, _ROWS, width * channels)
    for block, target in enumerate(made):
        torch.mm(transform, every[:, block], out=target)
    return made.view(blocks * _ROWS, width, channels)
