"""Multi-Otsu thresholds of every detector, and which phase each combination of grey classes is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from monai_app.domain.region import Rect, Span
from monai_app.study.baselines.method import Labels, Parameters, Slab

_SIGMAS = (0.0, 1.0, 2.0, 4.0)
"""Standard deviations of the smoothing before, in pixels."""

_BINS = 128
"""Of the grey values; the time goes with their number to the power of the thresholds."""

_CLASSES = (2, 3, 4, 5)
"""Grey classes of a detector; six take minutes."""

_TRUNCATE = 4.0
"""Standard deviations after which the smoothing ends."""


@dataclass(frozen=True)
class Otsu:
    """Multi-Otsu thresholds (Liao et al. 2001, J. Inf. Sci. Eng. 17:713; scikit-image's).

    Args:
        phases: number of phases K.
    """

    phases: int

    @property
    def choices(self) -> Sequence[Parameters]:
        """Smoothing and number of grey classes."""
        return [{"sigma": sigma, "classes": classes} for sigma in _SIGMAS for classes in _CLASSES]

    @property
    def draft(self) -> "Otsu":
        """The method itself, which is fast."""
        return self

    def fit(self, parameters: Parameters, slabs: Sequence[Slab], labels: Sequence[Labels]) -> "Thresholds":
        """Take thresholds from all pixels of the slices, and the phase of each class from the labelled ones."""
        sigma, classes = parameters["sigma"], parameters["classes"]
        smooth = [_smooth(slab, sigma) for slab in slabs]
        greys = [np.concatenate([planes[number].ravel() for planes in smooth]) for number in range(len(slabs[0]))]
        thresholds = [_thresholds(grey, classes) for grey in greys]
        counts = np.zeros((classes ** len(thresholds), self.phases + 1), np.int64)
        for planes, own in zip(smooth, labels, strict=True):
            np.add.at(counts, (_combined(planes, thresholds)[own > 0], own[own > 0]), 1)
        table = np.where(counts.any(axis=1), counts.argmax(axis=1), counts.sum(axis=0).argmax()).astype(np.uint8)
        return Thresholds(sigma, thresholds, table)


@dataclass(frozen=True)
class Thresholds:
    """Thresholds that were found.

    Attributes:
        sigma: of the smoothing.
        thresholds: of each detector.
        table: the phase of every combination of grey classes; one that no labelled pixel has is the most frequent.
    """

    sigma: float
    thresholds: Sequence[npt.NDArray[np.float64]]
    table: Labels

    def predict(self, slab: Slab, rect: Rect) -> Labels:
        """Return the labels of a rectangle of a slice (detectors, rows, columns)."""
        reach = math.ceil(_TRUNCATE * self.sigma) + 1
        grown = Rect(*(Span(each.start - reach, each.stop + reach) for each in (rect.y, rect.x)))
        around = grown.intersect(Rect.whole(slab.shape))
        inner = rect.relative_to(around).index
        planes = [plane[inner] for plane in _smooth(slab[(slice(None), *around.index)], self.sigma)]
        return self.table[_combined(planes, self.thresholds)]


def _smooth(slab: Slab, sigma: float) -> list[npt.NDArray[np.float32]]:
    planes: Iterator[npt.NDArray[np.float32]] = (plane.astype(np.float32) for plane in slab)
    return [gaussian_filter(plane, sigma, truncate=_TRUNCATE) if sigma else plane for plane in planes]


def _thresholds(grey: npt.NDArray[np.float32], classes: int) -> npt.NDArray[np.float64]:
    from skimage.filters import threshold_multiotsu

    found: npt.NDArray[np.float64] = threshold_multiotsu(grey, classes, nbins=_BINS)  # type: ignore[no-untyped-call]
    return found


def _combined(
    planes: Sequence[npt.NDArray[np.float32]], thresholds: Sequence[npt.NDArray[np.float64]]
) -> npt.NDArray[np.int64]:
    """Number of the combination of grey classes of every pixel."""
    combined = np.zeros(planes[0].shape, np.int64)
    for plane, own in zip(planes, thresholds, strict=True):
        combined = combined * (len(own) + 1) + np.digitize(plane, own)
    return combined
