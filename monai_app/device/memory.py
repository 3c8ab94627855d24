"""Memory of the host and of GPUs: held and free bytes, and errors if it is full."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from monai_app.errors import ConfigError


def held_bytes() -> int:
    """Return the bytes of the host's memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def free_bytes(device: torch.device) -> int:
    """Return the bytes that the process can still get: on CUDA the device's memory, else the host's."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # freed, but kept by torch
    return int(torch.cuda.mem_get_info(device)[0]) + unused


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Run work on a device.

    Raises:
        ConfigError: the device's memory is full.
    """
    try:
        yield
    except RuntimeError as error:  # torch's own kind is not raised where CUDA itself fails
        if "out of memory" not in str(error):
            raise
        raise ConfigError(
            f"the memory of {device} is full ({str(error).splitlines()[0]}); give a smaller tile (--tile ROWS,COLUMNS) "
            "or close other programs on the device"
        ) from error
