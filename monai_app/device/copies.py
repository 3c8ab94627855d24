"""Copies from the host to a device, on CUDA in a separate stream, ahead of the computation; and synchronisation."""

from collections.abc import Iterator

import torch
from torch import Tensor


def finish(device: torch.device) -> None:
    """Wait until a device has finished its work; CUDA computes asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Copies:
    """Copies tensors to a device.

    Args:
        device: where they go; CUDA from pinned memory, while it computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def copy(self, values: Tensor) -> Tensor:
        """Copy a tensor of the host."""
        if self._side is None:
            return values.to(self._device)
        return values.pin_memory().to(self._device, non_blocking=True)

    def ahead(self, batches: Iterator[list[Tensor]]) -> Iterator[list[Tensor]]:
        """Give batches made with :meth:`copy`, on CUDA each while the one before it is computed with."""
        if self._side is None:
            yield from batches
            return
        main = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._side):
            following = next(batches, None)
        while following is not None:
            main.wait_stream(self._side)
            given = following
            for values in given:
                values.record_stream(main)  # its memory is not used again before the computation is through with it
            with torch.cuda.stream(self._side):
                following = next(batches, None)
            yield given
