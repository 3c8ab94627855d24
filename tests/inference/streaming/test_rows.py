"""Row streaming: recorded, built of layers and run in stripes, networks give what they give of the whole image."""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from monai_app.inference.streaming import rows
from monai_app.inference.streaming.capture import NotStreamableError
from monai_app.inference.streaming.layers import Concatenation, Convolution, Pointwise, as_image, as_rows, pack
from monai_app.inference.streaming.lowering import stream
from monai_app.inference.streaming.rows import RowStream
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import (
    DETECTORS,
    SLICES,
    STRIDE,
    pushed,
    random_images,
    shaken,
    streamed,
)
from tests.zoo import network_of

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


class Program(nn.Module):
    """A network drawn at random: every step takes values that are there already and adds new ones.

    The sides of a value are those of the image times its ratio.
    """

    def __init__(self, data: st.DataObject, inputs: int, channels: int, steps: int) -> None:
        super().__init__()
        self.data, self.steps, self.parts = data, [], nn.ModuleList()
        self.channels, self.ratios = [channels] * inputs, [Fraction(1)] * inputs
        self.fixed = set(range(inputs))  # may not be changed in place
        for _ in range(steps):
            name = data.draw(st.sampled_from(KINDS))
            getattr(self, name)(data.draw(st.integers(0, len(self.channels) - 1)))
        first = data.draw(st.integers(0, len(self.channels) - 1))
        self.outputs = [first, len(self.channels) - 1]
        self.data = None

    @property
    def stride(self) -> int:
        return max(ratio.denominator for ratio in self.ratios)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        values = list(images)
        for apply, sources in self.steps:
            values += apply(*(values[source] for source in sources))
        return tuple(values[number] for number in self.outputs)

    def add(self, apply: Callable[..., Sequence[Tensor]], sources: Sequence[int], *made: tuple[int, Fraction]) -> None:
        self.steps.append((apply, sources))
        for channels, ratio in made:
            self.channels.append(channels)
            self.ratios.append(ratio)

    def module(self, module: nn.Module, source: int, channels: int, factor: Fraction = Fraction(1)) -> None:
        self.parts.append(module)
        self.add(lambda image: [module(image)], [source], (channels, self.ratios[source] * factor))

    def convolution(self, source: int) -> None:
        inward, draw = self.channels[source], self.data.draw
        kernel = draw(st.tuples(*[st.sampled_from([1, 3, 5])] * 2))
        dilation = draw(st.tuples(*[st.integers(1, 3)] * 2))
        groups = draw(st.sampled_from([n for n in (1, 2, 4) if inward % n == 0]))
        outward = groups * draw(st.integers(1, 2))
        padding = tuple(size // 2 * step for size, step in zip(kernel, dilation, strict=True))
        options = {"dilation": dilation, "groups": groups, "bias": draw(st.booleans())}
        layers: list[nn.Module] = [nn.Conv2d(inward, outward, kernel, 1, padding, **options)]
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(outward, affine=draw(st.booleans())))
        if draw(st.booleans()):
            layers += [nn.Dropout2d(), nn.ReLU(inplace=draw(st.booleans()))]
        self.module(nn.Sequential(*layers), source, outward)

    def normalisation(self, source: int) -> None:
        self.module(nn.BatchNorm2d(self.channels[source]), source, self.channels[source])

    def activation(self, source: int) -> None:
        inplace = source not in self.fixed and self.data.draw(st.booleans())
        if inplace:
            self.fixed.add(source)  # the result is the same tensor
            self.fixed.add(len(self.channels))
        apply = self.data.draw(st.sampled_from(ACTIVATIONS))
        made = self.channels[source], self.ratios[source]
        self.add(lambda image: [apply(image, inplace=inplace)], [source], made)

    def weighted(self, source: int) -> None:
        self.module(nn.PReLU(self.channels[source]), source, self.channels[source])

    def pooling(self, source: int) -> None:
        pool = self.data.draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
        if self.ratios[source] > Fraction(1, 4):
            self.module(pool(2), source, self.channels[source], Fraction(1, 2))

    def strided(self, source: int) -> None:
        step = self.data.draw(st.sampled_from([2, 4]))
        if self.ratios[source] > Fraction(1, 4):
            self.module(nn.Conv2d(self.channels[source], 2, step, step), source, 2, Fraction(1, step))

    def transposed(self, source: int) -> None:
        options = self.data.draw(st.sampled_from([(2, 2), (4, 4), (4, 2, 1), (1, 1)]))
        bias = self.data.draw(st.booleans())
        if self.ratios[source] < 2:
            module = nn.ConvTranspose2d(self.channels[source], 2, *options, bias=bias)
            self.module(module, source, 2, Fraction(options[1]))

    def nearest(self, source: int) -> None:
        if self.ratios[source] < 2:
            self.module(nn.Upsample(scale_factor=2), source, self.channels[source], Fraction(2))

    def concatenation(self, source: int) -> None:
        others = [n for n, ratio in enumerate(self.ratios) if ratio == self.ratios[source]]
        other = self.data.draw(st.sampled_from(others))
        if self.channels[source] + self.channels[other] <= 8:
            made = self.channels[source] + self.channels[other], self.ratios[source]
            self.add(lambda *images: [torch.cat(images, 1)], [source, other], made)

    def pieces(self, source: int) -> None:
        channels, ratio = self.channels[source], self.ratios[source]
        if channels < 2:
            return
        left, right = channels - channels // 2, channels // 2
        cuts: list[Callable[[Tensor], Sequence[Tensor]]] = [
            lambda image: image.chunk(2, 1),
            lambda image: image.split([left, right], 1),
            lambda image: [image[:, :left], image.narrow(-3, left, right)],
        ]
        cut = self.data.draw(st.sampled_from(cuts))
        self.fixed |= {source, len(self.channels), len(self.channels) + 1}
        self.add(cut, [source], (left, ratio), (right, ratio))

    def sum(self, source: int) -> None:
        same = [number for number in range(len(self.channels)) if self._kind(number) == self._kind(source)]
        other = self.data.draw(st.sampled_from(same))
        apply = self.data.draw(
            st.sampled_from(
                [
                    lambda a, b: [a + b],
                    lambda a, b: [a.sub(b, alpha=0.5) * 2],
                    lambda a, b: [-a * b.tanh() - 1],
                    lambda a, b: [torch.addcmul(a, a.sigmoid(), b, value=0.5) / 3],
                    lambda a, b: [a.clone().add_(b.detach())],
                ]
            )
        )
        self.fixed.add(other)
        self.add(apply, [source, other], self._kind(source))

    def _kind(self, number: int) -> tuple[int, Fraction]:
        return self.channels[number], self.ratios[number]


