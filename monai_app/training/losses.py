"""The training loss."""

import torch
from monai.losses import DiceLoss
from torch import nn

from monai_app.errors import ConfigError
from monai_app.transforms import IGNORED, class_indices


class PhaseLoss(nn.Module):
    """Dice plus cross-entropy over the labelled pixels only.

    Cross-entropy gives steady gradients for every pixel; Dice weighs each phase alike, however small its area (Isensee
    et al. 2021, Nat. Methods 18:203, doi 10.1038/s41592-020-01008-z, use the same sum). The Dice sums run over the
    whole batch, so a phase counts as missed only if no crop of the batch shows it and pixels are predicted as it.

    Args:
        dice_weight: weight of the Dice term beside the cross-entropy's 1.
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self.dice = DiceLoss(softmax=True, to_onehot_y=True, batch=True, ignore_index=IGNORED)
        self.cross_entropy = nn.CrossEntropyLoss(ignore_index=IGNORED, reduction="sum")

    def forward(self, logits: torch.Tensor, annotation: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss.

        Args:
            logits: (B, K, H, W), or (B, K, S, H, W) from a network that is supervised on every slice of its slab.
            annotation: (B, 1, H, W) or (B, S, H, W), 0 unlabelled, 1..K the phases.

        Raises:
            ConfigError: logits of S slices and an annotation of another number of slices.
        """
        target = class_indices(torch.as_tensor(annotation))
        if logits.ndim == 5:  # slices become images of their own
            if logits.shape[2] != target.shape[1]:
                raise ConfigError(
                    f"logits of {logits.shape[2]} slices and annotations of {target.shape[1]}: head 'all' learns from "
                    "annotations of every slice of the slab; choose head 'final' or 'middle' where there is one"
                )
            logits, target = logits.transpose(1, 2).flatten(0, 1), target.flatten(0, 1).unsqueeze(1)
        labelled = (target != IGNORED).sum().clamp(min=1)  # the mean of no pixel would be NaN
        cross_entropy: torch.Tensor = self.cross_entropy(logits, target[:, 0]) / labelled
        dice: torch.Tensor = self.dice(logits, target)
        return cross_entropy + self.dice_weight * dice
