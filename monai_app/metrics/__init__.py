"""Scores of a segmentation: from one confusion matrix over all labelled pixels, and from where the errors lie."""

from monai_app.metrics.confusion import count_pixels, labelled_pairs, mean_iou_metric, phase_confusion
from monai_app.metrics.score_files import Document, Part, read_scores, write_scores
from monai_app.metrics.scores import PhaseScore, Scores, mean_iou, score

__all__ = [
    "Document",
    "Part",
    "PhaseScore",
    "Scores",
    "count_pixels",
    "labelled_pairs",
    "mean_iou",
    "mean_iou_metric",
    "phase_confusion",
    "read_scores",
    "score",
    "write_scores",
]
