"""From a network to the layers of row streaming: traced once, batch normalisation folded, activations fused."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from monai_app.inference.layers import (
    Channels,
    Concatenation,
    Convolution,
    Layer,
    MaxPool,
    Pointwise,
    Pool,
    Repeat,
    SmoothTransposed,
    Transposed,
    pack,
)
from monai_app.inference.rows import RowStream

aten = torch.ops.aten

_POINTWISE = frozenset(
    {
        *(aten.add, aten.sub, aten.mul, aten.div, aten.neg, aten.addcmul, aten.clamp, aten.hardtanh),
        *(aten.relu, aten.relu6, aten.leaky_relu, aten.elu, aten.silu, aten.gelu, aten.sigmoid, aten.tanh),
    }
)
"""Operations on every pixel alone; their forms that work in place end in ``_``."""

_SAME = frozenset({aten.dropout, aten.feature_dropout, aten.detach, aten.alias, aten.contiguous, aten.clone})


class NotStreamableError(Exception):
    """A network holds an operation whose need of rows is not known here; such a network runs on whole tiles."""


def stream(function: Callable[..., tuple[Tensor, ...]], inputs: int, channels: int, side: int) -> RowStream:
    """Trace a network and turn it into layers.

    Args:
        function: a network of single slices, see :mod:`monai_app.inference.sequence`, in evaluation mode.
        inputs: number of slices that it takes.
        channels: channels of each.
        side: rows and columns to trace it at, a multiple of its stride.

    Raises:
        NotStreamableError: naming the operation.
    """
    weights = list(function.parameters()) if isinstance(function, nn.Module) else []
    like = weights[0] if weights else torch.zeros(())
    examples = [like.new_zeros(1, channels, side, side) for _ in range(inputs)]
    with torch.no_grad():
        traced = make_fx(function, pre_dispatch=True)(*examples)
    return _Builder(traced, channels).build()


Value = int | tuple[int, ...] | list[int] | Tensor
"""A map's number; numbers of maps that are concatenated; parts of a split map; a constant."""


