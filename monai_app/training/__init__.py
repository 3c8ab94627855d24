"""What training and evaluation add to MONAI's engines: the split, the loss, checkpoints and handlers."""

from monai_app.training.checkpoints import BestModel, ResumeCheckpoint
from monai_app.training.evaluation import ScoreWriter
from monai_app.training.gradients import clip_gradients
from monai_app.training.handlers import EpochProgress, SeedEachEpoch, ValidationPictures
from monai_app.training.losses import PhaseLoss
from monai_app.training.split import BlockSplit, split_blocks, split_stack

__all__ = [
    "BestModel",
    "BlockSplit",
    "EpochProgress",
    "PhaseLoss",
    "ResumeCheckpoint",
    "ScoreWriter",
    "SeedEachEpoch",
    "ValidationPictures",
    "clip_gradients",
    "split_blocks",
    "split_stack",
]
