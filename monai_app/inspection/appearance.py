"""Measure the appearance of a slice from a part of it, as recorded for a model's training slices."""

from collections.abc import Mapping, Sequence

import numpy as np

from monai_app.domain.appearance import Appearance
from monai_app.domain.region import Rect, Span
from monai_app.inspection.inspect import reduction
from monai_app.inspection.judging.rules import OFFSET_FIT
from monai_app.inspection.measuring import comparison, slices
from monai_app.inspection.measuring.curtains import measure_curtains
from monai_app.inspection.measuring.slices import Plane
from monai_app.stack import SlabSource
from monai_app.stack.alignment.correlation import reduced
from monai_app.stack.ngff.layout import CHUNK

_LEAST = 256
"""Rows and columns from which curtains and offsets are measured: in smaller pictures chance is as large as they are."""

_DIGITS = 4
"""Significant digits that are kept."""


def measure_appearance(stack: SlabSource, z: int, detectors: Sequence[str]) -> Appearance:
    """Measure a slice.

    Brightness is that of the overview, the rest is measured in a square of at most `CHUNK` x `CHUNK` pixels in the
    middle, which is one chunk of a large slice: some 0.1 s a detector. Offsets are from the first detector, and left
    out where the two show too little in common. Slices of less than `_LEAST` pixels a side have neither curtains nor
    offsets.

    Args:
        stack: the stack.
        z: the slice.
        detectors: the model's, of the stack.

    Raises:
        StackError: there is no such slice, or it is damaged.
    """
    overview = stack.read_overview(z, detectors)
    rect = Rect(*(_middle(side) for side in stack.shape[1:]))
    planes = dict(zip(detectors, stack.read_slab(z, detectors, 1, rect), strict=True))
    found = {name: _measures(plane) for name, plane in planes.items()}
    for name, small in zip(detectors, overview, strict=True):
        found[name]["brightness"] = float(small.mean())
    if min(rect.shape) >= _LEAST:
        for name, more in (*_curtains(planes).items(), *_offsets(planes).items()):
            found[name] |= more
    return {name: {key: float(f"{value:.{_DIGITS}g}") for key, value in own.items()} for name, own in found.items()}


def _middle(side: int) -> Span:
    """The part of a side that is looked at, from the edge of a chunk on."""
    start = side // 2 // CHUNK * CHUNK if side >= 2 * CHUNK else max(0, (side - CHUNK) // 2)
    return Span(start, min(side, start + CHUNK))


def _measures(plane: Plane) -> dict[str, float]:
    sharpness = slices.measure_focus(plane, float(plane.mean()))
    found = {"noise": slices.measure_noise(plane)}
    return found if np.isnan(sharpness) else {**found, "sharpness": sharpness}


def _curtains(planes: Mapping[str, Plane]) -> dict[str, dict[str, float]]:
    return {name: {"curtaining": measure_curtains(reduced(plane, 1)).strength} for name, plane in planes.items()}


def _offsets(planes: Mapping[str, Plane]) -> dict[str, dict[str, float]]:
    """How far each detector lies from the first one, in pixels."""
    factor = reduction(next(iter(planes.values())).shape)
    edges = {name: comparison.edges_of(reduced(plane, factor)) for name, plane in planes.items()}
    first, *others = ((name, comparison.spectrum_of(each)) for name, each in edges.items())
    found = {}
    for name, spectrum in others:
        fit = comparison.compare(first[1], spectrum, edges[name].shape[1])
        if fit.height >= OFFSET_FIT:
            found[name] = {key: shift * factor for key, shift in zip(("offset_y", "offset_x"), fit.move, strict=True)}
    return found
