"""Peak memory of a network that runs on complete tiles, measured on a small image."""

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_SIDE = 8
"""Side of the image that it runs on, in strides."""


def count_maps(network: nn.Module, channels: int, stride: int) -> int:
    """Return the values per pixel that a network holds at its peak, its input included.

    What its libraries need beside tensors is not seen, and of a network that does not run in torch only what goes in
    and comes out.

    Args:
        network: takes images (1, channels, H, W), in evaluation mode.
        channels: S*C, slices in the slab times detectors.
        stride: the network's, in pixels.
    """
    weight = next(network.parameters(), torch.empty(0))
    side = _SIDE * stride
    counter = _Counter()
    with torch.no_grad(), counter:
        network(torch.zeros((1, channels, side, side), dtype=weight.dtype, device=weight.device))
    return ceil(counter.peak / (side * side * weight.element_size()))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are alive after every operation; views share one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load the compiler unnecessarily

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_storage(value) for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)}
        results = func(*args, **(kwargs or {}))
        self._alive = {key: (ref, size) for key, (ref, size) in self._alive.items() if not ref.expired()}  # type: ignore[no-untyped-call]
        for value in tree_iter(results):
            if isinstance(value, Tensor) and (_storage(value) not in given or _storage(value) in self._alive):
                storage = value.untyped_storage()
                self._alive[_storage(value)] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return results


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
