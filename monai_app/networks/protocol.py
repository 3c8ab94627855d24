"""Networks of slabs as functions of single slices with several targets, so that shared work is done once.

Slabs of consecutive targets overlap::

    images    0   1   2   3   4        T + S - 1 of them (here T = 3 targets, slabs of S = 3 slices)
    target 0  [---m---]                m: the middle slice, whose phases are wanted
    target 1      [---m---]
    target 2          [---m---]
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError


class SequenceNetwork(nn.Module, ABC):
    """A network of slabs of S slices, an odd number, as a function of consecutive slices with T targets.

    Raises:
        ConfigError: a number out of range.
    """

    def __init__(self, slices: int, targets: int) -> None:
        super().__init__()
        Slab(slices)  # refuses a number without a middle slice
        if targets < 1:
            raise ConfigError(f"targets {targets}: must be 1 or more")
        self.slices, self.targets = slices, targets

    @abstractmethod
    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of every target.

        Args:
            images: T + S - 1 consecutive slices (1, C, H, W), the end slice of a stack repeated where a slab reaches
                beyond it; H and W are multiples of the network's stride.

        Returns:
            T tensors (1, K, H, W); target t is the slice ``images[t + S // 2]``.

        Raises:
            ValueError: another number of images.
        """

    def _check(self, images: Sequence[Tensor]) -> None:
        needed = self.targets + self.slices - 1
        if len(images) != needed:
            raise ValueError(
                f"{len(images)} images: {self.targets} targets with slabs of {self.slices} slices take {needed}; "
                "repeat the end slice where a slab reaches beyond the stack"
            )


@runtime_checkable
class SharesWork(Protocol):
    """A network of slabs for which several targets of one call cost less than as many calls."""

    @property
    def slices(self) -> int:
        """Slices S in the slab, odd."""

    def sequence(self, targets: int) -> SequenceNetwork:
        """Return the network as a function of ``targets`` + S - 1 consecutive slices.

        Every operation must take a row of its result from a few rows of its arguments, and none may ask for the size of
        an image, so that it can be streamed. Weights that change later need not be followed.

        Raises:
            ConfigError: fewer than one target.
        """


class SlabSequence(SequenceNetwork):
    """Any network of slabs, called once a target: it may mix the slices at once, so nothing is shared.

    Args and errors are those of :class:`SequenceNetwork`; the network takes (1, S*C, H, W), slice-major.
    """

    def __init__(self, network: nn.Module, slices: int, targets: int) -> None:
        super().__init__(slices, targets)
        self.network = network

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`SequenceNetwork.forward`."""
        self._check(images)
        slabs = [images[target : target + self.slices] for target in range(self.targets)]
        return tuple(self.network(torch.cat(slab, 1)) for slab in slabs)


def as_sequence(network: nn.Module, slices: int, targets: int) -> SequenceNetwork:
    """Make a network of slabs a function of single slices with several targets, saving what can be saved.

    Args:
        network: takes (1, S*C, H, W), slice-major, and gives logits (1, K, H, W) of the middle slice; in evaluation
            mode, with the weights to be used.
        slices: slices S in the slab, odd.
        targets: consecutive targets T of a call.

    Raises:
        ConfigError: a number out of range or unlike the network's, or a network in training mode.
    """
    if any(module.training for module in network.modules()):
        raise ConfigError("a network in training mode: segmenting needs its evaluation mode; call eval() on it first")
    if not isinstance(network, SharesWork):
        return SlabSequence(network, slices, targets).eval()
    if slices != network.slices:
        raise ConfigError(f"slices {slices}: this network was built for slabs of {network.slices}; give that number")
    return network.sequence(targets).eval()
