"""What two processes do for test_global_batch.py: compare their gradients with those of the whole batch."""

import copy
import os
import sys

import torch
from ignite.distributed import all_reduce
from monai.data import MetaTensor
from monai.networks.nets import BasicUNet
from torch import Tensor, nn
from torch.distributed.elastic.utils.distributed import get_free_port

from monai_app.networks import Sensor3D
from monai_app.training import GatheredLoss, Group, distribute, join_processes, leave_processes, share_norms
from tests.training.loss import bundle_loss


def networks() -> dict[str, nn.Module]:
    """Tiny networks of both bundles, in double precision: what is left of a difference is not a rounding."""
    torch.manual_seed(0)
    unet = BasicUNet(2, 6, 3, (4, 4, 8, 8, 8, 4), norm="batch", upsample="deconv")
    return {
        "unet": unet.double(),
        "sensor3d": Sensor3D(2, 3, filters=4, norm="batch").double(),
        "sensor3d plain": Sensor3D(2, 3, filters=4).double(),
        "sensor3d of a slice": Sensor3D(6, 3, slices=1, filters=4).double(),  # recurrent kernels get no gradient
    }


def train_step(network: nn.Module, loss: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Two passes, so that running statistics move twice; gradients are those of the second."""
    for _ in range(2):
        network.train().zero_grad()
        value = loss(network(images), labels)
        value.backward()
    return float(value.detach())


def distance(name: str, left_out: str, group: Group) -> float:
    """How far loss, gradients and buffers of any process are from those of one process with the whole batch.

    Args:
        name: of the network.
        left_out: "loss" or "norms" are left to the parts; "nothing" is what is shipped.
        group: the processes.
    """
    torch.manual_seed(1)
    images = torch.randn(4, 6, 32, 32, dtype=torch.float64)
    labels = torch.randint(0, 4, (4, 1, 32, 32), dtype=torch.uint8)
    labels[0, :, :24] = 0  # the processes hold different numbers of labelled pixels
    mine = slice(2 * group.rank, 2 * group.rank + 2)
    alone = networks()[name]
    network = copy.deepcopy(alone) if left_out == "norms" else share_norms(copy.deepcopy(alone), group.device)
    loss = bundle_loss() if left_out == "loss" else GatheredLoss(bundle_loss())
    shared = train_step(distribute(network), loss, MetaTensor(images[mine]), labels[mine])
    differences = [torch.tensor(shared - train_step(alone, bundle_loss(), images, labels))]
    for one, other in zip(network.parameters(), alone.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)  # an optimiser leaves alone what has none
        if one.grad is not None and other.grad is not None:
            differences.append(one.grad - other.grad)
    differences += [one - other for one, other in zip(network.buffers(), alone.buffers(), strict=True)]
    return float(all_reduce(max(float(difference.abs().max()) for difference in differences), "MAX"))


def fork() -> int:
    """Become two processes, as torchrun would start them, and return the rank of this one."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(get_free_port()), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    rank = 1 if os.fork() == 0 else 0
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    return rank


def main() -> None:
    """Print the distances for what is named on the command line."""
    rank = fork()
    compare(join_processes(), sys.argv[1:])
    if rank == 0 and os.waitstatus_to_exitcode(os.wait()[1]) != 0:
        raise SystemExit("the other process failed")


def compare(group: Group, parts: list[str]) -> None:
    for left_out in parts:
        for name in networks():
            far = distance(name, left_out, group)
            if group.rank == 0:
                print(f"{left_out} left out, {name}: {far:.3g}")
    leave_processes()


if __name__ == "__main__":
    main()
