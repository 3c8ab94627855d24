"""What each of two processes does in test_global_batch.py: compare its gradients with those of the whole batch."""

import copy
import sys

import torch
from ignite.distributed import all_reduce
from monai.data import MetaTensor
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from monai_app.networks import Sensor3D
from monai_app.training import GatheredLoss, PhaseLoss, distribute, join_processes, leave_processes, share_norms


def networks() -> dict[str, nn.Module]:
    """Tiny networks of both bundles, in double precision: what is left of a difference is no rounding."""
    torch.manual_seed(0)
    unet = BasicUNet(2, 6, 3, (4, 4, 8, 8, 8, 4), norm="batch", upsample="deconv")
    return {
        "unet": unet.double(),
        "sensor3d": Sensor3D(2, 3, filters=4, norm="batch").double(),
        "sensor3d plain": Sensor3D(2, 3, filters=4).double(),
    }


def train_step(network: nn.Module, loss: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Two passes, so that running statistics move twice; gradients are those of the second."""
    for _ in range(2):
        network.train().zero_grad()
        value = loss(network(images), labels)
        value.backward()
    return float(value.detach())


def main(without: str) -> None:
    """Print how far loss, gradients and buffers are from those of one process; leave a part out to see it matter."""
    group = join_processes()
    torch.manual_seed(1)
    images = torch.randn(4, 6, 32, 32, dtype=torch.float64)
    labels = torch.randint(0, 4, (4, 1, 32, 32), dtype=torch.uint8)
    labels[0, :, :24] = 0  # the processes hold different numbers of labelled pixels
    mine = slice(2 * group.rank, 2 * group.rank + 2)
    for name, alone in networks().items():
        network = copy.deepcopy(alone)
        if without != "norms":
            network = share_norms(network, group.device)
        loss = PhaseLoss() if without == "loss" else GatheredLoss(PhaseLoss())
        shared = train_step(distribute(network), loss, MetaTensor(images[mine]), labels[mine])
        far = abs(shared - train_step(alone, PhaseLoss(), images, labels))
        assert list(network.state_dict()) == list(alone.state_dict())
        for one, other in zip(network.parameters(), alone.parameters(), strict=True):
            far = max(far, float((one.grad - other.grad).abs().max()))
        for one, other in zip(network.buffers(), alone.buffers(), strict=True):
            far = max(far, float((one - other).abs().max()))
        far = float(all_reduce(far, "MAX"))
        if group.rank == 0:
            print(f"{name}: {far:.3g}")
    leave_processes()


if __name__ == "__main__":
    main(sys.argv[1])
