"""Memory of the host and of GPUs: held and free bytes, and errors if it is full."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from monai_app.errors import ConfigError, causes

_STATUS = Path("/proc/self/status")

_FULL = ("out of memory", "ALLOC_FAILED")
"""Parts of error messages if a device's memory is full; the second is that of cuBLAS and cuDNN."""


def held_bytes() -> int:
    """Return the bytes of the host's memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most bytes of the host's memory that this process has held; on other systems than Linux, holds now."""
    # Not getrusage's ru_maxrss, which a process inherits from the one that started it.
    status = _STATUS.read_text(encoding="utf8") if _STATUS.is_file() else ""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return held_bytes() if found is None else int(found[1]) * 1024


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
        if not _is_full(error):
            raise
        raise ConfigError(
            f"the memory of {device} is full ({str(error).splitlines()[0]}); give a smaller tile (--tile ROWS,COLUMNS) "
            "or close other programs on the device"
        ) from error


def training_full(error: BaseException) -> ConfigError | None:
    """Return the error for a GPU whose memory was exhausted by training; None for other errors."""
    full = next((each for each in causes(error) if isinstance(each, RuntimeError) and _is_full(each)), None)
    if full is None:
        return None
    return ConfigError(
        f"the GPU's memory is full ({str(full).splitlines()[0]}); train with a lower batch_size or crop "
        "(--set batch_size=4), compute on the CPU (--device cpu), or close other programs on the GPU"
    )


def _is_full(error: RuntimeError) -> bool:
    return any(sign in str(error) for sign in _FULL)
