"""oneDNN's fused convolution: bias and activation at once, and its kernels laid out beforehand."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

_USUAL = (32, 512)
"""Rows and columns that kernels are laid out for; others are as right, if not as fast."""

_BLOCK = 8
"""The convolution is for blocks of channels; on a few input channels it takes twice the plain one's time."""


class Geometry(NamedTuple):
    """Stride, padding and dilation of rows and columns."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def pack(weight: Tensor, channels: Sequence[int], geometry: Geometry) -> tuple[Tensor, ...]:
    """Lay kernels out for :func:`convolve`.

    Args:
        weight: (out channels, in channels, kernel rows, kernel columns).
        channels: of each of the images that are convolved as if they were concatenated.
        geometry: of the convolution.

    Returns:
        The kernels for each of the images; none if this device, type or number of channels has no fused convolution.
    """
    known = weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    blocks = all(count % _BLOCK == 0 for count in channels)
    if not (known and blocks and weight.device.type == "cpu" and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return ()
    stride, padding, dilation = map(list, geometry)
    return tuple(
        torch.ops.mkldnn._reorder_convolution_weight(part, padding, stride, dilation, 1, [1, part.shape[1], *_USUAL])
        for part in torch.split(weight, list(channels), 1)
    )


def convolve(
    images: Iterator[Tensor],
    kernels: Sequence[Tensor],
    bias: Tensor | None,
    geometry: Geometry,
    relu: bool,
    adds: bool = False,
) -> Tensor:
    """Convolve one image (1, C, H, W) after the other and add up, which saves concatenating them.

    Args:
        images: channels-last.
        kernels: of each image, see :func:`pack`.
        bias: (out channels,).
        geometry: of the convolution.
        relu: whether a ReLU follows.
        adds: whether the first image is not convolved: all is added to it, in place.
    """
    stride, padding, dilation = map(list, geometry)
    options: Any = (padding, stride, dilation, 1)
    start, add = torch.ops.mkldnn._convolution_pointwise, torch.ops.mkldnn._convolution_pointwise_.binary
    result: Tensor | None = next(images) if adds else None
    for place, (image, kernel) in enumerate(zip(images, kernels, strict=True), 1):
        activation = "relu" if relu and place == len(kernels) else None
        if result is None:
            result = start(image, kernel, bias, *options, activation or "none", [], "")
        else:
            add(result, image, kernel, bias, *options, "add", 1.0, activation, [], "")
        bias = None
    assert result is not None
    return result
