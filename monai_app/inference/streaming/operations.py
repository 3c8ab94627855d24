"""How each operation of ATen is lowered to layers: a table, filled by :func:`lowers`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from monai_app.inference.streaming.builder import Builder, Maps
from monai_app.inference.streaming.capture import Node, NotStreamableError, Value
from monai_app.inference.streaming.doubling import DOUBLING, Doubling, doubling
from monai_app.inference.streaming.layers import (
    AveragePool,
    BilinearUpsample,
    BlockConvTranspose,
    BlockMaxPool,
    Convolution,
    ConvTranspose,
    Elementwise,
    Layer,
    MaxPool,
    Narrow,
    NearestUpsample,
)
from monai_app.inference.streaming.window import Window

aten = torch.ops.aten

Lowering = Callable[..., Sequence[Maps]]
"""Takes the builder, the node and its arguments, and gives the maps of its results, but for statistics and indices."""

LOWERINGS: dict[Any, Lowering] = {}
"""The lowering of every operation that is known."""


def lowers(*operations: Any) -> Callable[[Lowering], Lowering]:
    """Make a function the lowering of operations of ATen; those that work in place are lowered as those that do not.

    Example:
        >>> @lowers(torch.ops.aten.softplus)
        ... def softplus(builder, node, source):
        ...     number = builder.number(source)
        ...     apply = torch.nn.functional.softplus
        ...     return [builder.add(Elementwise, [number], builder.channels(number), apply=apply)]
    """

    def register(lowering: Lowering) -> Lowering:
        LOWERINGS.update(dict.fromkeys(operations, lowering))
        return lowering

    return register


@lowers(aten.detach, aten.alias, aten.clone)
def _same(builder: Builder, node: Node, source: Value, **options: Any) -> Sequence[Maps]:
    return [builder.same(source, node.results[0])]


@lowers(aten.constant_pad_nd, aten.replication_pad2d, aten.reflection_pad2d)
def _pad(builder: Builder, node: Node, source: Value, sides: Sequence[int], value: float = 0.0) -> Sequence[Maps]:
    if any(sides):  # MONAI's U-Nets pad by 0
        raise NotStreamableError(f"operation {node.name}")
    return _same(builder, node, source)


@lowers(aten.convolution)
def _convolution(
    builder: Builder,
    node: Node,
    source: Value,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    extra: Sequence[int],
    groups: int,
) -> Sequence[Maps]:
    if not isinstance(weight, Tensor):
        raise NotStreamableError("convolution with a kernel made of the image")
    weight, arguments = weight.detach(), (weight.shape[2:], stride, padding, dilation)
    if transposed:
        windows = _windows(Window.transposed, *arguments, extra)
        return [_transposed(builder, builder.number(source), weight, bias, windows, groups)]
    maps = builder.maps(source)
    sources = (maps,) if isinstance(maps, int) else maps
    options: Any = {"weight": weight.contiguous(memory_format=torch.channels_last), "bias": bias, "groups": groups}
    windows = _windows(Window, *arguments)
    return [builder.add(Convolution, sources, weight.shape[0], **windows, **options)]


def _transposed(
    builder: Builder, source: int, weight: Tensor, bias: Tensor | None, windows: dict[str, Window], groups: int
) -> int:
    inward, outward, down, across = weight.shape
    on_cpu = weight.device.type == "cpu" and groups == 1  # elsewhere a kernel a row takes longer than what it computes
    if on_cpu and list(windows.values()) == [DOUBLING, DOUBLING]:
        return builder.add(Doubling, [source], outward, **doubling(weight, None if bias is None else bias.detach()))
    if not on_cpu or list(windows.values()) != [Window.transposed(size, size) for size in (down, across)]:
        channels = outward * groups
        return builder.add(ConvTranspose, [source], channels, **windows, weight=weight, bias=bias, groups=groups)
    kernels = weight.permute(2, 0, 3, 1).reshape(down, inward, across * outward).contiguous()
    offset = weight.new_zeros(outward) if bias is None else bias.detach()
    options: Any = {"kernels": tuple(kernels), "bias": offset.repeat(across)}
    return builder.add(BlockConvTranspose, [source], outward, **windows, **options)


@lowers(aten.native_batch_norm)
def _batch_norm(
    builder: Builder,
    node: Node,
    source: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Sequence[Maps]:
    if training or mean is None or variance is None:
        raise NotStreamableError("normalisation by the statistics of the image")
    scale, shift = _affine(weight, bias, mean, variance, eps)
    number, place = builder.number(source), builder.sole_convolution(source)
    if place is not None:
        builder.layers[place] = _folded(builder.layers[place], scale, shift)
        return [number]
    factor, offset = (values.to(mean.dtype)[:, None, None] for values in (scale, shift))
    channels = builder.channels(number)
    return [builder.add(Elementwise, [number], channels, apply=lambda image: image * factor + offset)]


def _affine(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Factor and offset of a batch normalisation with kept statistics, in float64."""
    scale = (variance.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.detach().double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.detach().double()


def _folded(layer: Layer, scale: Tensor, shift: Tensor) -> Convolution:
    """The convolution with a batch normalisation in its kernels; made in float64, so that it is rounded once."""
    assert isinstance(layer, Convolution)
    weight = (layer.weight.double() * scale[:, None, None, None]).to(layer.weight.dtype)
    bias = shift if layer.bias is None else layer.bias.detach().double() * scale + shift
    kernels = weight.contiguous(memory_format=torch.channels_last)
    return replace(layer, weight=kernels, bias=bias.to(layer.weight.dtype))


@lowers(aten.max_pool2d_with_indices)
def _max_pool(
    builder: Builder,
    node: Node,
    source: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil: bool = False,
) -> Sequence[Maps]:
    _check_floor(ceil)
    windows = _windows(Window, kernel, stride or kernel, padding, dilation)
    blocks = all(window == Window(window.stride, window.stride) for window in windows.values())
    return [_by_channel(builder, BlockMaxPool if blocks else MaxPool, source, **windows)]


@lowers(aten.avg_pool2d)
def _average_pool(
    builder: Builder,
    node: Node,
    source: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> Sequence[Maps]:
    _check_floor(ceil)
    if any(padding) and not count_padding and divisor is None:
        raise NotStreamableError("average pooling without its padding")
    windows = _windows(Window, kernel, stride or kernel, padding)
    return [_by_channel(builder, AveragePool, source, **windows, divisor=divisor or kernel[0] * kernel[-1])]


def _check_floor(ceil: bool) -> None:
    if ceil:
        raise NotStreamableError("pooling of windows that leave the map (ceil_mode)")


@lowers(aten.upsample_nearest2d)
def _nearest(
    builder: Builder, node: Node, source: Value, size: Sequence[int], down: float | None = None,
    across: float | None = None,
) -> Sequence[Maps]:  # fmt: skip
    factors = _whole_factors(down, across)
    return [_by_channel(builder, NearestUpsample, source, **_windows(Window.transposed, factors, factors))]


@lowers(aten.upsample_bilinear2d)
def _bilinear(
    builder: Builder, node: Node, source: Value, size: Sequence[int], aligned: bool, down: float | None = None,
    across: float | None = None,
) -> Sequence[Maps]:  # fmt: skip
    if aligned:
        raise NotStreamableError("up-sampling with aligned corners, which depends on the size of the image")
    factors = _whole_factors(down, across)
    # A triangle as wide as two pixels of the source, of the even or odd number of rows that has a middle.
    kernel, padding = [2 * factor - factor % 2 for factor in factors], [factor // 2 for factor in factors]
    return [_by_channel(builder, BilinearUpsample, source, **_windows(Window.transposed, kernel, factors, padding))]


def _by_channel(builder: Builder, kind: type[Layer], source: Value, **options: Any) -> int:
    """Add a layer that makes one channel of each one."""
    number = builder.number(source)
    return builder.add(kind, [number], builder.channels(number), **options)


def _whole_factors(down: float | None, across: float | None) -> tuple[int, int]:
    if down is None or across is None or not float(down).is_integer() or not float(across).is_integer():
        raise NotStreamableError("up-sampling to a size, or by a factor that is not an integer")
    return int(down), int(across)


@lowers(aten.cat)
def _cat(builder: Builder, node: Node, sources: Sequence[Value], dim: int = 0) -> Sequence[Maps]:
    _check_channels("concatenation", dim)
    joined: list[int] = []
    for source in sources:
        maps = builder.maps(source)
        joined += (maps,) if isinstance(maps, int) else maps
    return [tuple(joined)]


@lowers(aten.split)
def _split(builder: Builder, node: Node, source: Value, size: int, dim: int = 0) -> Sequence[Maps]:
    total = builder.channels(builder.maps(source))
    return _split_with_sizes(builder, node, source, [min(size, total - at) for at in range(0, total, size)], dim)


@lowers(aten.split_with_sizes)
def _split_with_sizes(
    builder: Builder, node: Node, source: Value, sizes: Sequence[int], dim: int = 0
) -> Sequence[Maps]:
    spans = [(stop - size, stop) for size, stop in zip(sizes, accumulate(sizes), strict=True)]
    return [part for begin, stop in spans for part in _slice(builder, node, source, dim, begin, stop)]


@lowers(aten.slice)
def _slice(
    builder: Builder, node: Node, source: Value, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Sequence[Maps]:  # fmt: skip
    _check_channels("slice", dim)
    number = builder.number(source)
    begin, stop, _ = slice(start, end).indices(builder.channels(number))
    if step != 1:
        raise NotStreamableError(f"slice with step {step}")
    return [builder.add(Narrow, [number], stop - begin, begin=begin, end=stop)]


def _check_channels(what: str, dim: int) -> None:
    if dim not in (1, -3):
        raise NotStreamableError(f"{what} along dimension {dim}")


@lowers(
    *(aten.add, aten.sub, aten.mul, aten.div, aten.neg, aten.addcmul, aten.clamp, aten.hardtanh),
    *(aten.relu6, aten.leaky_relu, aten.elu, aten.silu, aten.gelu, aten.sigmoid, aten.tanh, aten._prelu_kernel),
)
def _elementwise(builder: Builder, node: Node, *arguments: Any, **options: Any) -> Sequence[Maps]:
    places = [place for place, argument in enumerate(arguments) if isinstance(argument, Value)]
    numbers = [builder.number(arguments[place]) for place in places]
    constants = [argument for argument in arguments if isinstance(argument, Tensor)]
    if any(side > 1 for constant in constants for side in constant.shape[-2:]):
        raise NotStreamableError(f"operation {node.name} with a constant image")
    apply = partial(_applied, node.packet, arguments, places, options)
    return [builder.add(Elementwise, numbers, node.results[0].shape[1], apply=apply)]


def _applied(packet: Any, arguments: Sequence[Any], places: Sequence[int], options: Any, *images: Tensor) -> Tensor:
    """An operation as a function of its maps alone."""
    given = list(arguments)
    for place, image in zip(places, images, strict=True):
        given[place] = image
    result: Tensor = packet(*given, **options)
    return result


@lowers(aten.relu)
def _relu(builder: Builder, node: Node, source: Value) -> Sequence[Maps]:
    place = builder.sole_convolution(source)
    if place is None:
        return _elementwise(builder, node, source)
    convolution = builder.layers[place]
    assert isinstance(convolution, Convolution)
    builder.layers[place] = replace(convolution, relu=True)
    return [convolution.target]


def _windows(window: Callable[..., Window], *arguments: Sequence[int]) -> dict[str, Window]:
    """The windows of a layer, from their arguments, each of which is given for rows and columns or for both at once."""
    height, width = (window(*(argument[axis] for argument in arguments)) for axis in (0, -1))
    return {"height": height, "width": width}
