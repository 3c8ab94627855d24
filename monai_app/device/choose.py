"""Choosing the device to compute on by name."""

import torch

from monai_app.errors import ConfigError


def chosen_device(name: str = "auto") -> torch.device:
    """Return the device with a name.

    Args:
        name: ``"auto"`` (the GPU if there is one, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ConfigError: this machine has no such device.
    """
    gpus = torch.cuda.device_count()
    known = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    if name not in known:
        raise ConfigError(
            f"device {name[:120]!r} does not exist on this machine; choose one of auto, {', '.join(known)}"
        )
    return torch.device(name)
