"""Agreement of labels with annotations: per slice, and pooled from one confusion matrix."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError
from monai_app.metrics import Scores, count_pixels, mean_iou, score
from monai_app.stack import Phase

Labels = npt.NDArray[np.uint8]
"""(rows, columns): 0 unlabelled, 1..K the phases."""


@dataclass(frozen=True)
class SliceAgreement:
    """Agreement of the labels of one slice with its annotation.

    Attributes:
        z: the slice.
        labelled: annotated pixels.
        mean_iou: mean IoU over the annotated phases; ``nan`` if nothing is annotated.
        pixel_accuracy: share of correct pixels among the annotated ones; ``nan`` if nothing is annotated.
    """

    z: int
    labelled: int
    mean_iou: float
    pixel_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; undefined values become None."""
        return {name: None if isnan(value) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Agreement:
    """Agreement of labels with annotations.

    Attributes:
        slices: every slice, in the order given.
        mean_iou: mean IoU over the annotated phases, pooled over the pixels of all slices.
        total: all other scores of the same pixels.
    """

    slices: tuple[SliceAgreement, ...]
    mean_iou: float
    total: Scores


def score_agreement(slices: Iterable[tuple[int, Labels, Labels]], phases: Sequence[Phase]) -> Agreement:
    """Score labels against annotations.

    Args:
        slices: z, annotation and predicted labels of every slice, consumed one at a time.
        phases: the K phases.

    Raises:
        AnnotationError: different shapes, values above K, or a pixel that is annotated and has no predicted label.
    """
    names, total, rows = [phase.name for phase in phases], np.zeros((len(phases), len(phases)), np.int64), []
    for z, annotation, predicted in slices:
        counts = _confusion(z, annotation, predicted, len(phases))
        total += counts
        accuracy = score(counts, names).pixel_accuracy
        rows.append(SliceAgreement(z, int(counts.sum()), mean_iou(counts, annotated_only=True), accuracy))
    return Agreement(tuple(rows), mean_iou(total, annotated_only=True), score(total, names))


def _confusion(z: int, annotation: Labels, predicted: Labels, phases: int) -> npt.NDArray[np.int64]:
    """Count the annotated pixels of a slice, (K, K), [true][predicted]."""
    if annotation.shape != predicted.shape:
        raise AnnotationError(
            f"slice {z}: labels of shape {predicted.shape} do not fit an annotation of {annotation.shape}; give the "
            "same slice"
        )
    labelled = annotation > 0
    for name, values in (("annotation", annotation[labelled]), ("labels", predicted[labelled])):
        if values.size and not 1 <= values.min() <= values.max() <= phases:
            raise AnnotationError(
                f"slice {z}: {name} with values {values.min()} to {values.max()} where pixels are annotated: must be "
                f"phases, 1 to {phases}; give labels of the same phases"
            )
    return count_pixels(annotation, predicted, phases)