KINDS = (
    *("convolution", "normalisation", "activation", "weighted", "pooling", "strided", "transposed", "nearest"),
    *("concatenation", "pieces", "sum"),
)


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_any_network_in_any_stripes_gives_what_it_gives_of_the_whole_image(data: st.DataObject) -> None:
    inputs, channels = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 4))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    network = shaken(Program(data, inputs, channels, steps=data.draw(st.integers(1, 9)))).double()
    height, stripe, width = (network.stride * data.draw(st.integers(1, most)) for most in (9, 10, 3))
    images = random_images(inputs, channels, height, width, torch.float64)
    with torch.no_grad():
        expected = network(*(image.clone() for image in images))
    given = streamed(network, images, stripe, side=network.stride * data.draw(st.integers(1, 3)))
    torch.testing.assert_close(given, list(expected), rtol=1e-10, atol=1e-10)


def test_an_identity_and_a_map_that_is_wanted_twice() -> None:
    images = random_images(2, 3, 16, 4, torch.float32)
    first, second = images
    torch.testing.assert_close(streamed(lambda a, b: (b, a), images, 4), [second, first])
    torch.testing.assert_close(streamed(lambda a, b: (a, a + b, a), images, 4), [first, first + second, first])

    def doubled(image: Tensor) -> tuple[Tensor, ...]:
        made = image * 2
        return made, made.detach()

    torch.testing.assert_close(streamed(doubled, [first], 4), [2 * first] * 2)
    torch.testing.assert_close(streamed(as_sequence(nn.Identity().eval(), 1, 2), images, 4), images)


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
@pytest.mark.parametrize("targets", [1, 3])
@torch.no_grad()
def test_networks_of_the_variants_in_float32(kind: str, targets: int) -> None:
    network, stride = network_of(kind), STRIDE[kind]
    images = random_images(SLICES + targets - 1, len(DETECTORS), 13 * stride, 5 * stride, torch.float32)
    expected = [network(torch.cat(images[first : first + SLICES], 1)) for first in range(targets)]
    made = stream(as_sequence(network, SLICES, targets), len(images), len(DETECTORS), 4 * stride)
    for stripe in (stride, 4 * stride, 13 * stride):
        given = pushed(made, images, stripe)
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-5)
        for logits, plain in zip(given, expected, strict=True):
            centre = plain.mean((0, 2, 3), keepdim=True)  # without it one phase would be all there is
            labels = (logits - centre).argmax(1)
            assert len(labels.unique()) == 3
            assert torch.equal(labels, (plain - centre).argmax(1))


