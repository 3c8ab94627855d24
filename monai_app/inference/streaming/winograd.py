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

import torch
from torch import Tensor

from monai_app.device import onednn
from monai_app.inference.streaming.layers import Convolution, as_image
from monai_app.inference.streaming.window import Window

_ROWS = 4
"""Rows that are made together."""

_POINTS = {3: (1, -1, 2, -2, 0), 2: (1, -1, 2, 0)}
"""Points by rows of the kernel, beside infinity; the first is 1, where a bias counts alike for all rows."""

_SAVED = 80
"""Multiplications to be saved per value that is taken to a point or back; below, that takes as long as it saves."""


@dataclass(frozen=True, kw_only=True)
class WinogradConvolution(Convolution):
    """Convolution of two or three rows in float32.

    Attributes:
        points: for each point the packed kernels for each source.
    """

    points: tuple[tuple[Tensor, ...], ...]

    @property
    def step(self) -> int:
        return _ROWS

    @property
    def scratch(self) -> float:
        return 1.5

    def reads(self, place: int, first: int, stop: int) -> tuple[int, int]:
        spare = 0 if self.adds and place == 0 else (first - stop) % _ROWS
        # A block that is not complete lies at an end of the map; rows beyond that end complete it.
        low, high = (first - spare, stop) if first == 0 else (first, stop + spare)
        return self.window(place).reads(low, high)

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        added = next(parts) if self.adds else None
        to_points, _, from_points = _transforms(self.height.kernel)
        blocks = -(-count // _ROWS)
        images = [_to_points(part, blocks, to_points) for part in parts]
        values = [self._at(images, point) for point in range(len(self.points))]
        made = _from_points(values, from_points)[skipped - self.height.padding :][:count]
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
    fits = layer.height.kernel in _POINTS and layer.height == Window(layer.height.kernel, padding=1)
    plain = layer.groups == 1 and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"
    if not (fits and plain and _saved(layer.weight.shape) >= _SAVED):
        return None
    _, kernel_to_points, _ = _transforms(layer.height.kernel)
    kernels = torch.einsum("pk,oikx->poix", kernel_to_points, layer.weight.double()).unsqueeze(3).float()
    points = tuple(onednn.pack(kernel, channels, layer.geometry) for kernel in kernels)
    if not all(points):
        return None
    known = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return WinogradConvolution(**known | {"weight": layer.weight.to("meta"), "points": points})


def _saved(shape: Sequence[int]) -> float:
    """Multiplications that are saved per value that is taken to a point or back."""
    outward, inward, kernel, _ = shape
    share = (len(_POINTS[kernel]) + 1) / _ROWS
    return prod(shape) * (1 - share / kernel) / (share * (inward + outward))


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
    return made.view(-1, blocks, width, channels)


def _from_points(values: Sequence[Tensor], transform: Tensor) -> Tensor:
    """Take images (1, channels, blocks, columns) at each point back to rows."""
    _, channels, blocks, width = values[0].shape
    every = torch.cat(list(values)).permute(0, 2, 3, 1).flatten(2)
    made = every.new_empty(blocks, _ROWS, width * channels)
    for block, target in enumerate(made):
        torch.mm(transform, every[:, block], out=target)
    return made.view(blocks * _ROWS, width, channels)
