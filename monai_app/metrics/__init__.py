"""Scores of a segmentation: from one confusion matrix over all labelled pixels, and from the positions of errors."""

from monai_app.metrics.blocks import Blocks, Counts, confusion_blocks, shared_blocks
from monai_app.metrics.bootstrap import Interval, block_interval
from monai_app.metrics.boundary import Overlap, boundary_overlap
from monai_app.metrics.confusion import count_pixels, labelled_pairs, mean_iou_metric, phase_confusion
from monai_app.metrics.intervals import score_intervals
from monai_app.metrics.score_files import Document, Part, read_scores, without_nan, write_scores
from monai_app.metrics.scores import PhaseScore, Scores, mean_iou, score, spread
from monai_app.metrics.strata import Stratum, error_by_strength
from monai_app.metrics.surface import SurfaceDistance, surface_distances

__all__ = [
    "Blocks",
    "Counts",
    "Document",
    "Interval",
    "Overlap",
    "Part",
    "PhaseScore",
    "Scores",
    "Stratum",
    "SurfaceDistance",
    "block_interval",
    "boundary_overlap",
    "confusion_blocks",
    "count_pixels",
    "error_by_strength",
    "labelled_pairs",
    "mean_iou",
    "mean_iou_metric",
    "phase_confusion",
    "read_scores",
    "score",
    "score_intervals",
    "shared_blocks",
    "spread",
    "surface_distances",
    "without_nan",
    "write_scores",
]
