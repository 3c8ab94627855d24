"""Loss and normalisation over a complete batch whose parts are in several processes.

Averaging the losses of the parts, as DistributedDataParallel does, would change the objective: the mean over labelled
pixels is not a mean of means, Dice is a ratio of sums, and batch statistics of a part are noisier.
"""

from typing import Any

import torch
from ignite.distributed import get_rank, get_world_size
from torch import Tensor, distributed, nn
from torch.autograd import Function


class GatheredLoss(nn.Module):
    """The loss of a complete batch, computed from each process's part.

    Args:
        loss: takes predictions (B, ...) and targets (B, ...) and gives a scalar.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss of the complete batch, which is the same in all processes.

        Args:
            prediction: (B / N, ...) of this process, one of N.
            target: (B / N, ...).
        """
        parts = (_plain(prediction), _plain(target))
        loss: Tensor = self.loss(*(_GatherBatch.apply(part) for part in parts))
        return loss


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the complete batch, for processes on CPUs.

    ``torch.nn.SyncBatchNorm`` does that on GPUs only. All processes have parts of equal size. In evaluation mode and in
    one process it is its parent; weights have the same names.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (B / N, C, H, W)."""
        if not self.training or get_world_size() == 1:
            return super().forward(images)
        images = _plain(images)
        values = images.numel() // images.shape[1] * get_world_size()
        mean = _SumOverProcesses.apply(images.sum((0, 2, 3))) / values
        centred = images - mean[:, None, None]
        # Squares of what is centred: the difference of two large sums would cancel.
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / values
        self._follow(mean.detach(), variance.detach() * (values / (values - 1)))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards the batch's, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def share_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """Replace a network's batch normalisations by ones over the complete batch of all processes.

    Args:
        network: changed in place; the names of its weights stay.
        device: what it will compute on.
    """
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            # Only the way forward differs, so weights, statistics and settings stay where they are.
            module.__class__ = SharedBatchNorm2d
    return network


def _plain(tensor: Tensor) -> Tensor:
    """Take MONAI's metadata off."""
    return tensor.as_subclass(Tensor)


class _GatherBatch(Function):
    """Join the parts (B / N, ...) of all processes into (B, ...), in the order of ranks."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        part = part.contiguous()
        parts = [torch.empty_like(part) for _ in range(get_world_size())]
        distributed.all_gather(parts, part)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # The parts went into the loss of every process, so their gradient is the sum over the processes. These compute
        # the same loss of the same batch: the sum is N times our own, without talking. DistributedDataParallel divides
        # by N, which leaves the gradient of one process with the whole batch.
        mine = gradient.chunk(get_world_size())[get_rank()]
        return mine * get_world_size()


class _SumOverProcesses(Function):
    """Sum a tensor over all processes, which all get the sum; gradients are summed likewise."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total