def kinds(made: RowStream) -> Counter[str]:
    return Counter(type(layer).__name__ + "+relu" * getattr(layer, "relu", False) for layer in made.layers)


CONVOLUTION = nn.Conv2d(2, 2, 3, padding=1)
BATCH_NORM = shaken(nn.BatchNorm2d(2))


def seen_before(image: Tensor) -> Tensor:
    made = CONVOLUTION(image)
    before = made * 1
    return made.relu_() + before


@pytest.mark.parametrize(
    ("function", "layers"),
    [
        (lambda image: CONVOLUTION(image).relu(), {"Convolution+relu": 1}),
        (lambda image: CONVOLUTION(image).clone().relu_(), {"Convolution+relu": 1}),
        (lambda image: BATCH_NORM(CONVOLUTION(image)).relu_(), {"Convolution+relu": 1}),
        (lambda image: BATCH_NORM(CONVOLUTION(image).relu()), {"Convolution+relu": 1, "Pointwise": 1}),
        (lambda image: BATCH_NORM(BATCH_NORM(CONVOLUTION(image))), {"Convolution": 1}),
        (lambda image: BATCH_NORM(image), {"Pointwise": 1}),
        (lambda image: (y := CONVOLUTION(image)) + y.relu(), {"Convolution": 1, "Pointwise": 2}),
        (lambda image: (y := CONVOLUTION(image)).clone().relu_() + y, {"Convolution": 1, "Pointwise": 2}),
        (lambda image: (y := CONVOLUTION(image).detach()).relu() + y, {"Convolution": 1, "Pointwise": 2}),
        (lambda image: BATCH_NORM(y := CONVOLUTION(image)) + y, {"Convolution": 1, "Pointwise": 2}),
        (lambda image: (y := BATCH_NORM(CONVOLUTION(image))).relu() + y, {"Convolution": 1, "Pointwise": 2}),
        (seen_before, {"Convolution": 1, "Pointwise": 3}),
    ],
)
@torch.no_grad()
def test_only_what_nobody_else_reads_goes_into_a_convolution(
    function: Callable[[Tensor], Tensor], layers: dict[str, int]
) -> None:
    (image,) = random_images(1, 2, 12, 6, torch.float32)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        return (function(image),)

    assert kinds(stream(network, 1, 2, 8)) == layers
    torch.testing.assert_close(streamed(network, [image], 4), [function(image)], rtol=0, atol=1e-6)


@torch.no_grad()
def test_an_output_is_as_it_is_before_a_relu() -> None:
    (image,) = random_images(1, 2, 12, 6, torch.float32)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        made = CONVOLUTION(image)
        return made, made.relu()

    torch.testing.assert_close(streamed(network, [image], 4), list(network(image)), rtol=0, atol=1e-6)


