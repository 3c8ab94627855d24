"""MONAI's networks, with batch normalisation, in stripes of rows; what depends on the whole image is refused."""

import copy
from collections.abc import Callable

import pytest
import torch
from monai.networks.nets import (
    AttentionUnet,
    BasicUNet,
    BasicUNetPlusPlus,
    DynUNet,
    FlexibleUNet,
    SegResNet,
    UNet,
)
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.inference.streaming.capture import NotStreamableError
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.tiling.receptive_field import measure_field
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import random_images, streamed

CHANNELS, PHASES = 2, 3


class First(nn.Module):
    """The first of several outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        first: Tensor = self.network(image)[0]
        return first


def attention_unet() -> nn.Module:
    """MONAI's, but for the instance normalisation that it has after each attention whatever it is asked for."""
    network = AttentionUnet(2, CHANNELS, PHASES, (8, 16, 32), (2, 2))
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                setattr(module, name, nn.BatchNorm2d(child.num_features))
    return network


NETWORKS: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "BasicUNet": (16, lambda: BasicUNet(2, CHANNELS, PHASES, (8, 8, 16, 16, 16, 8), norm="batch")),
    "BasicUNetPlusPlus": (
        16,
        lambda: First(BasicUNetPlusPlus(2, CHANNELS, PHASES, (8, 8, 16, 16, 16, 8), norm="batch")),
    ),
    "UNet": (4, lambda: UNet(2, CHANNELS, PHASES, (8, 16, 32), (2, 2), norm="batch")),
    "UNet, residual": (4, lambda: UNet(2, CHANNELS, PHASES, (8, 16, 32), (2, 2), num_res_units=2, norm="batch")),
    "AttentionUnet": (4, attention_unet),
    "SegResNet": (8, lambda: SegResNet(2, 8, CHANNELS, PHASES, norm="batch")),
    "SegResNet, deconv": (8, lambda: SegResNet(2, 8, CHANNELS, PHASES, norm="batch", upsample_mode="deconv")),
    "DynUNet": (4, lambda: DynUNet(2, CHANNELS, PHASES, (3, 3, 3), (1, 2, 2), (2, 2), norm_name="batch")),
    "FlexibleUNet": (32, lambda: FlexibleUNet(CHANNELS, PHASES, "resnet10", spatial_dims=2)),
}


def usual(network: nn.Module) -> nn.Module:
    """Give it statistics and normalisations that do something, and the evaluation mode."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.uniform_(module.weight, 0.6, 1.4)
                nn.init.uniform_(module.bias, -0.4, 0.4)
        network.train()(torch.randn(4, CHANNELS, 64, 64))
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_logits_are_those_of_the_plain_network(name: str) -> None:
    torch.manual_seed(0)
    stride, make = NETWORKS[name]
    network = usual(make())
    precise = copy.deepcopy(network).double()
    for rows, stripe in ((9, 1), (5, 3)):
        (image,) = random_images(1, CHANNELS, rows * stride, 3 * stride, torch.float64)
        exact: Tensor = precise(image)
        plain: Tensor = network(image.float())
        (given,) = streamed(as_sequence(precise, 1, 1), [image], stripe * stride, 4 * stride)
        assert (given - exact).abs().max() < 1e-10 * exact.std()
        (given,) = streamed(as_sequence(network, 1, 1), [image.float()], stripe * stride, 4 * stride)
        spread, rounding = exact.std(), (plain - exact).abs().max()
        assert (given - plain).abs().max() < max(1e-5 * spread, 3 * rounding)
        best = plain.topk(2, 1).values
        ties = best[:, 0] - best[:, 1] < 1e-4 * spread
        assert ties.float().mean() < 1e-2
        assert torch.equal(given.argmax(1)[~ties], plain.argmax(1)[~ties])


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_of_them_are_exact(name: str) -> None:
    torch.manual_seed(0)
    stride, make = NETWORKS[name]
    field = measure_field(usual(make()), CHANNELS, stride)
    assert field.halo > 0


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (AttentionUnet(2, CHANNELS, PHASES, (8, 16), (2,)), "operation view"),
        (SegResNet(2, 8, CHANNELS, PHASES), "operation native_group_norm"),
        (BasicUNet(2, CHANNELS, PHASES, (8, 8, 8, 8, 8, 8), norm="batch", upsample="nontrainable"), "aligned corners"),
    ],
)
def test_what_depends_on_the_image_or_its_size_is_refused(network: nn.Module, reason: str) -> None:
    network.eval()
    with pytest.raises(NotStreamableError, match=reason):
        lower_to_row_stream(lambda image: (network(image),), 1, CHANNELS, 64)
    with pytest.raises(ConfigError, match="depend"):
        measure_field(network, CHANNELS, 16)
