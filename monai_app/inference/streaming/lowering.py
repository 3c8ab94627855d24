"""From a network to the layers of row streaming: recorded once, batch normalisation folded, activations fused."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from monai_app.inference.streaming.capture import Call, NotStreamableError, Recording, Ref, record
from monai_app.inference.streaming.layers import (
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
from monai_app.inference.streaming.rows import RowStream

aten = torch.ops.aten

_POINTWISE = frozenset(
    {
        *(aten.add, aten.sub, aten.mul, aten.div, aten.neg, aten.addcmul, aten.clamp, aten.hardtanh),
        *(aten.relu, aten.relu6, aten.leaky_relu, aten.elu, aten.silu, aten.gelu, aten.sigmoid, aten.tanh),
        aten._prelu_kernel,
    }
)
"""Operations on every pixel alone; their forms that work in place end in ``_``."""

_SAME = frozenset({aten.detach, aten.alias, aten.clone})

_PADDING = frozenset({aten.constant_pad_nd, aten.replication_pad2d, aten.reflection_pad2d})
"""They do nothing where they pad by 0, as MONAI's U-Nets have them do."""


def stream(function: Callable[..., tuple[Tensor, ...]], inputs: int, channels: int, side: int) -> RowStream:
    """Record what a network does and turn it into layers.

    Args:
        function: a network of single slices, see :mod:`monai_app.networks.sequence`, in evaluation mode.
        inputs: number of slices that it takes.
        channels: channels of each.
        side: rows and columns to record it at, a multiple of its stride.

    Raises:
        NotStreamableError: naming the operation.
    """
    weights = list(function.parameters()) if isinstance(function, nn.Module) else []
    like = weights[0] if weights else torch.zeros(())
    images = [like.new_zeros(1, channels, side, side) for _ in range(inputs)]
    # cuDNN has operations of its own for what ATen can do on every device.
    with torch.backends.cudnn.flags(enabled=False):
        recording = record(function, images)
    return _Builder(recording, channels).build()


Value = int | tuple[int, ...]
"""A map's number; the numbers of maps that are concatenated."""


