"""Agreement of the boundaries between phases, in pixels."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

Labels = npt.NDArray[np.uint8]
"""(rows, columns), 0 unlabelled, 1..K."""


class Overlap(NamedTuple):
    """Pixels that the bands of a phase have in common, and pixels that are in either: (K,) int64 each."""

    intersection: npt.NDArray[np.int64]
    union: npt.NDArray[np.int64]


def boundary_overlap(true: Labels, predicted: Labels, phases: int, width: int) -> Overlap:
    """Count the pixels of the bands along the boundaries of each phase; their ratio is the Boundary IoU.

    The band of a phase holds its pixels that have another phase at most ``width`` pixels away, by row or by column,
    in the annotation and in the prediction each by its own boundaries (Cheng et al. 2021, doi
    10.1109/CVPR46437.2021.01508). Unlabelled pixels are in no band, and neither they nor the edges of the slice are a
    boundary.

    Args:
        true: annotation (rows, columns), 0 unlabelled, 1..K.
        predicted: labels (rows, columns), 1..K.
        phases: number of phases K.
        width: of the band, in pixels.

    Example:
        >>> true = np.array([[1, 1, 1, 2, 2, 2]], np.uint8)
        >>> boundary_overlap(true, np.array([[1, 1, 2, 2, 2, 2]], np.uint8), 2, 1)
        Overlap(intersection=array([0, 0]), union=array([2, 2]))
    """
    seen = predicted * (true > 0)
    of_true, of_predicted = (np.where(_near_another(labels, width), labels, 0) for labels in (true, seen))
    both = np.where(of_true == of_predicted, of_true, 0)
    counts, others, common = (_count(labels, phases) for labels in (of_true, of_predicted, both))
    return Overlap(common, counts + others - common)


def _near_another(labels: Labels, width: int) -> npt.NDArray[np.bool_]:
    """Where another phase is at most ``width`` pixels away."""
    highest = maximum_filter(labels, 2 * width + 1, mode="nearest")
    lowest = minimum_filter(np.where(labels > 0, labels, 255), 2 * width + 1, mode="nearest")
    near: npt.NDArray[np.bool_] = (highest != lowest) & (labels > 0)
    return near


def _count(labels: Labels, phases: int) -> npt.NDArray[np.int64]:
    return np.array([np.count_nonzero(labels == value) for value in range(1, phases + 1)])
