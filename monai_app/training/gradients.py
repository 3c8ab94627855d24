"""Gradients on their way into an optimiser."""

from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


def clip_gradients(optimizer: Optimizer, max_norm: float) -> None:
    """Shorten gradients before every step of an optimiser.

    The norm is that of all its parameters' gradients together (Pascanu et al. 2013, arXiv 1211.5063). It happens inside
    the step, when the loss scaling of mixed precision has already been taken out.

    Args:
        optimizer: the optimiser.
        max_norm: the norm that longer gradients are shortened to; 0 leaves all as they are.
    """
    if not max_norm:
        return

    def clip(stepping: Optimizer, *_: Any) -> None:
        clip_grad_norm_([weight for group in stepping.param_groups for weight in group["params"]], max_norm)

    optimizer.register_step_pre_hook(clip)
