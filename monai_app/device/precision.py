"""Floating-point precision of a network."""

from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import torch

from monai_app.errors import ConfigError

Precision = Literal["float32", "bfloat16"]
"""``float32`` is exact up to its rounding; ``bfloat16`` keeps 8 bits of every value, and some labels become others."""


def checked_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return torch's type for a precision that the device computes in at full speed.

    Raises:
        ConfigError: an unknown precision, or one that is slower on the device than float32.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r}: must be one of {', '.join(get_args(Precision))}")
    if precision == "bfloat16" and not has_bfloat16(device):
        raise ConfigError(
            f"precision bfloat16: this {device.type} is slower with bfloat16 than with float32; leave it out"
        )
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def full_precision() -> AbstractContextManager[None]:
    """Let CUDA compute alike in every tile: float32 is TF32 of 10 bits else, and kernels are chosen by their speed."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device is faster in bfloat16 than in float32: CUDA since Ampere, CPUs with AMX, and AMD's since Zen 4.

    AVX-512 BF16 alone does not say so: a U-Net took 0.55 times as long as in float32 with AMD's, and 1.65 times as long
    with Intel's (docs/explanation/performance.md).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # The function is younger than the oldest torch that is allowed.
    features: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    of_amd = "AMD" in features.get("cpu_name", "")
    return bool(features.get("amx_bf16") or (features.get("avx512_bf16") and of_amd))
