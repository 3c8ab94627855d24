"""Distances between the predicted and the annotated surface of a phase."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from monai_app.metrics.boundary import Labels


class SurfaceDistance(NamedTuple):
    """Distances between two surfaces, in the unit of the pixel size; ``nan`` if one of them is absent.

    Attributes:
        mean: over the pixels of both surfaces, each to the nearest one of the other.
        hausdorff95: the 95th percentile of these distances, of the surface for which it is greater.
        pixels: of both surfaces together.
    """

    mean: float
    hausdorff95: float
    pixels: int


def surface_distances(
    true: Labels, predicted: Labels, phases: int, pixel: Sequence[float]
) -> tuple[SurfaceDistance, ...]:
    """Measure the distances between the surfaces of each phase, as MONAI's metrics define them.

    They are those of MONAI's ``compute_average_surface_distance`` (symmetric) and ``compute_hausdorff_distance``
    (95th percentile; Huttenlocher et al. 1993, doi 10.1109/34.232073), but for what is a surface: pixels of a phase
    with another phase above, below or beside them. Unlabelled pixels and the edges of the slice make none.

    Args:
        true: annotation (rows, columns), 0 unlabelled, 1..K.
        predicted: labels (rows, columns), 1..K.
        phases: number of phases K.
        pixel: size of a pixel (rows, columns), such as nm.
    """
    surfaces = [np.where(_has_another_beside(labels), labels, 0) for labels in (true, predicted * (true > 0))]
    return tuple(
        _distance(*(np.argwhere(labels == value) * np.asarray(pixel) for labels in surfaces))
        for value in range(1, phases + 1)
    )


def _has_another_beside(labels: Labels) -> npt.NDArray[np.bool_]:
    found = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        found[here] |= differ
        found[there] |= differ
    return found


def _distance(true: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> SurfaceDistance:
    """Compare two surfaces, places (pixels, 2) each."""
    pixels = len(true) + len(predicted)
    if not (len(true) and len(predicted)):
        return SurfaceDistance(np.nan, np.nan, pixels)
    directed = [KDTree(to).query(of, workers=-1)[0] for of, to in ((predicted, true), (true, predicted))]
    farthest = max(float(np.percentile(each, 95)) for each in directed)
    return SurfaceDistance(float(np.concatenate(directed).mean()), farthest, pixels)
