"""Networks drawn at random, of all operations that row streaming knows, for images of any size."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: list[Callable[..., Tensor]] = [
    functional.relu,
    functional.relu6,
    functional.leaky_relu,
    functional.elu,
    functional.silu,
    partial(functional.hardtanh, min_val=-0.5, max_val=0.75),
    lambda image, inplace: image.sigmoid_() if inplace else image.sigmoid(),
    lambda image, inplace: image.tanh_() if inplace else image.tanh(),
    lambda image, inplace: functional.gelu(image),
    lambda image, inplace: image.clamp_(-0.5, 1) if inplace else image.clamp(min=-0.5),
]

KINDS = (
    *("convolution", "normalisation", "activation", "weighted", "pooling", "blocks", "transposed", "upsampling"),
    *("concatenation", "pieces", "sum"),
)

LARGEST = 96
"""Most rows and columns of a value."""


class Program(nn.Module):
    """A network drawn at random: every step takes values that are there already and adds new ones.

    Args:
        data: draws it.
        images: for each input one image of some channels, in several sizes that the network must take.
        steps: most steps; those that some size does not allow are left out.
    """

    def __init__(self, data: st.DataObject, images: Sequence[Sequence[Tensor]], steps: int) -> None:
        super().__init__()
        self.steps: list[tuple[Callable[..., Sequence[Tensor]], Sequence[int]]] = []
        self.parts = nn.ModuleList()
        self.eval()
        self._draw, self._values = data.draw, [list(sizes) for sizes in images]
        self._fixed = set(range(len(images)))  # may not be changed in place
        for _ in range(steps):
            name = self._draw(st.sampled_from(KINDS))
            getattr(self, f"_{name}")(self._draw(st.integers(0, len(self._values) - 1)))
        self.outputs = [self._draw(st.integers(0, len(self._values) - 1)), len(self._values) - 1]
        del self._draw, self._values

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        values = list(images)
        for apply, sources in self.steps:
            values += apply(*(values[source] for source in sources))
        return tuple(values[number] for number in self.outputs)

    def _channels(self, number: int) -> int:
        return int(self._values[number][0].shape[1])

    def _alike(self, number: int, axis: int) -> list[int]:
        """The values whose shapes are those of one, from an axis on."""
        shapes = [[sized.shape[axis:] for sized in value] for value in self._values]
        return [other for other, shape in enumerate(shapes) if shape == shapes[number]]

    def _add(self, apply: Callable[..., Sequence[Tensor]], *sources: int) -> None:
        try:
            with torch.no_grad():
                sized = [apply(*images) for images in zip(*(self._values[source] for source in sources), strict=True)]
        except RuntimeError:  # a kernel or window larger than the image
            return
        made = [list(results) for results in zip(*sized, strict=True)]
        if all(0 < side <= LARGEST for results in made for result in results for side in result.shape):
            self.steps.append((apply, sources))
            self._values += made

    def _module(self, module: nn.Module, source: int) -> None:
        self.parts.append(module.eval())
        self._add(lambda image: [module(image)], source)

    def _pair(self, least: int, most: int) -> tuple[int, int]:
        side = st.integers(least, most)
        return self._draw(st.tuples(side, side))

    def _convolution(self, source: int) -> None:
        inward = self._channels(source)
        kernel, stride, dilation = self._pair(1, 5), self._pair(1, 3), self._pair(1, 3)
        if self._draw(st.booleans()):
            kernel, stride, dilation = (3, 3), (1, 1), (1, 1)
        padding: Any = tuple(
            self._draw(st.integers(0, step * (size - 1))) for size, step in zip(kernel, dilation, strict=True)
        )
        groups = self._draw(st.sampled_from([n for n in (1, 2, 4) if inward % n == 0]))
        outward, bias = groups * self._draw(st.integers(1, 2)), self._draw(st.booleans())
        layers: list[nn.Module] = [nn.Conv2d(inward, outward, kernel, stride, padding, dilation, groups, bias)]
        if self._draw(st.booleans()):
            layers.append(nn.BatchNorm2d(outward, affine=self._draw(st.booleans())))
        if self._draw(st.booleans()):
            layers += [nn.Dropout2d(), nn.ReLU(inplace=self._draw(st.booleans()))]
        self._module(nn.Sequential(*layers), source)

    def _transposed(self, source: int) -> None:
        inward = self._channels(source)
        if self._draw(st.booleans()):
            side = self._draw(st.integers(1, 4))
            self._module(nn.ConvTranspose2d(inward, 2, side, side, bias=self._draw(st.booleans())), source)
            return
        stride, dilation = self._pair(1, 3), self._pair(1, 2)
        kernel: Any = tuple(step + self._draw(st.integers(0, 2)) for step in stride)
        spans = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        padding: Any = tuple(self._draw(st.integers(0, span)) for span in spans)
        limits = zip(stride, dilation, padding, strict=True)
        extra: Any = tuple(self._draw(st.integers(0, min(max(up, step) - 1, pad))) for up, step, pad in limits)
        groups = self._draw(st.sampled_from([n for n in (1, 2) if inward % n == 0]))
        bias = self._draw(st.booleans())
        module = nn.ConvTranspose2d(inward, 2 * groups, kernel, stride, padding, extra, groups, bias, dilation)
        self._module(module, source)

    def _normalisation(self, source: int) -> None:
        self._module(nn.BatchNorm2d(self._channels(source)), source)

    def _activation(self, source: int) -> None:
        inplace = source not in self._fixed and self._draw(st.booleans())
        if inplace:
            self._fixed |= {source, len(self._values)}  # the result is the same tensor
        apply = self._draw(st.sampled_from(ACTIVATIONS))
        self._add(lambda image: [apply(image, inplace=inplace)], source)

    def _weighted(self, source: int) -> None:
        self._module(nn.PReLU(self._channels(source)), source)

    def _pooling(self, source: int) -> None:
        kernel, stride = self._pair(1, 4), self._pair(1, 3)
        padding: Any = tuple(self._draw(st.integers(0, size // 2)) for size in kernel)
        if self._draw(st.booleans()):
            dilation = self._pair(1, 2)
            self._module(nn.MaxPool2d(kernel, stride, padding, dilation), source)
        else:
            divisor = self._draw(st.sampled_from([None, 3]))
            self._module(nn.AvgPool2d(kernel, stride, padding, divisor_override=divisor), source)

    def _blocks(self, source: int) -> None:
        block = self._pair(1, 3)
        pools = [nn.MaxPool2d(block), nn.AvgPool2d(block), nn.Conv2d(self._channels(source), 2, block, block)]
        self._module(self._draw(st.sampled_from(pools)), source)

    def _upsampling(self, source: int) -> None:
        mode = self._draw(st.sampled_from(["nearest", "bilinear"]))
        self._module(nn.Upsample(scale_factor=self._pair(1, 4), mode=mode), source)

    def _concatenation(self, source: int) -> None:
        other = self._draw(st.sampled_from(self._alike(source, 2)))
        if self._channels(source) + self._channels(other) <= 8:
            self._add(lambda *images: [torch.cat(images, 1)], source, other)

    def _pieces(self, source: int) -> None:
        channels = self._channels(source)
        if channels < 2:
            return
        left, right = channels - channels // 2, channels // 2
        cuts: list[Callable[[Tensor], Sequence[Tensor]]] = [
            lambda image: image.chunk(2, 1),
            lambda image: image.split([left, right], 1),
            lambda image: [image[:, :left], image.narrow(-3, left, right)],
        ]
        self._fixed |= {source, len(self._values), len(self._values) + 1}
        self._add(self._draw(st.sampled_from(cuts)), source)

    def _sum(self, source: int) -> None:
        other = self._draw(st.sampled_from(self._alike(source, 1)))
        sums: list[Callable[[Tensor, Tensor], Sequence[Tensor]]] = [
            lambda a, b: [a + b],
            lambda a, b: [a.sub(b, alpha=0.5) * 2],
            lambda a, b: [-a * b.tanh() - 1],
            lambda a, b: [a * b[:, :1].sigmoid()],
            lambda a, b: [torch.addcmul(a, a.sigmoid(), b, value=0.5) / 3],
            lambda a, b: [a.clone().add_(b.detach())],
        ]
        self._fixed.add(other)
        self._add(self._draw(st.sampled_from(sums)), source, other)
