"""The arithmetic a network runs in."""

from typing import Literal, get_args

import torch

from monai_app.errors import ConfigError

Precision = Literal["float32", "bfloat16"]
"""``float32`` is exact up to its rounding; ``bfloat16`` keeps 8 bits of every value, and some labels become others."""


def checked_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return torch's type for a precision that the device computes in at full speed.

    Raises:
        ConfigError: an unknown precision, or one that the device can only imitate, which is slower than float32.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r}: must be one of {', '.join(get_args(Precision))}")
    if precision == "bfloat16" and not has_bfloat16(device):
        raise ConfigError(
            f"precision bfloat16: this {device.type} has no instructions for it and would be slower than with float32; "
            "leave it out"
        )
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; on a CPU that is AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    features: dict[str, bool] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # younger than the oldest torch that is allowed
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
