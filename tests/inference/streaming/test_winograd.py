"""Winograd's convolutions give what plain ones give, of blocks of rows that the schedule lets them make."""

import pytest
import torch
from torch import Tensor, nn

from monai_app.inference.streaming.doubling import Doubling
from monai_app.inference.streaming.layers import BlockMaxPool
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.schedule import Schedule
from monai_app.inference.streaming.winograd import WinogradConvolution
from tests.inference.examples import pushed, random_images, shaken

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


class Wide(nn.Module):
    """Wide convolutions: of one map, and of two maps, one of which is doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(64, 64, 3, padding=1)
        self.second = nn.Conv2d(128, 144, (3, 5), padding=(1, 2))
        self.up = nn.ConvTranspose2d(144, 64, 2, 2)
        self.last = nn.Conv2d(128, 64, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        made = torch.relu(self.first(image))
        other = self.second(torch.cat([image, made], 1))
        return made, torch.relu(self.last(torch.cat([made, self.up(torch.max_pool2d(other, 2))], 1)))


class Alone(nn.Module):
    """One convolution."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return (self.convolution(image),)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return shaken(Wide().eval())


@pytest.mark.parametrize("height", [2, 4, 10, 22])
@torch.no_grad()
def test_rows_in_any_stripes_are_those_of_plain_convolutions(network: nn.Module, height: int) -> None:
    made = lower_to_row_stream(network, 1, 64, 8)
    assert [type(layer) for layer in made.layers if not isinstance(layer, BlockMaxPool)] == [
        *(WinogradConvolution, WinogradConvolution, Doubling, WinogradConvolution)
    ]
    (image,) = random_images(1, 64, height, 6, torch.float32)
    expected = network(image)
    exact = [values.double() for values in expected]
    for stripe in (2, 6, 22):
        for values, wanted in zip(pushed(made, [image], stripe), exact, strict=True):
            assert (values - wanted).abs().max() < 2e-5 * wanted.abs().max()


@torch.no_grad()
def test_a_block_of_rows_is_made_when_it_is_full(network: nn.Module) -> None:
    made = lower_to_row_stream(network, 1, 64, 8)
    schedule = Schedule(made.inputs, made.layers, 22)
    rows: dict[int, list[int]] = {layer.target: [] for layer in made.layers}
    for step in (step for _ in range(11) for step in schedule.push(2)):
        rows[step.layer.target].append(step.stop - step.first)
    for layer in made.layers:
        assert sum(rows[layer.target]) == schedule.heights[layer.target]
        if isinstance(layer, (WinogradConvolution, Doubling)):
            first, *inner, last = rows[layer.target]
            assert set(inner) <= {layer.step}
            assert max(first, last) <= layer.step == (8 if isinstance(layer, Doubling) else 4)


@torch.no_grad()
def test_blocks_end_where_the_blocks_before_them_let_them(network: nn.Module) -> None:
    """A block is made in the pass in which its last row can be made, so that no rows wait for it to be filled."""
    made = lower_to_row_stream(network, 1, 64, 8)
    schedule = Schedule(made.inputs, made.layers, 64)
    for pushed_rows in range(8, 64, 8):
        for _ in schedule.push(8):
            pass
        for layer in made.layers:
            scale = schedule.heights[layer.target] / 64
            assert pushed_rows * scale - schedule.made[layer.target] <= 3


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(64, 32, 3, padding=1),  # too narrow to be worth it
        nn.Conv2d(64, 64, 3, padding=1).double(),
    ],
)
def test_others_stay_plain(convolution: nn.Conv2d) -> None:
    (layer,) = lower_to_row_stream(Alone(convolution), 1, 64, 8).layers
    assert not isinstance(layer, WinogradConvolution)


def test_other_devices_have_their_own() -> None:
    with torch.device("meta"):
        (layer,) = lower_to_row_stream(Alone(nn.Conv2d(64, 64, 3, padding=1)), 1, 64, 8).layers
    assert not isinstance(layer, WinogradConvolution)
