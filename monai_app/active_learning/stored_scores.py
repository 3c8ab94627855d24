"""Scores of slices from the confidence map of a label image, without running a model."""

import numpy as np

from monai_app.active_learning.slice_scores import SliceScore, appearance
from monai_app.errors import StackError
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import LABELS, ResultArrays
from monai_app.stack.ngff import layout

_CONFIDENCE = "confidence"


def stored_scores(stack: Stack, labels: str) -> dict[int, SliceScore]:
    """Score the slices of a label image by its smallest level.

    Args:
        stack: the stack.
        labels: the name of a label image with confidence.

    Returns:
        z -> score, of every slice with labels; its uncertainty is the mean of 1 - confidence.

    Raises:
        StackError: there is no such label image, or it was written without confidence.
    """
    zs = stack.label_slices(labels)
    arrays = ResultArrays.open(stack.path / layout.LABELS / labels)
    if _CONFIDENCE not in arrays.levels:
        raise StackError(
            f"label image {labels!r} of {stack.path.name} was written without confidence, so the uncertainty of its "
            "model is unknown; segment again with --confidence"
        )
    found, sure = (arrays.levels[name][-1] for name in (LABELS, _CONFIDENCE))
    scores = {}
    for z in zs:
        plane = layout.read(found, (z, slice(None), slice(None)))
        labelled = plane > 0
        if labelled.any():
            fractions = np.bincount(plane[labelled], minlength=arrays.phases + 1)[1:] / labelled.sum()
            unsure = 1 - layout.read(sure, (z, slice(None), slice(None)))[labelled].mean() / 255
            look = appearance(stack.read_overview(z, stack.detectors))
            scores[z] = SliceScore(z, look, tuple(fractions.tolist()), float(unsure))
    return scores


def most_uncertain(stack: Stack, labels: str) -> list[SliceScore]:
    """Rank the slices without annotation by decreasing uncertainty of the model.

    Raises:
        StackError: see `stored_scores`.
    """
    scores = [score for z, score in stored_scores(stack, labels).items() if z not in stack.roles]
    return sorted(scores, key=lambda score: -(score.uncertainty or 0))
