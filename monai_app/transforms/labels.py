"""Conversion of logits to phase labels, and of labels (1..K, 0 unlabelled) to class indices (0..K-1)."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform

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


class PhaseLabelsd(MapTransform):
    """Replace logits (K, H, W) by phase labels, see :func:`phase_labels`.

    Labels, uint8, are left as they are: a volume comes as such from its inferer.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with labels in place of logits."""
        item = dict(data)
        for key in self.key_iterator(item):
            if item[key].is_floating_point():
                item[key] = phase_labels(item[key])
        return item
