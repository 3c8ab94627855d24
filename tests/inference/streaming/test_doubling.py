"""Transposed convolutions that double rows and columns, and those that are joined with the convolution behind them."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from monai_app.inference.streaming.doubling import Doubling
from monai_app.inference.streaming.layers import Convolution, Layer
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.rows import RowStream
from tests.inference.examples import pushed, random_images, shaken


class Decoder(nn.Module):
    """A level of a U-Net's decoder: a map of half the size doubled, the skip beside it, and a convolution."""

    def __init__(self, channels: int = 8, *, bias: bool = True, kernel: int = 3, twice: bool = False) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(channels, channels, 2, 2, bias=bias)
        self.convolution = nn.Conv2d((3 if twice else 2) * channels, channels, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(channels)
        self.twice = twice

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        joined = [image, image] if self.twice else [image]
        joined.append(self.up(self.pool(image)))
        return (torch.relu(self.norm(self.convolution(torch.cat(joined, 1)))),)


def lowered(network: nn.Module, channels: int) -> RowStream:
    return lower_to_row_stream(network, 1, channels, 8)


def kinds(layers: tuple[Layer, ...]) -> list[str]:
    return [type(layer).__name__ for layer in layers]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [8, 5])  # with and without oneDNN's fused convolution
@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("size", [(2, 2), (2, 6), (12, 10)])
@torch.no_grad()
def test_a_transposed_convolution_and_the_convolution_behind_it_are_one(
    bias: bool, channels: int, twice: bool, size: tuple[int, int]
) -> None:
    network = shaken(Decoder(channels, bias=bias, twice=twice).eval()).double()
    exact, made = lowered(network, channels), lowered(network.float(), channels)
    assert kinds(made.layers) == ["BlockMaxPool", "Doubling", "Convolution"]
    (image,) = random_images(1, channels, *size, torch.float32)
    expected = network.double()(image.double())
    for stripe in (2, 4, 12):
        torch.testing.assert_close(pushed(exact, [image.double()], stripe), list(expected), rtol=0, atol=1e-12)
        rounded = pushed(made, [image], stripe)
        torch.testing.assert_close(rounded, [values.float() for values in expected], rtol=0, atol=1e-5)


def test_kernels_are_rounded_once() -> None:
    """One map in between less: the joined layers are no less exact than the layers that they replace."""
    network = shaken(Decoder(32).eval())
    (image,) = random_images(1, 32, 32, 32, torch.float32)
    with torch.no_grad():
        plain = network(image)[0].double()
        (joined,) = pushed(lowered(network, 32), [image], 8)
        (exact,) = network.double()(image.double())
    assert (joined - exact).abs().max() < 2 * (plain - exact).abs().max()


class ReadTwice(Decoder):
    """The doubled map is an output too."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        doubled = self.up(self.pool(image))
        return self.convolution(torch.cat([image, doubled], 1)), doubled


@pytest.mark.parametrize(
    "network",
    [Decoder(kernel=1), Decoder(kernel=5), ReadTwice(), nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(8, 8, 2, 2))],
)
@torch.no_grad()
def test_other_transposed_convolutions_stay_as_they_are(network: nn.Module) -> None:
    network = shaken(network.eval())

    def function(image: Tensor) -> tuple[Tensor, ...]:
        made = network(image)
        return made if isinstance(made, tuple) else (made,)

    made = lower_to_row_stream(function, 1, 8, 8)
    assert Counter(kinds(made.layers))["BlockConvTranspose"] == 1
    (image,) = random_images(1, 8, 12, 10, torch.float32)
    torch.testing.assert_close(pushed(made, [image], 4), list(function(image)), rtol=0, atol=1e-5)


def test_joined_maps_are_added_in_place() -> None:
    made = lowered(Decoder().eval(), 8)
    _, doubled, added = made.layers
    assert isinstance(doubled, Doubling)
    assert isinstance(added, Convolution)
    assert added.adds
    assert added.sources == (doubled.target, 0)
    assert made.channels[doubled.target] == 8
