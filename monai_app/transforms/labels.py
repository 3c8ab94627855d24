"""Conversion of logits to phase labels, and of labels (1..K, 0 unlabelled) to class indices (0..K-1)."""

import torch

IGNORED = -1
"""Class index of unlabelled pixels."""


def phase_labels(logits: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Return the most likely phase of every pixel: logits (K, H, W) become labels (1, H, W) uint8, 1..K.

    Args:
        logits: or anything that is the greatest for the most likely phase.
        dim: the axis of the phases, which stays with length 1.
    """
    return (logits.argmax(dim=dim, keepdim=True) + 1).to(torch.uint8)


def class_indices(labels: torch.Tensor) -> torch.Tensor:
    """Return the class index of every pixel, int64: labels 1..K become 0..K-1, unlabelled ones `IGNORED`."""
    return labels.long() + IGNORED
