"""The loss that the bundles train with."""

from monai.losses import DiceLoss
from torch import nn

from monai_app.training import LabelledPixels


def bundle_loss(dice_weight: float = 1.0) -> LabelledPixels:
    """Return cross-entropy plus Dice, as configs/base/train.yaml has them; a test holds the two equal."""
    dice = DiceLoss(softmax=True, to_onehot_y=True, batch=True, ignore_index=-1)
    return LabelledPixels([nn.CrossEntropyLoss(ignore_index=-1), dice], [1.0, dice_weight])
