"""Networks as functions of single slices: those that share work between targets, and all others."""

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.networks import Sensor3D
from monai_app.networks.protocol import SequenceNetwork, SharesWork, SlabSequence, as_sequence

DETECTORS, PHASES = 2, 3


class Doubled(nn.Module):
    """A network of slabs of three slices that knows its own sequence form."""

    slices = 3

    def sequence(self, targets: int) -> SequenceNetwork:
        return SlabSequence(nn.Identity(), self.slices, targets)


@torch.no_grad()
def test_other_networks_are_called_once_a_target() -> None:
    torch.manual_seed(0)
    network = BasicUNet(2, 3 * DETECTORS, PHASES, (4, 4, 8, 8, 8, 4), norm="batch").eval()
    images = [torch.randn(1, DETECTORS, 32, 32) for _ in range(4)]
    sequence = as_sequence(network, 3, 2)
    assert isinstance(sequence, SlabSequence)
    assert not isinstance(network, SharesWork)
    for target, logits in enumerate(sequence(*images)):
        expected: Tensor = network(torch.cat(images[target : target + 3], 1))
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def test_a_network_that_shares_work_gives_its_own_form() -> None:
    assert isinstance(Sensor3D(1, 2), SharesWork)
    sequence = as_sequence(Doubled().eval(), 3, 2)
    assert isinstance(sequence, SlabSequence)
    assert isinstance(sequence.network, nn.Identity)
    assert not any(module.training for module in sequence.modules())


def test_what_does_not_fit_is_refused() -> None:
    network = Sensor3D(DETECTORS, PHASES, filters=3).eval()
    with pytest.raises(ConfigError, match=r"slices 5: .* slabs of 3"):
        as_sequence(network, 5, 1)
    with pytest.raises(ConfigError, match="targets 0: must be 1 or more"):
        as_sequence(network, 3, 0)
    with pytest.raises(ConfigError, match="a slab of 2 slices: must be odd"):
        as_sequence(nn.Identity().eval(), 2, 1)
    with pytest.raises(ValueError, match="3 images: 2 targets with slabs of 3 slices take 4"):
        as_sequence(network, 3, 2)(*[torch.zeros(1, DETECTORS, 16, 16)] * 3)
    with pytest.raises(ConfigError, match=r"training mode.* eval\(\)"):
        as_sequence(network.train(), 3, 1)