class _Builder:
    """Walks the traced operations in order and keeps what each one's result is."""

    def __init__(self, traced: GraphModule, channels: int) -> None:
        self.traced, self.input_channels = traced, channels
        self.values: dict[Node, Any] = {}
        self.layers: list[Layer] = []
        self.channels: list[int] = []
        self.inputs: list[int] = []

    def build(self) -> RowStream:
        outputs: tuple[int, ...] = ()
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._new(self.input_channels)
                self.inputs.append(self.values[node])
            elif node.op == "get_attr":
                self.values[node] = getattr(self.traced, str(node.target))
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                results = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
                outputs = tuple(self._number(self.values[result]) for result in results)
        return RowStream(tuple(self.inputs), outputs, tuple(map(_packed, self.layers)), tuple(self.channels))

    def _new(self, channels: int) -> int:
        self.channels.append(channels)
        return len(self.channels) - 1

    def _add(self, make: Callable[..., Layer], sources: Sequence[int], channels: int, *args: Any) -> int:
        target = self._new(channels)
        self.layers.append(make(tuple(sources), target, *args))
        return target

    def _call(self, node: Node) -> Value:
        if node.target is operator.getitem:
            part: Value = self.values[node.args[0]][node.args[1]]  # type: ignore[index]
            return part
        packet = getattr(node.target, "overloadpacket", None)
        name = str(getattr(packet, "__name__", node.target))
        if packet in _SAME or _pads_nothing(packet, node):
            same: Value = self.values[node.args[0]]  # type: ignore[index]
            return same
        in_place = name.endswith("_")
        if in_place:
            name, packet = name[:-1], getattr(aten, name[:-1], None)
        handler = getattr(self, f"_{name}", None)
        if packet in _POINTWISE:
            value = self._pointwise(node, packet)
        elif handler is not None and not node.kwargs:
            value = handler(node, *(self.values.get(arg, arg) if isinstance(arg, Node) else arg for arg in node.args))
        else:
            raise NotStreamableError(f"operation {node.target}")
        if in_place:
            self._check_own(node)
            self.values[node.args[0]] = value  # type: ignore[index]  # whoever reads it later reads the changed one
        return value

    def _check_own(self, node: Node) -> None:
        """What changes a view in place changes the viewed map too, which nobody keeps track of here."""
        (source,) = node.args[:1]
        if isinstance(source, Node) and (source.target is operator.getitem or source.op != "call_function"):
            raise NotStreamableError(f"operation {node.target} on a view")

    def _number(self, value: Value) -> int:
        """The map's number; concatenated maps become one."""
        if isinstance(value, tuple):
            return self._add(Concatenation, value, sum(self.channels[number] for number in value))
        if isinstance(value, int):
            return value
        raise NotStreamableError("a list or a constant where a map is expected")

    # ---- operations, by their names in ATen; arguments as there ------------------------------------------------------

    def _conv2d(
        self,
        node: Node,
        source: Value,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] | str = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Value:
        kernel, stride, dilation = tuple(weight.shape[2:]), _pair(stride), _pair(dilation)
        same = tuple(size // 2 * step for size, step in zip(kernel, dilation, strict=True))
        odd = all(size % 2 for size in kernel)
        if stride == (1, 1) and odd and padding in ("same", list(same), same):
            weight = weight.detach().contiguous(memory_format=torch.channels_last)
            sources = source if isinstance(source, tuple) else (self._number(source),)
            return self._add(Convolution, sources, weight.shape[0], weight, bias, dilation, groups)
        if stride == kernel and stride[0] == stride[1] and _pair(padding) == (0, 0) and dilation == (1, 1):
            apply = partial(torch.conv2d, weight=weight, bias=bias, stride=stride, groups=groups)
            return self._add(Pool, [self._number(source)], weight.shape[0], stride[0], apply)
        raise NotStreamableError(f"convolution of kernel {kernel}, stride {stride}, padding {padding}")

    def _batch_norm(
        self,
        node: Node,
        source: Value,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        variance: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
        *_: Any,
    ) -> Value:
        if training or mean is None or variance is None:
            raise NotStreamableError("normalisation by the statistics of the image")
        scale, shift = _affine(weight, bias, mean, variance, eps)
        number = self._number(source)
        place = self._sole_convolution(node, number)
        if place is not None:
            self.layers[place] = _folded(self.layers[place], scale, shift)  # type: ignore[arg-type]
            return number
        factor, offset = (values.to(mean.dtype)[:, None, None] for values in (scale, shift))
        return self._add(Pointwise, [number], self.channels[number], lambda image: image * factor + offset)

    def _max_pool2d(
        self,
        node: Node,
        source: Value,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        ceil: bool = False,
    ) -> Value:
        plain = (_pair(padding), _pair(dilation)) == ((0, 0), (1, 1))
        return self._pool(MaxPool, source, kernel, stride, plain)

    def _avg_pool2d(
        self,
        node: Node,
        source: Value,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0, 0),
        ceil: bool = False,
        count_padding: bool = True,
        divisor: int | None = None,
    ) -> Value:
        make = partial(Pool, apply=partial(nn.functional.avg_pool2d, kernel_size=list(kernel)))
        return self._pool(make, source, kernel, stride, _pair(padding) == (0, 0) and divisor is None)

    def _pool(
        self, make: Callable[..., Layer], source: Value, kernel: Sequence[int], stride: Sequence[int], plain: bool
    ) -> Value:
        kernel, stride = _pair(kernel), _pair(stride or kernel)
        if not plain or kernel != stride or kernel[0] != kernel[1]:
            raise NotStreamableError(f"pooling of {kernel} with stride {stride}")
        number = self._number(source)
        return self._add(make, [number], self.channels[number], kernel[0])

    def _conv_transpose2d(
        self,
        node: Node,
        source: Value,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        output_padding: Sequence[int] = (0, 0),
        groups: int = 1,
        dilation: Sequence[int] = (1, 1),
    ) -> Value:
        stride, plain = _pair(stride), (_pair(padding), _pair(output_padding), _pair(dilation))
        if (tuple(weight.shape[2:]), stride, *plain, groups) == ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1):
            return self._add(SmoothTransposed, [self._number(source)], weight.shape[1], weight.detach(), bias)
        simple = plain == ((0, 0), (0, 0), (1, 1)) and groups == 1
        if tuple(weight.shape[2:]) != stride or stride[0] != stride[1] or not simple:
            raise NotStreamableError(f"transposed convolution of kernel {tuple(weight.shape[2:])}, stride {stride}")
        inward, outward, step = weight.shape[0], weight.shape[1], stride[0]
        flat = weight.detach().permute(2, 0, 3, 1).reshape(step, inward, step * outward)
        offset = weight.new_zeros(outward) if bias is None else bias.detach()
        return self._add(
            Transposed, [self._number(source)], outward, step, tuple(flat.contiguous()), offset.repeat(step)
        )

    def _upsample_nearest2d(self, node: Node, source: Value, size: Any = None, scales: Any = None, *_: Any) -> Value:
        if size is not None or not scales or len(set(scales)) > 1 or not float(scales[0]).is_integer():
            raise NotStreamableError("up-sampling to a size, or by no whole number")
        number = self._number(source)
        return self._add(Repeat, [number], self.channels[number], int(scales[0]))

    def _cat(self, node: Node, sources: Sequence[Node], dim: int = 0) -> Value:
        if dim not in (1, -3):
            raise NotStreamableError(f"concatenation along dimension {dim}")
        joined: list[int] = []
        for source in sources:
            value = self.values[source]
            joined += value if isinstance(value, tuple) else [self._number(value)]
        return tuple(joined)

    def _chunk(self, node: Node, source: Value, parts: int, dim: int = 0) -> Value:
        return self._split(node, source, math.ceil(self.channels[self._number(source)] / parts), dim)

    def _split(self, node: Node, source: Value, size: int | Sequence[int], dim: int = 0) -> Value:
        number = self._number(source)
        total = self.channels[number]
        sizes = list(size) if not isinstance(size, int) else [min(size, total - at) for at in range(0, total, size)]
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        return [self._slice(node, number, dim, at, at + width) for at, width in zip(starts, sizes, strict=True)]  # type: ignore[misc]

    _split_with_sizes = _split

    def _narrow(self, node: Node, source: Value, dim: int, start: int, length: int) -> Value:
        return self._slice(node, source, dim, start, start + length)

    def _slice(
        self, node: Node, source: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Value:
        number = self._number(source)
        begin, stop, _ = slice(start, end).indices(self.channels[number])
        if dim not in (1, -3) or step != 1:
            raise NotStreamableError(f"slice along dimension {dim} with step {step}")
        return self._add(Channels, [number], stop - begin, begin, stop)

    def _pointwise(self, node: Node, packet: Any) -> Value:
        maps = [arg for arg in node.args if isinstance(arg, Node) and not isinstance(self.values[arg], Tensor)]
        numbers = [self._number(self.values[arg]) for arg in maps]
        if packet is aten.relu:
            place = self._sole_convolution(node, numbers[0])
            if place is not None:
                self.layers[place] = replace(self.layers[place], relu=True)  # type: ignore[call-arg]
                return numbers[0]
        arguments = [self.values.get(arg, arg) if isinstance(arg, Node) else arg for arg in node.args]
        places = [place for place, arg in enumerate(node.args) if arg in maps]
        apply = _applied(packet, arguments, places, node.kwargs)
        return self._add(Pointwise, numbers, max(self.channels[number] for number in numbers), apply)

    def _sole_convolution(self, node: Node, number: int) -> int | None:
        """The place of the convolution that made a map which only ``node`` reads."""
        (source,) = node.args[:1]
        if not isinstance(source, Node) or len(source.users) != 1:
            return None
        for place, layer in enumerate(self.layers):
            if layer.target == number and isinstance(layer, Convolution) and not layer.relu:
                return place
        return None


def _applied(packet: Any, arguments: Sequence[Any], places: Sequence[int], options: Any) -> Callable[..., Tensor]:
    """An operation as a function of its maps alone."""

    def apply(*images: Tensor) -> Tensor:
        given = list(arguments)
        for place, image in zip(places, images, strict=True):
            given[place] = image
        result: Tensor = packet(*given, **options)
        return result

    return apply


def _pads_nothing(packet: Any, node: Node) -> bool:
    return packet in (aten.pad, aten.constant_pad_nd) and not any(node.args[1])  # type: ignore[arg-type]


def _pair(value: int | Sequence[int] | str) -> tuple[int, int]:
    if isinstance(value, str):
        raise NotStreamableError(f"padding {value!r}")
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1])


def _affine(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Factor and offset of a batch normalisation with kept statistics, in float64."""
    scale = (variance.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.detach().double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.detach().double()


def _folded(layer: Convolution, scale: Tensor, shift: Tensor) -> Convolution:
    """The convolution with a batch normalisation in its kernels; made in float64, so that it is rounded once."""
    weight = (layer.weight.double() * scale[:, None, None, None]).to(layer.weight.dtype)
    bias = shift if layer.bias is None else layer.bias.detach().double() * scale + shift
    kernels = weight.contiguous(memory_format=torch.channels_last)
    return replace(layer, weight=kernels, bias=bias.to(layer.weight.dtype))


def _packed(layer: Layer) -> Layer:
    return (
        replace(layer, packed=pack(layer, (1, layer.weight.shape[1], 32, 512)))
        if isinstance(layer, Convolution)
        else layer
    )
