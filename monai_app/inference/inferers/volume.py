"""Volumes given as one tensor, as MONAI Label gives them, segmented slice by slice."""

from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor

from monai_app.domain.slab import Slab
from monai_app.inference.inferers.exact import described_as
from monai_app.transforms import phase_labels


class VolumeInferer(Inferer):
    """Apply a network of slabs to every slice of a volume; slabs of single slices go to the slice inferer as they are.

    A volume has MONAI's axes, x before y; each slab is turned to (rows, columns) for the network and its labels are
    turned back. A volume gives labels instead of logits: the float32 logits of K phases would take 4 K bytes a voxel,
    the labels take one.

    Args:
        inferer: gives the logits (B, K, rows, columns) of slabs (B, S*C, rows, columns).
        slices: odd number S of consecutive slices in a slab.

    Raises:
        ConfigError: ``slices`` is not odd.

    Example:
        >>> volume = torch.rand(1, 2, 50, 37, 4)  # two detectors, 50 columns, 37 rows, 4 slices
        >>> from monai.inferers import SimpleInferer
        >>> VolumeInferer(SimpleInferer(), slices=3)(volume, torch.nn.Conv2d(6, 5, 1)).shape
        torch.Size([1, 1, 50, 37, 4])
    """

    def __init__(self, inferer: Inferer, slices: int) -> None:
        super().__init__()
        self.inferer = inferer
        self.slab = Slab(slices)

    def __call__(self, inputs: Tensor, network: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return the labels of a volume, or the logits of slabs.

        Args:
            inputs: (B, C, X, Y, Z), scaled, or slabs (B, S*C, rows, columns). A ``MetaTensor`` gives one with the same
                metadata.
            network: takes slabs, slice-major, and gives logits (B, K, rows, columns).
            args: given to the network with every slab.
            kwargs: likewise.

        Returns:
            Of a volume uint8 labels (B, 1, X, Y, Z), 1..K; of slabs what the slice inferer gives.

        Raises:
            ConfigError: see :class:`ExactInferer`.
        """
        if inputs.ndim != 5:
            logits: Tensor = self.inferer(inputs, network, *args, **kwargs)
            return logits
        volume = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        labels = torch.zeros((len(volume), 1, *volume.shape[2:]), dtype=torch.uint8, device=volume.device)
        for z in range(volume.shape[-1]):
            logits = self.inferer(slab_of(volume, z, self.slab), network, *args, **kwargs)
            labels[..., z] = torch.stack([phase_labels(each) for each in logits]).mT
        return described_as(inputs, labels)


def slab_of(volume: Tensor, z: int, slab: Slab) -> Tensor:
    """Return the slab around a slice of volumes (B, C, X, Y, Z), as ``Stack.read_slab`` would: (B, S*C, rows, columns).

    It is slice-major; at the ends of the volume the end slice is repeated. Rows are y, columns are x.
    """
    return torch.cat([volume[..., near].mT for near in slab.indices(z, volume.shape[-1])], dim=1)
