"""The networks that tests use: those of the bundles, found by looking, and MONAI's, all small.

Weights are random, but statistics, factors and biases do something, no signal fades on its way through a network, and
every phase wins somewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser
from monai.networks.nets import BasicUNet, BasicUNetPlusPlus, DynUNet, FlexibleUNet, SegResNet, UNet
from torch import Tensor, nn

from monai_app.networks import Sensor3D, batch_normalised, on_patches
from tests.conftest import CHECKOUT

WIDTH = 4
"""Filters of the finest level."""

SPREAD = 0.3
"""Least standard deviation of a phase's logits, far above rounding."""


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
        make: takes the numbers of detectors, slices and phases and the filters of the finest level, and options of the
            network; gives a network of slabs (B, slices * detectors, H, W) with logits (B, phases, H, W).
        stride: pixels that the sides of its images are multiples of.
        streams: whether it runs stripe by stripe; else it runs on whole tiles, with the same logits.
        tiles: whether a tile gives the logits of the whole image.
        slices: in its slabs, where nothing else is asked for.
    """

    make: Callable[..., nn.Module]
    stride: int
    streams: bool = True
    tiles: bool = True
    slices: int = 3


class FirstOutput(nn.Module):
    """A network that gives a list of logits, as one that gives the first of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)[0]
        return logits


def _basic(detectors: int, slices: int, phases: int, width: int, **options: Any) -> nn.Module:
    features = (width, width, 2 * width, 2 * width, 2 * width, width)
    return BasicUNet(2, detectors * slices, phases, features, **{"norm": "batch", **options})


def _plus_plus(detectors: int, slices: int, phases: int, width: int) -> nn.Module:
    features = (width, width, 2 * width, 2 * width, 2 * width, width)
    network = BasicUNetPlusPlus(2, detectors * slices, phases, features, norm="batch")
    for name in ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3"):  # for deep supervision, else idle
        setattr(network, name, nn.Identity())
    return FirstOutput(network)


def _unet(detectors: int, slices: int, phases: int, width: int, **options: Any) -> nn.Module:
    return UNet(2, detectors * slices, phases, (width, 2 * width, 2 * width), (2, 2), norm="batch", **options)


def _attention(detectors: int, slices: int, phases: int, width: int) -> nn.Module:
    channels = (width, 2 * width, 2 * width)
    sizes: dict[str, Any] = {"spatial_dims": 2, "in_channels": detectors * slices, "out_channels": phases}
    return batch_normalised("AttentionUnet", **sizes, channels=channels, strides=(2, 2))


def _patches(detectors: int, slices: int, phases: int, width: int) -> nn.Module:
    channels = (width, 2 * width)
    sizes: dict[str, Any] = {"in_channels": detectors * slices, "out_channels": phases, "spatial_dims": 2}
    return on_patches("UNet", 2, **sizes, channels=channels, strides=(2,), norm="batch")


def _flexible(detectors: int, slices: int, phases: int, width: int) -> nn.Module:
    channels = tuple(width * step for step in (8, 4, 2, 2, 1))
    return FlexibleUNet(detectors * slices, phases, "resnet10", decoder_channels=channels, spatial_dims=2)


def _seg_res_net(detectors: int, slices: int, phases: int, width: int, **options: Any) -> nn.Module:
    return SegResNet(
        2, width, detectors * slices, phases, norm="batch", blocks_down=(1, 1, 1), blocks_up=(1, 1), **options
    )


def _dyn_unet(detectors: int, slices: int, phases: int, width: int) -> nn.Module:
    filters = [width, 2 * width, 2 * width]
    return DynUNet(2, detectors * slices, phases, [3, 3, 3], [1, 2, 2], [2, 2], filters, norm_name="batch")


def _sensor3d(detectors: int, slices: int, phases: int, width: int, **options: Any) -> nn.Module:
    return Sensor3D(detectors, phases, slices, filters=width, **options)


