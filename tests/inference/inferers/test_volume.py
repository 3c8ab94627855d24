"""A volume's labels against those of its slabs, read as a stack reads them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError
from monai_app.inference import ExactInferer, VolumeInferer
from monai_app.inference.inferers.volume import slab_of
from monai_app.stack import Stack
from monai_app.transforms import PhaseLabelsd, phase_labels


def as_volume(stack: Stack, *detectors: str) -> Tensor:
    """A stack's pixels as MONAI holds them: (1, C, X, Y, Z)."""
    slices = [stack.read_slab(z, detectors, 1) for z in range(stack.shape[0])]
    return torch.from_numpy(np.stack(slices, axis=-1).astype(np.float32)).transpose(1, 2)[None]


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_the_slabs_of_a_volume_are_those_of_the_stack(tiny_stack: Stack, slices: int) -> None:
    volume = as_volume(tiny_stack, "TLD", "ICE")
    assert volume.shape == (1, 2, 80, 96, 8)
    for z in range(8):
        expected = tiny_stack.read_slab(z, ["TLD", "ICE"], slices)
        np.testing.assert_array_equal(slab_of(volume, z, Slab(slices))[0].numpy(), expected)


class Directed(nn.Module):
    """A network that tells rows from columns, before from after, and detectors apart."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weights = torch.arange(3 * channels * 9, dtype=torch.float64).reshape(3, channels, 3, 3)
        self.weights = nn.Parameter(torch.sin(weights * weights))

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.conv2d(images, self.weights, padding=1)


@settings(deadline=None, max_examples=20)
@given(data=st.data())
@torch.no_grad()
def test_a_volume_gets_the_labels_of_its_slabs(data: st.DataObject) -> None:
    x, y, z = (data.draw(st.integers(1, limit)) for limit in (20, 20, 5))
    detectors, slices = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 3, 5, 7]))
    volume = torch.rand((2, detectors, x, y, z), dtype=torch.float64)
    network, inner = Directed(detectors * slices), ExactInferer((8, 12), 4)
    labels = VolumeInferer(inner, slices)(volume, network)
    assert (labels.shape, labels.dtype) == ((2, 1, x, y, z), torch.uint8)
    stacks = volume.numpy().transpose(0, 1, 4, 3, 2)  # detectors, slices, rows, columns
    for item, stack in enumerate(stacks):
        for target in range(z):
            near = [min(max(k, 0), z - 1) for k in range(target - slices // 2, target + slices // 2 + 1)]
            slab = np.concatenate([stack[:, k] for k in near])
            expected = phase_labels(inner(torch.from_numpy(slab)[None], network)[0])
            assert torch.equal(labels[item, 0, :, :, target].mT, expected[0])


@torch.no_grad()
def test_a_turned_volume_gets_other_labels() -> None:
    """So the test above would notice a turn."""
    volume = torch.randn((1, 2, 16, 16, 5), dtype=torch.float64)  # about 0, so every phase wins somewhere
    network = Directed(6)
    infer = VolumeInferer(SimpleInferer(), 3)
    labels = infer(volume, network)
    assert labels.unique().numel() == 3
    assert not torch.equal(infer(volume.transpose(2, 3), network).transpose(2, 3), labels)
    for axis in (2, 3, 4):
        assert not torch.equal(infer(volume.flip(axis), network).flip(axis), labels)


def test_slabs_go_to_the_slice_inferer_and_metadata_is_kept() -> None:
    infer = VolumeInferer(ExactInferer((8, 8), 4), 3)
    slab = torch.rand((1, 6, 9, 14))
    assert torch.equal(infer(slab, nn.Identity()), slab)
    volume = MetaTensor(torch.rand((1, 1, 9, 14, 3)), affine=torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0])))
    labels = infer(volume, nn.Identity())
    assert isinstance(labels, MetaTensor)
    assert torch.equal(labels.affine, volume.affine)
    assert torch.equal(PhaseLabelsd("pred")({"pred": labels[0]})["pred"], labels[0])


@pytest.mark.parametrize("slices", [0, 2, -1])
def test_a_slab_without_a_middle_is_refused(slices: int) -> None:
    with pytest.raises(ConfigError, match=rf"a slab of {slices} slices: .* odd"):
        VolumeInferer(SimpleInferer(), slices)