class _Builder:
    """Walks the recorded operations in order and keeps what each one's result is."""

    def __init__(self, recording: Recording, channels: int) -> None:
        self.recording, self.input_channels = recording, channels
        self.values: dict[Ref, Value] = {}
        self.layers: list[Layer] = []
        self.channels: list[int] = []
        self.readers = Counter(source for call in recording.calls for source in call.sources)
        self.readers.update(recording.outputs)

    def build(self) -> RowStream:
        for ref in self.recording.inputs:
            self.values[ref] = self._new(self.input_channels)
        inputs = tuple(self._number(ref) for ref in self.recording.inputs)
        for call in self.recording.calls:
            results = self._results(call)
            self.values.update(zip(call.results, results, strict=False))  # statistics and indices are no maps
        outputs: list[int] = []
        for number in map(self._number, self.recording.outputs):
            own = number not in (*inputs, *outputs)  # else a copy, as every output is made by a layer of its own
            outputs.append(number if own else self._add(Concatenation, [number], self.channels[number]))
        layers = tuple(self._packed(layer) for layer in self.layers)
        return RowStream(inputs, tuple(outputs), layers, tuple(self.channels))

    def _packed(self, layer: Layer) -> Layer:
        if not isinstance(layer, Convolution):
            return layer
        return pack(layer, [self.channels[source] for source in layer.sources])

    def _new(self, channels: int) -> int:
        self.channels.append(channels)
        return len(self.channels) - 1

    def _add(self, make: Callable[..., Layer], sources: Sequence[int], channels: int, *args: Any) -> int:
        target = self._new(channels)
        self.layers.append(make(tuple(sources), target, *args))
        return target

    def _results(self, call: Call) -> Sequence[Value]:
        if call.packet in _SAME or (call.packet in _PADDING and not any(call.args[1])):
            (same,) = call.results
            self.readers[same] += self.readers[call.args[0]] - 1  # it is one map, whoever reads it by whichever name
            return [self._value(call.args[0])]
        if call.packet in _POINTWISE:
            return [self._pointwise(call)]
        handler = getattr(self, f"_{call.name}", None)
        if handler is None or call.kwargs:
            raise NotStreamableError(f"operation {call.name}")
        results: Sequence[Value] = handler(call, *call.args)
        return results

    def _value(self, ref: Ref) -> Value:
        if not isinstance(ref, Ref) or ref not in self.values:
            raise NotStreamableError("a constant, or indices of pooling, where a map is expected")
        return self.values[ref]

    def _number(self, ref: Ref) -> int:
        """The map's number; concatenated maps become one."""
        value = self._value(ref)
        if isinstance(value, int):
            return value
        return self._add(Concatenation, value, sum(self.channels[number] for number in value))

    # ---- operations, by their names in ATen; arguments as there ------------------------------------------------------

    def _convolution(
        self,
        call: Call,
        source: Ref,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        transposed: bool,
        output_padding: Sequence[int],
        groups: int,
    ) -> Sequence[Value]:
        if not isinstance(weight, Tensor):
            raise NotStreamableError("convolution with a kernel made of the image")
        if transposed:
            plain = (*map(_pair, (padding, output_padding, dilation)), groups)
            return [self._transposed(source, weight.detach(), bias, _pair(stride), plain)]
        kernel, stride, padding, dilation = tuple(weight.shape[2:]), _pair(stride), _pair(padding), _pair(dilation)
        same = tuple(size // 2 * step for size, step in zip(kernel, dilation, strict=True))
        if stride == (1, 1) and all(size % 2 for size in kernel) and padding == same:
            weight = weight.detach().contiguous(memory_format=torch.channels_last)
            value = self._value(source)
            sources = value if isinstance(value, tuple) else (value,)
            return [self._add(Convolution, sources, weight.shape[0], weight, bias, dilation, groups)]
        if stride == kernel and stride[0] == stride[1] and (padding, dilation) == ((0, 0), (1, 1)):
            apply = partial(torch.conv2d, weight=weight, bias=bias, stride=stride, groups=groups)
            return [self._add(Pool, [self._number(source)], weight.shape[0], stride[0], apply)]
        raise NotStreamableError(f"convolution of kernel {kernel}, stride {stride}, padding {padding}")

    def _transposed(
        self, source: Ref, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], plain: tuple[Any, ...]
    ) -> Value:
        kernel, outward = tuple(weight.shape[2:]), weight.shape[1]
        if (kernel, stride, plain) == ((4, 4), (2, 2), ((1, 1), (0, 0), (1, 1), 1)):
            return self._add(SmoothTransposed, [self._number(source)], outward, weight, bias)
        if kernel != stride or stride[0] != stride[1] or plain != ((0, 0), (0, 0), (1, 1), 1):
            raise NotStreamableError(f"transposed convolution of kernel {kernel}, stride {stride}")
        inward, step = weight.shape[0], stride[0]
        flat = weight.permute(2, 0, 3, 1).reshape(step, inward, step * outward)
        offset = weight.new_zeros(outward) if bias is None else bias.detach()
        return self._add(
            Transposed, [self._number(source)], outward, step, tuple(flat.contiguous()), offset.repeat(step)
        )

    def _native_batch_norm(
        self,
        call: Call,
        source: Ref,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        variance: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
    ) -> Sequence[Value]:
        if training or mean is None or variance is None:
            raise NotStreamableError("normalisation by the statistics of the image")
        scale, shift = _affine(weight, bias, mean, variance, eps)
        number = self._number(source)
        place = self._sole_convolution(source, number)
        if place is not None:
            self.layers[place] = _folded(self.layers[place], scale, shift)  # type: ignore[arg-type]
            return [number]
        factor, offset = (values.to(mean.dtype)[:, None, None] for values in (scale, shift))
        return [self._add(Pointwise, [number], self.channels[number], lambda image: image * factor + offset)]

    def _max_pool2d_with_indices(
        self,
        call: Call,
        source: Ref,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        ceil: bool = False,
    ) -> Sequence[Value]:
        plain = (_pair(padding), _pair(dilation)) == ((0, 0), (1, 1))
        return self._pool(MaxPool, source, kernel, stride, plain)

    def _avg_pool2d(
        self,
        call: Call,
        source: Ref,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0, 0),
        ceil: bool = False,
        count_padding: bool = True,
        divisor: int | None = None,
    ) -> Sequence[Value]:
        make = partial(Pool, apply=partial(nn.functional.avg_pool2d, kernel_size=list(kernel)))
        return self._pool(make, source, kernel, stride, _pair(padding) == (0, 0) and divisor is None)

    def _pool(
        self, make: Callable[..., Layer], source: Ref, kernel: Sequence[int], stride: Sequence[int], plain: bool
    ) -> Sequence[Value]:
        kernel, stride = _pair(kernel), _pair(stride or kernel)
        if not plain or kernel != stride or kernel[0] != kernel[1]:
            raise NotStreamableError(f"pooling of {kernel} with stride {stride}")
        number = self._number(source)
        return [self._add(make, [number], self.channels[number], kernel[0])]

    def _upsample_nearest2d(
        self, call: Call, source: Ref, size: Sequence[int], down: float | None = None, across: float | None = None
    ) -> Sequence[Value]:
        if down is None or down != across or not float(down).is_integer():
            raise NotStreamableError("up-sampling to a size, or by no whole number")
        number = self._number(source)
        return [self._add(Repeat, [number], self.channels[number], int(down))]

    def _cat(self, call: Call, sources: Sequence[Ref], dim: int = 0) -> Sequence[Value]:
        _check_channels("concatenation", dim)
        joined: list[int] = []
        for source in sources:
            value = self._value(source)
            joined += value if isinstance(value, tuple) else [value]
        return [tuple(joined)]

    def _split(self, call: Call, source: Ref, size: int, dim: int = 0) -> Sequence[Value]:
        total = self.channels[self._number(source)]
        return self._split_with_sizes(call, source, [min(size, total - at) for at in range(0, total, size)], dim)

    def _split_with_sizes(self, call: Call, source: Ref, sizes: Sequence[int], dim: int = 0) -> Sequence[Value]:
        stops = list(accumulate(sizes))
        spans = [(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
        return [part for begin, stop in spans for part in self._slice(call, source, dim, begin, stop)]

    def _slice(
        self, call: Call, source: Ref, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Sequence[Value]:
        _check_channels("slice", dim)
        number = self._number(source)
        begin, stop, _ = slice(start, end).indices(self.channels[number])
        if step != 1:
            raise NotStreamableError(f"slice with step {step}")
        return [self._add(Channels, [number], stop - begin, begin, stop)]

    def _pointwise(self, call: Call) -> Value:
        places = [place for place, arg in enumerate(call.args) if isinstance(arg, Ref)]
        numbers = [self._number(call.args[place]) for place in places]
        constants = [arg for arg in call.args if isinstance(arg, Tensor)]
        if any(side > 1 for constant in constants for side in constant.shape[-2:]):
            raise NotStreamableError(f"operation {call.name} with a constant image")
        if "out" in call.kwargs:
            raise NotStreamableError(f"operation {call.name} into a tensor that is there already")
        if call.packet is aten.relu:
            place = self._sole_convolution(call.args[0], numbers[0])
            if place is not None:
                self.layers[place] = replace(self.layers[place], relu=True)  # type: ignore[call-arg]
                return numbers[0]
        apply = _applied(call.packet, call.args, places, call.kwargs)
        channels = [*(self.channels[number] for number in numbers), *(c.shape[-3] for c in constants if c.ndim > 2)]
        return self._add(Pointwise, numbers, max(channels), apply)

    def _sole_convolution(self, source: Ref, number: int) -> int | None:
        """The place of the convolution that made a map which only one operation reads."""
        if self.readers[source] != 1:
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


def _check_channels(what: str, dim: int) -> None:
    if dim not in (1, -3):
        raise NotStreamableError(f"{what} along dimension {dim}")


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return value[0], value[-1]


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
