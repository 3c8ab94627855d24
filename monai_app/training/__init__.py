"""Extensions of MONAI's engines for training and evaluation: split, loss, checkpoints and handlers."""

from monai_app.training.averaging import RunningAverage
from monai_app.training.calibration import FitTemperature
from monai_app.training.checkpoints import BestModel, LoadWeights, ResumeCheckpoint
from monai_app.training.evaluation import ScoreWriter
from monai_app.training.fingerprint import fingerprint, identities
from monai_app.training.global_batch import GatheredLoss, SharedBatchNorm2d, share_norms
from monai_app.training.gradients import clip_gradients
from monai_app.training.handlers import (
    EpochProgress,
    FiniteLoss,
    PhaseCurves,
    SameStack,
    Stats,
    TrainingCurves,
    ValidationPictures,
)
from monai_app.training.length.pace import Pace
from monai_app.training.length.progress import TrainingProgress, is_finished, training_progress
from monai_app.training.losses import LabelledPixels
from monai_app.training.processes import Group, distribute, join_processes, leave_processes, share_of
from monai_app.training.seeding import AheadLoader, SeedEachEpoch, SeededDataset
from monai_app.training.split import BlockSplit, StackSplits, split_blocks, split_stack, split_stacks

__all__ = [
    "AheadLoader",
    "BestModel",
    "BlockSplit",
    "EpochProgress",
    "FiniteLoss",
    "FitTemperature",
    "GatheredLoss",
    "Group",
    "LabelledPixels",
    "LoadWeights",
    "Pace",
    "PhaseCurves",
    "ResumeCheckpoint",
    "RunningAverage",
    "SameStack",
    "ScoreWriter",
    "SeedEachEpoch",
    "SeededDataset",
    "SharedBatchNorm2d",
    "StackSplits",
    "Stats",
    "TrainingCurves",
    "TrainingProgress",
    "ValidationPictures",
    "clip_gradients",
    "distribute",
    "fingerprint",
    "identities",
    "is_finished",
    "join_processes",
    "leave_processes",
    "share_norms",
    "share_of",
    "split_blocks",
    "split_stack",
    "split_stacks",
    "training_progress",
]