def _of_bundle(
    config: dict[str, Any], detectors: int, slices: int, phases: int, width: int, **options: Any
) -> nn.Module:
    """Make the network of a bundle's config with fewer filters; options are settings of the network."""
    names = [f"detector {number}" for number in range(detectors)]
    more = {"detectors": names, "slices": slices, "phases": [{}] * phases, **_small(config, width)}
    definition = {"network_def": {**config["network_def"], **options}}
    network: nn.Module = ConfigParser({**config, **more, **definition}).get_parsed_content("network_def")
    return network


def _small(config: dict[str, Any], width: int) -> dict[str, Any]:
    """Return the settings that count filters, which are the integers of 8 and more, with a few filters instead."""
    settings = {name: config[name] for name in config["network_settings"]}
    counts = {name: value for name, value in settings.items() if isinstance(value, int | list)}
    small: dict[str, Any] = {}
    for name, value in counts.items():
        numbers = value if isinstance(value, list) else [value]
        if all(type(number) is int and number >= 8 for number in numbers):
            few = [width if number == min(numbers) else 2 * width for number in numbers]
            small[name] = few if isinstance(value, list) else few[0]
    return small


def _bundles() -> dict[str, Entry]:
    """Return the networks of all bundles by the middle of their names: ``fibsem_unet_segmentation`` has ``unet``."""
    entries = {}
    for path in sorted(CHECKOUT.glob("bundles/*/configs/train.yaml")):
        name = path.parents[1].name.removeprefix("fibsem_").removesuffix("_segmentation")
        config = yaml.safe_load(path.read_text(encoding="utf8"))
        del config["imports"]
        entries[name] = Entry(partial(_of_bundle, config), ConfigParser(config).get_parsed_content("stride"))
    return entries


BUNDLES = _bundles()

NETWORKS: dict[str, Entry] = BUNDLES | {
    "Sensor3D middle": Entry(partial(_sensor3d, head="middle", merge="concat", gate_activation="sigmoid"), 4),
    "Sensor3D all": Entry(partial(_sensor3d, head="all", norm="batch", levels=2, dropout=0.1), 2, slices=5),
    "BasicUNet bilinear": Entry(partial(_basic, upsample="nontrainable"), 16, streams=False, tiles=False),
    "BasicUNetPlusPlus": Entry(_plus_plus, 16),
    "UNet": Entry(_unet, 4),
    "UNet residual": Entry(partial(_unet, num_res_units=2), 4),
    "AttentionUnet": Entry(_attention, 4),
    "UNet on patches": Entry(_patches, 4),
    "SegResNet": Entry(_seg_res_net, 4),
    "SegResNet deconv": Entry(partial(_seg_res_net, upsample_mode="deconv"), 4),
    "DynUNet": Entry(_dyn_unet, 4),
    "FlexibleUNet": Entry(_flexible, 32),
}


def network_of(
    name: str,
    detectors: int = 2,
    slices: int | None = None,
    phases: int = 3,
    width: int = WIDTH,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> nn.Module:
    """Make a network of the zoo, in evaluation mode; the same arguments give the same weights."""
    torch.manual_seed(seed)
    slices = slices or NETWORKS[name].slices
    network = NETWORKS[name].make(detectors, slices, phases, width, **options).to(dtype)
    return lively(network, detectors * slices)


def lively(network: nn.Module, channels: int) -> nn.Module:
    """Give a network statistics, factors and biases that do something, and phases that all win somewhere."""
    images = torch.randn(4, channels, 64, 64).to(next(network.parameters()))
    with torch.no_grad():
        for module in network.modules():
            bias = getattr(module, "bias", None)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                module.weight.add_(torch.rand_like(module.weight) * 0.4 - 0.2)
            if isinstance(bias, Tensor):
                bias += torch.rand_like(bias) * 0.4 - 0.2
        network.train()(images)
        logits = network.eval()(images)
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
        last = [module for module in convolutions if module.out_channels == logits.shape[1]][-1]
        assert last.bias is not None
        if (spread := float(logits.std((0, 2, 3)).min())) < SPREAD:
            last.weight *= SPREAD / spread
            logits = network(images)
        last.bias -= logits.mean((0, 2, 3))
    return network.eval()