def test_weights_and_statistics_are_left_as_they_are() -> None:
    network = network_of("unet")
    before = {name: values.clone() for name, values in network.state_dict().items()}
    stream(as_sequence(network, SLICES, 1), SLICES, len(DETECTORS), 32)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_rows_are_freed_whatever_the_height(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    maps: list[rows._Map] = []

    class Kept(rows._Map):
        def __init__(self, height: int) -> None:
            super().__init__(height)
            maps.append(self)

    monkeypatch.setattr(rows, "_Map", Kept)
    stride = STRIDE[kind]
    made = stream(as_sequence(network_of(kind), SLICES, 1), SLICES, len(DETECTORS), 2 * stride)

    def most(height: int) -> int:
        maps.clear()
        stripes = ([torch.zeros(stride, stride, len(DETECTORS))] * SLICES for _ in range(height // stride))
        peak = 0
        with torch.no_grad():
            for _ in made.run(stripes, height):
                storages = {block.untyped_storage() for kept in maps for _, block in kept.blocks}
                peak = max(peak, sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()))
        return peak

    assert 0 < most(50 * stride) == most(20 * stride)


def test_a_stripe_that_was_used_is_gone() -> None:
    alive: list[weakref.ref[Tensor]] = []

    def stripes() -> Sequence[list[Tensor]]:
        for _ in range(20):
            stripe = torch.zeros(4, 4, 2)
            alive.append(weakref.ref(stripe))
            yield [stripe]
            del stripe

    with torch.no_grad():
        for _ in stream(lambda image: (CONVOLUTION(image),), 1, 2, 8).run(stripes(), 80):
            assert sum(reference() is not None for reference in alive) <= 2


def attention(image: Tensor) -> Tensor:
    return image * image.mean((2, 3), keepdim=True)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Upsample(scale_factor=2, mode="bilinear"), "upsample_bilinear2d"),
        (nn.Upsample(size=(24, 24)), "up-sampling to a size"),
        (nn.Upsample(scale_factor=1.5), "up-sampling .* by no whole number"),
        (nn.InstanceNorm2d(2), "operation view"),
        (nn.BatchNorm2d(2).train(), "normalisation by the statistics of the image"),
        (nn.BatchNorm2d(2, track_running_stats=False).eval(), "normalisation by the statistics of the image"),
        (nn.GroupNorm(1, 2), "native_group_norm"),
        (nn.AvgPool2d(2, divisor_override=3), r"pooling of \(2, 2\) with stride \(2, 2\)"),
        (nn.MaxPool2d(3, 1, padding=1), r"pooling of \(3, 3\) with stride \(1, 1\)"),
        (nn.MaxPool2d((1, 2)), r"pooling of \(1, 2\)"),
        (nn.AdaptiveAvgPool2d(1), "mean"),
        (nn.Conv2d(2, 2, 3, stride=2, padding=1), r"convolution of kernel \(3, 3\), stride \(2, 2\), padding \(1, 1\)"),
        (nn.Conv2d(2, 2, 3), r"convolution .* padding \(0, 0\)"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "reflection_pad2d"),
        (nn.ConvTranspose2d(2, 2, 3, stride=2), r"transposed convolution of kernel \(3, 3\), stride \(2, 2\)"),
        (nn.ConvTranspose2d(2, 2, 2, stride=2, groups=2), "transposed convolution"),
        (nn.PixelUnshuffle(2), "pixel_unshuffle"),
        (nn.Softmax(1), "softmax"),
        (nn.Dropout2d().train(), "operation"),
        (attention, "mean"),
        (lambda image: image.flip(2), "flip"),
        (lambda image: image[:, :, 1:], "slice along dimension 2"),
        (lambda image: image[:, ::2], "slice with step 2"),
        (lambda image: torch.cat([image, image], 2), "concatenation along dimension 2"),
        (lambda image: torch.cat([image, torch.ones(1, 1, 16, 16)], 1), "a constant"),
        (lambda image: image + torch.ones(1, 1, 16, 16), "operation add with a constant image"),
        (lambda image: image * torch.linspace(0, 1, 16), "operation mul with a constant image"),
        (lambda image: image * torch.linspace(0, 1, 16)[:, None], "operation mul with a constant image"),
        (lambda image: functional.max_pool2d(image, 2, return_indices=True)[1] + 0.5, "indices of pooling"),
        (lambda image: torch.conv2d(image, image[:, :, :3, :3], padding=1), "dimension 2"),
        (lambda image: functional.pad(image, (1, -1, 0, 0)), "constant_pad_nd"),
        (lambda image: torch.add(image, image, out=torch.empty(1, 2, 16, 16)), "operation add"),
    ],
)
def test_what_rows_are_not_known_of_is_refused_by_name(network: Callable[[Tensor], Tensor], reason: str) -> None:
    with pytest.raises(NotStreamableError, match=reason):
        stream(lambda image: (network(image),), 1, 2, 16)


