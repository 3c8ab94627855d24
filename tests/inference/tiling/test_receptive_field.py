"""Measured fields against the reference, and against tiles: at the halo equal to the whole, one stride below not."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.inference.tiling.receptive_field import Field, measure_field
from monai_app.networks import Sensor3D
from tests.zoo import network_of


class SmallUNet(nn.Module):
    """A U-Net of any number of levels, two convolutions per block; MONAI's BasicUNet always has five."""

    def __init__(self, levels: int, width: int = 3) -> None:
        super().__init__()
        self.fine = block(2, width)
        if levels > 1:
            self.coarse = SmallUNet(levels - 1)
            self.coarse.fine = block(width, width)
            self.up, self.join = nn.ConvTranspose2d(width, width, 2, 2), block(2 * width, width)

    def forward(self, image: Tensor) -> Tensor:
        fine: Tensor = self.fine(image)
        if not hasattr(self, "coarse"):
            return fine
        coarse = self.coarse(nn.functional.max_pool2d(fine, 2))
        joined: Tensor = self.join(torch.cat([fine, self.up(coarse)], 1))
        return joined


def block(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
    )


@pytest.mark.parametrize(("levels", "halo"), [(3, 24), (4, 48)])
def test_the_halo_of_a_unet_is_that_of_the_reference(levels: int, halo: int) -> None:
    field = measure_field(SmallUNet(levels), 2, 2 ** (levels - 1))
    assert (field.stride, field.halo) == (2 ** (levels - 1), halo)


def test_the_halo_of_monais_unet_is_that_of_the_reference() -> None:
    assert measure_field(network_of("unet"), 6, 16) == Field(stride=16, halo=96, reach=107)


@pytest.mark.parametrize(
    ("options", "halo"),
    [
        ({}, 40),
        ({"head": "middle"}, 36),
        ({"head": "all", "norm": "batch", "merge": "concat"}, 36),
        ({"levels": 4}, 80),
        ({"slices": 5}, 48),
        ({"slices": 7, "gate_activation": "sigmoid", "dropout": 0.2}, 60),
    ],
    ids=str,
)
def test_the_halo_of_sensor3d_is_that_of_the_reference(options: dict[str, Any], halo: int) -> None:
    network = Sensor3D(**{"detectors": 1, "phases": 3, "filters": 2, **options})
    assert measure_field(network, network.slices, network.stride).halo == halo


def test_weights_of_zero_hide_nothing() -> None:
    network = Sensor3D(1, 3, filters=2)
    for weight in network.parameters():
        nn.init.zeros_(weight)
    assert measure_field(network, 3, 4) == measure_field(Sensor3D(1, 3, filters=2), 3, 4)


@pytest.mark.parametrize("stride", [1, 4])
def test_an_identity_sees_its_own_pixel(stride: int) -> None:
    assert measure_field(nn.Identity(), 2, stride) == Field(stride, halo=0, reach=0)


@pytest.mark.parametrize(
    ("kernel", "padding", "reach"),
    [((3, 1), (1, 0), 1), ((1, 7), (0, 3), 3), ((1, 9), (0, 4), 4), ((9, 3), (4, 1), 4)],
)
def test_rows_and_columns_may_differ_and_the_larger_counts(
    kernel: tuple[int, int], padding: tuple[int, int], reach: int
) -> None:
    network = nn.Conv2d(1, 2, kernel, padding=padding)
    assert measure_field(network, 1, 1) == Field(stride=1, halo=reach, reach=reach)


@pytest.mark.parametrize("shift", [-3, 3])
def test_a_field_may_lie_to_one_side(shift: int) -> None:
    """The tile at the other side needs the halo."""
    network = nn.Sequential(nn.ZeroPad2d((0, 0, max(shift, 0), max(-shift, 0))), Crop(shift))
    assert measure_field(network, 1, 1) == Field(stride=1, halo=3, reach=3)


