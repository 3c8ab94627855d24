"""Clipping of gradients."""

from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from monai_app.errors import ConfigError


def clip_gradients(optimizer: Optimizer, max_norm: float) -> None:
    """Clip the gradient norm before every step of an optimiser.

    The norm is that of all its parameters' gradients together (Pascanu et al. 2013, arXiv 1211.5063). It happens inside
    the step, when the loss scaling of mixed precision has been taken out.

    Args:
        optimizer: the optimiser; on a GPU, or with loss scaling, not a fused one, which takes the scaling out itself,
            after the clipping.
        max_norm: the norm to which longer gradients are scaled down; 0 disables clipping.

    Raises:
        ConfigError: a norm that is negative or no number, or a fused optimiser on a GPU; in its first step one whose
            loss is scaled.
    """
    if not max_norm >= 0:
        raise ConfigError(f"max_gradient_norm {max_norm}: must be 0 (no clipping) or above")
    if not max_norm:
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    refused = ConfigError(
        f"max_gradient_norm {max_norm} and a fused optimiser: it would clip before the loss scaling "
        "is taken out; leave optimizer::fused out"
    )
    if optimizer.defaults.get("fused") and weights[0].is_cuda:
        raise refused

    def clip(*_: Any) -> None:
        if getattr(optimizer, "grad_scale", None) is not None:  # torch's scaler leaves it to a fused optimiser
            raise refused
        clip_grad_norm_(weights, max_norm)

    optimizer.register_step_pre_hook(clip)