def constant_factors(image: Tensor) -> tuple[Tensor, ...]:
    """A single channel becomes four by a constant of four."""
    made = image * torch.arange(1.0, 5.0)[:, None, None]
    return made[:, 2:], torch.cat([made, image], 1)


def test_constants_of_channels() -> None:
    (image,) = random_images(1, 1, 12, 4, torch.float32)
    torch.testing.assert_close(streamed(constant_factors, [image], 4), list(constant_factors(image)))
    assert stream(constant_factors, 1, 1, 8).channels[:2] == (1, 4)


def packable(inward: int, groups: int = 1, dtype: torch.dtype = torch.float32, relu: bool = False) -> Convolution:
    torch.manual_seed(inward)
    module = nn.Conv2d(inward, 5 * groups, (3, 5), dilation=(2, 1), groups=groups).to(dtype).requires_grad_(False)
    return Convolution((0,), 1, module.weight, module.bias, (2, 1), groups, relu)


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (packable(12), [12]),
        (packable(20), [16, 4]),
        (packable(16, groups=2), [16]),
        (packable(16, dtype=torch.float64), [16]),
        (packable(6), [6]),
    ],
)
def test_odd_channels_groups_and_types_are_not_packed(layer: Convolution, channels: list[int]) -> None:
    assert pack(layer, channels) is layer


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("channels", [[8], [16, 8], [8, 24, 16]])
@torch.no_grad()
def test_packed_kernels_give_what_plain_ones_give(channels: list[int], relu: bool) -> None:
    layer = packable(sum(channels), relu=relu)
    layer = Convolution(tuple(range(len(channels))), 9, *[getattr(layer, name) for name in FIELDS])
    packed = pack(layer, channels)
    assert len(packed.packed) == len(channels)
    sources = [random_images(1, count, 20, 12, torch.float32)[0] for count in channels]
    images = [as_rows(source).contiguous() for source in sources]
    given, plain = (
        made.rows(lambda source, first, stop: images[source][2 + first : 2 + stop], 0, 16) for made in (packed, layer)
    )
    expected = torch.conv2d(torch.cat(sources, 1), layer.weight, layer.bias, 1, (0, 2), (2, 1))
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(as_image(given), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(as_image(plain), expected, rtol=0, atol=1e-5)
    assert (given < 0).any() != relu


FIELDS = ("weight", "bias", "dilation", "groups", "relu")


@cache
def joined() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(24, 5, 3, padding=1).requires_grad_(False)


@pytest.mark.parametrize("relu", [False, True])
def test_concatenated_sources_are_packed_one_by_one(relu: bool) -> None:
    images = random_images(3, 8, 24, 12, torch.float32)

    def network(*images: Tensor) -> tuple[Tensor, ...]:
        made = joined()(torch.cat(images, 1))
        return (made.relu() if relu else made,)

    made = stream(network, 3, 8, 8)
    (layer,) = made.layers
    assert isinstance(layer, Convolution)
    assert (layer.sources, len(layer.packed), layer.relu) == ((0, 1, 2), 3, relu)
    torch.testing.assert_close(pushed(made, images, 8), list(network(*images)), rtol=0, atol=1e-5)


def test_concatenated_maps_are_laid_together_where_others_read_them() -> None:
    images = random_images(2, 2, 12, 4, torch.float32)

    def network(first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat([first, second], 1).tanh(),)

    made = stream(network, 2, 2, 8)
    assert [type(layer) for layer in made.layers] == [Concatenation, Pointwise]
    torch.testing.assert_close(pushed(made, images, 4), list(network(*images)))
