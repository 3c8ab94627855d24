from .averaging import RunningAverage
from .calibration import FitTemperature
from .checkpoints import BestModel, LoadWeights, ResumeCheckpoint
from .evaluation import ScoreWriter
from .fingerprints import fingerprint, identities
from .global_batch import GatheredLoss, SharedBatchNorm2d, share_norms
from .gradients import clip_gradients
from .handlers import (
    EpochProgress,
    FiniteLoss,
    PhaseCurves,
    SameStack,
    Stats,
    TrainingCurves,
    ValidationPictures,
)
from .length.pace import Pace
from .length.progress import TrainingProgress, is_finished, training_progress
from .losses import LabelledPixels
from .processes import Group, distribute, join_processes, leave_processes, share_of
from .seeding import AheadLoader, SeedEachEpoch, SeededDataset
from .split import BlockSplit, StackSplits, split_blocks, split_stack, split_stacks

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
