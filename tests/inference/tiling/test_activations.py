"""What whole tiles hold, counted."""

import torch
from torch import nn

from monai_app.inference.tiling.activations import count_maps
from tests.zoo import network_of


def test_every_map_counts_as_long_as_it_is_alive() -> None:
    chain = nn.Sequential(*(nn.Conv2d(inward, 10, 3, padding=1) for inward in (6, 10, 10)))
    assert count_maps(chain, 6, 4) == 6 + 10 + 10  # the first map is gone when the third is made
    assert count_maps(nn.Sequential(nn.Conv2d(6, 10, 1), nn.ReLU(inplace=True)), 6, 4) == 6 + 10
    assert count_maps(nn.Sequential(nn.Conv2d(6, 16, 1), nn.MaxPool2d(2)), 6, 4) == 6 + 16 + 12  # with int64 indices


def test_views_and_weights_are_no_maps() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 64, 1, 1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, :2] * self.weight[:, :2]

    assert count_maps(Viewing(), 6, 4) == 6 + 2


def test_the_networks_hold_more_than_their_widest_map() -> None:
    assert 24 < count_maps(network_of("unet"), 6, 16) < 100
