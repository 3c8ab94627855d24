"""Networks, models and images that several tests of this folder use."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from monai_app.inference.model import Model
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.rows import RowStream
from tests.specs import spec_of
from tests.zoo import NETWORKS, network_of

DETECTORS, SLICES = ("ICE", "TLD"), 3
STRIDE = {name: NETWORKS[name].stride for name in ("unet", "BasicUNet bilinear", "sensor3d")}
SCALING = {"ICE": {"mean": 127.0, "std": 60.0}, "TLD": {"mean": 90.0, "std": 41.5}}


def shaken(network: nn.Module, seed: int = 0) -> nn.Module:
    """Put it into evaluation mode, with biases, factors and statistics that do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight, module.bias, module.running_mean, module.running_var):
                    if values is not None:
                        values.add_(torch.rand(values.shape, generator=generator).to(values) - 0.4)
    return network.eval()


def model_of(kind: str) -> Model:
    spec = spec_of(DETECTORS, SLICES, scaling=SCALING, stride=STRIDE[kind])
    return Model(spec, network_of(kind, width=8), "weights.pt")


def pushed(made: RowStream, images: Sequence[Tensor], stripe: int) -> list[Tensor]:
    """Run images (1, C, H, W) through; each output's rows must come one after the other, each once."""
    rows = [image[0].permute(1, 2, 0).contiguous() for image in images]
    height = rows[0].shape[0]
    stripes = ([part[first : first + stripe] for part in rows] for first in range(0, height, stripe))
    parts: list[list[Tensor]] = [[] for _ in made.outputs]
    with torch.no_grad():
        for number, first, given in made.run(stripes, height):
            assert first == sum(part.shape[0] for part in parts[number])
            parts[number].append(given)
    return [torch.cat(part).permute(2, 0, 1)[None] for part in parts]


def streamed(
    function: Callable[..., tuple[Tensor, ...]], images: Sequence[Tensor], stripe: int, side: int = 16
) -> list[Tensor]:
    return pushed(lower_to_row_stream(function, len(images), images[0].shape[1], side), images, stripe)


def random_images(count: int, channels: int, rows: int, columns: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows * columns)
    return [torch.randn((1, channels, rows, columns), generator=generator).to(dtype) for _ in range(count)]