class Crop(nn.Module):
    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :, : -self.shift] if self.shift > 0 else image[:, :, -self.shift :]


def test_a_long_reach_makes_the_image_longer() -> None:
    assert measure_field(nn.Conv2d(1, 1, 3, padding=200, dilation=200), 1, 2) == Field(stride=2, halo=200, reach=200)


def random_network(kind: str) -> tuple[nn.Module, int, int]:
    """A float64 network whose weights hide nothing in rounding, its channels and stride."""
    torch.manual_seed(3)
    network: nn.Module = {
        "unet": lambda: SmallUNet(3),
        "sensor3d": lambda: Sensor3D(1, 3, filters=3, gate_activation="sigmoid"),
    }[kind]()
    network = network.double().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.uniform_(module.weight, 0, 2 / module.weight[0].numel())
    return network, 3 if kind == "sensor3d" else 2, 4


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_tiles_need_the_halo_and_no_more(kind: str) -> None:
    network, channels, stride = random_network(kind)
    field = measure_field(network, channels, stride)
    image = torch.rand((1, channels, 128, 132), dtype=torch.float64)
    with torch.no_grad():
        whole = network(image)[:, :, 52:64, 60:72]
        different = [
            float((core(network, image, halo) - whole).abs().max()) for halo in (field.halo, field.halo - stride)
        ]
    # Shorter sums may be added up in another order.
    assert different[0] < 1e-13 < different[1]


def core(network: nn.Module, image: Tensor, halo: int) -> Tensor:
    window = image[:, :, 52 - halo : 64 + halo, 60 - halo : 72 + halo]
    logits: Tensor = network(window)
    return logits[:, :, halo : halo + 12, halo : halo + 12]


def test_statistics_of_the_image_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"depends on everything in the image: .* use batch norm or none"):
        measure_field(network_of("unet", norm="instance"), 6, 16)


@pytest.mark.parametrize("stride", [1, 2, 3, 6, 10])
def test_a_stride_that_is_none_of_the_network_is_named(stride: int) -> None:
    pooled = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AvgPool2d((4, 1)), nn.Upsample(scale_factor=(4.0, 1.0)))
    with pytest.raises(ConfigError, match=f"stride {stride}: "):
        measure_field(pooled, 1, stride)
    for multiple in (4, 8):
        assert measure_field(pooled, 1, multiple).halo == multiple


def test_networks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="stride 4: the network does not take an image of 5 channels"):
        measure_field(Sensor3D(1, 3, filters=2), 5, 4)
    with pytest.raises(ConfigError, match="stride 0: must be 1 or more"):
        measure_field(nn.Identity(), 1, 0)
    with pytest.raises(ConfigError, match=r"gives \(2, 2, 1022, 8\) for an image of 1 channels and 1024 x 8 pixels"):
        measure_field(nn.Conv2d(1, 2, (3, 1)), 1, 1)
    diverged = SmallUNet(1)
    nn.init.constant_(dict(diverged.named_parameters())["fine.0.bias"], torch.nan)
    with pytest.raises(ConfigError, match="logits of an image of zeros are not finite"):
        measure_field(diverged, 2, 1)
    with pytest.raises(ConfigError, match="no pixel of the image affects"):
        measure_field(Blind(), 1, 1)


class Blind(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.nan_to_num(image)


def test_every_module_gets_its_mode_back() -> None:
    for training, frozen in product([True, False], repeat=2):
        network = SmallUNet(2).train(training)
        network.fine.train(frozen)
        before = [module.training for module in network.modules()]
        measure_field(network, 2, 2)
        assert [module.training for module in network.modules()] == before
        with pytest.raises(ConfigError):
            measure_field(network, 3, 2)
        assert [module.training for module in network.modules()] == before


def test_a_network_that_looks_at_the_size_of_the_image_is_refused() -> None:
    network = network_of("BasicUNet bilinear")
    with pytest.raises(ConfigError, match=r"depend on the size of the image: .* without align_corners"):
        measure_field(network, 6, 16)
