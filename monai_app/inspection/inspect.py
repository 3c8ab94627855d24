"""Measure a stack slice by slice, and report findings."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monai_app.inspection.images import Images
from monai_app.inspection.judging.findings import Finding
from monai_app.inspection.judging.judgement import judge
from monai_app.inspection.labels import LabelCount, count_labels
from monai_app.inspection.measuring import comparison, curtains, slices
from monai_app.inspection.measuring.slices import Plane
from monai_app.inspection.measuring.table import Table
from monai_app.progress import Progress, silent
from monai_app.stack.alignment.correlation import Floats, Spectrum, reduced
from monai_app.stack.ingestion.survey import Survey

_SIDE = (256, 512)
"""Longest side of the images that are compared: at most the first, or of large slices an eighth up to the second."""

_QUICK_SIDE = 128
"""The same where only the main faults are looked for."""

_LEAST_SIDE = 32
"""Images are not made smaller than this."""


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Args:
        images: what was looked at.
        table: what was measured.
        findings: what is odd: first what concerns all slices, then slice by slice.
        labels: what is annotated.
        shape: (slices, rows, columns).
        dtype: of the pixels.
    """

    images: Images
    table: Table
    findings: tuple[Finding, ...]
    labels: tuple[LabelCount, ...]
    shape: tuple[int, int, int]
    dtype: np.dtype[np.integer]


def inspect(images: Images, *, quick: bool = False, progress: Progress = silent) -> Inspection:
    """Measure every slice once, and compare it with its neighbours.

    Memory does not grow with the slices but for the measures: the spectra of two small images are kept per detector.

    Args:
        images: the stack.
        quick: leave out noise, focus, curtains, detector agreement and labels.
        progress: called with the slices done and in total.

    Raises:
        StackError: a slice cannot be read, or the store was replaced meanwhile.
        AnnotationError: an annotation has values without a meaning.
    """
    table = Table.empty(tuple(images.detectors), len(images.names), images.gaps, images.pixel)
    survey = Survey(images.detectors)
    detectors = {name: _Detector(name, table, quick=quick) for name in images.detectors}
    shape: tuple[int, int] = (0, 0)
    dtype: np.dtype[np.integer] = np.dtype(np.uint8)
    progress(0, table.slices)
    for z, planes in enumerate(images.planes()):
        small = {name: detectors[name].see(z, plane) for name, plane in planes.items()}
        for name, plane in planes.items():
            shape, dtype = plane.shape, plane.dtype
            survey.see(name, z, plane, small[name])
        if not quick:
            _compare_detectors(z, small, table, reduction(shape, quick=quick))
        progress(z + 1, table.slices)
    table.leave_unclipped()
    labels = () if quick else count_labels(images)
    images.check_unchanged()
    return Inspection(images, table, judge(images, table, survey), labels, (table.slices, *shape), dtype)


def reduction(shape: tuple[int, int], *, quick: bool = False) -> int:
    """By which power of 2 slices of a shape (rows, columns) are made smaller before they are compared."""
    factor = 1
    limit = _QUICK_SIDE if quick else max(_SIDE[0], min(_SIDE[1], max(shape) // 8))
    while max(shape) / factor > limit and min(shape) // (2 * factor) >= _LEAST_SIDE:
        factor *= 2
    return factor


class _Detector:
    """Measures the slices of one detector in order; keeps what their successors are compared with."""

    def __init__(self, name: str, table: Table, *, quick: bool) -> None:
        self._name, self._table, self._quick = name, table, quick
        self._before: deque[Spectrum] = deque(maxlen=2)

    def see(self, z: int, plane: Plane) -> Floats:
        """Measure a slice; returns it made smaller."""
        greys = slices.measure_greys(plane)
        self._table.set(self._name, z, mean=greys.mean, contrast=greys.contrast, highest=greys.highest)
        self._table.set(self._name, z, clipped_low=greys.low, clipped_high=greys.high)
        self._table.histograms[self._name][z] = greys.histogram
        if not self._quick:
            self._measure(z, plane, greys.mean)
        factor = reduction(plane.shape, quick=self._quick)
        small = reduced(plane, factor)
        self._compare(z, small, factor)
        return small

    def _measure(self, z: int, plane: Plane, mean: float) -> None:
        self._table.set(self._name, z, noise=slices.measure_noise(plane), focus=slices.measure_focus(plane, mean))
        found = curtains.measure_curtains(reduced(plane, -(-max(plane.shape) // curtains.LONGEST)))
        angles = dict(zip(("curtain_angle", "curtain_angle_2"), found.angles, strict=False))
        self._table.set(self._name, z, curtaining=found.strength, **angles)

    def _compare(self, z: int, small: Floats, factor: int) -> None:
        if z in self._table.gaps:
            self._before.clear()
        spectrum = comparison.spectrum_of(small)
        for distance, other in enumerate(reversed(self._before), 1):
            fit = comparison.compare(other, spectrum, small.shape[1])
            if distance == 1:
                down, along = (shift * factor * self._table.pixel for shift in fit.move)
                self._table.set(self._name, z - 1, similarity=fit.height, shift_y=down, shift_x=along)
            else:
                self._table.set(self._name, z - 2, similarity_2=fit.height)
        self._before.append(spectrum)


def _compare_detectors(z: int, small: Mapping[str, Floats], table: Table, factor: int) -> None:
    """Compare every detector with the first one."""
    name, *others = small
    edges = {each: comparison.spectrum_of(comparison.edges_of(image)) for each, image in small.items() if others}
    for other in others:
        fit = comparison.compare(edges[name], edges[other], small[other].shape[1])
        down, along = (shift * factor for shift in fit.move)
        agreement = comparison.mutual_information(small[name], small[other])
        table.set(other, z, agreement=agreement, offset_y=down, offset_x=along, offset_fit=fit.height)
