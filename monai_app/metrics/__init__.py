"""Scores from one confusion matrix accumulated over all labelled pixels."""

from monai_app.metrics.confusion import item_confusion, labelled_pairs, mean_iou_metric, phase_confusion
from monai_app.metrics.scores import Part, PhaseScore, Scores, mean_iou, score, write_scores

__all__ = [
    "Part",
    "PhaseScore",
    "Scores",
    "item_confusion",
    "labelled_pairs",
    "mean_iou",
    "mean_iou_metric",
    "phase_confusion",
    "score",
    "write_scores",
]
