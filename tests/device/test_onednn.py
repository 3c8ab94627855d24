"""oneDNN's fused convolution against torch's plain one."""

import pytest
import torch
from torch import Tensor

from monai_app.device import onednn

GEOMETRIES = [onednn.Geometry((1, 1), (0, 2), (2, 1)), onednn.Geometry((2, 1), (0, 1), (1, 1))]


def kernels(inward: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(inward)
    weight, bias = torch.randn(5, inward, 3, 5, generator=generator), torch.randn(5, generator=generator)
    return weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)


@pytest.mark.parametrize(
    ("channels", "dtype"),
    [([12], torch.float32), ([16, 4], torch.float32), ([16], torch.float64), ([6], torch.float32)],
)
def test_odd_channels_and_types_are_not_packed(channels: list[int], dtype: torch.dtype) -> None:
    weight, _ = kernels(sum(channels), dtype)
    assert onednn.pack(weight, channels, GEOMETRIES[0]) == ()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("channels", [[8], [16, 8], [8, 24, 16]])
@torch.no_grad()
def test_packed_kernels_give_what_plain_ones_give(channels: list[int], relu: bool, geometry: onednn.Geometry) -> None:
    weight, bias = kernels(sum(channels))
    packed = onednn.pack(weight, channels, geometry)
    assert len(packed) == len(channels)
    image = torch.randn(1, sum(channels), 20, 12, generator=torch.Generator().manual_seed(0))
    parts = [part.contiguous(memory_format=torch.channels_last) for part in image.split(channels, 1)]
    given = onednn.convolve(iter(parts), packed, bias, geometry, relu)
    expected = torch.conv2d(image, weight, bias, *geometry)
    torch.testing.assert_close(given, expected.relu() if relu else expected, rtol=0, atol=1e-4)
    assert (given < 0).any() != relu
