"""Robust statistics of values along a stack; NaN if there is no value."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from monai_app.inspection.judging.rules import AT_ENDS, DEVIATIONS, NEIGHBOURS
from monai_app.inspection.measuring.table import Values

_NORMAL = 1.4826
"""Standard deviation of a normal variable over its median magnitude."""


def scatter(values: Values) -> float:
    """Standard deviation around 0 of what is normal among the values; 0 if there is none."""
    known = values[~np.isnan(values)]
    return _NORMAL * float(np.median(np.abs(known))) if len(known) else 0.0


def local_scatter(values: Values) -> float:
    """Standard deviation of neighbouring values, without their trend."""
    known = values[~np.isnan(values)]
    return scatter(np.diff(known)) / 2**0.5


def odd_ones(values: Values, series: npt.NDArray[np.intp], least: float) -> Iterator[tuple[int, float]]:
    """Find values that differ from both sides by more than the rule of `rules`; with what is usual there.

    Args:
        values: one a slice.
        series: the series without gaps that the slices are in.
        least: the least difference that matters.
    """
    limit = DEVIATIONS * local_scatter(values)
    for z in np.flatnonzero(~np.isnan(values)).tolist():
        sides = [float(np.median(side)) for side in _sides(values, series, z) if len(side)]
        differences = [values[z] - side for side in sides]
        if not differences or (min(differences) < 0 < max(differences)):
            continue
        needed = max(least, limit) * (AT_ENDS if len(sides) == 1 else 1)
        if min(map(abs, differences)) > needed:
            yield z, float(np.mean(sides))


def steps(values: Values, series: npt.NDArray[np.intp], least: float) -> Iterator[tuple[int, float, float]]:
    """Find slices at which values change and stay so: the slice, and the medians before and from it on."""
    limit = DEVIATIONS * local_scatter(values)
    found: list[tuple[float, int, float, float]] = []
    for z in np.flatnonzero(~np.isnan(values)).tolist():
        before, after = _sides(values, series, z)
        after = np.array([values[z], *after])[:NEIGHBOURS]
        if min(len(before), len(after)) < NEIGHBOURS:
            continue
        change = float(np.median(after) - np.median(before))
        apart = after.min() - before.max() if change > 0 else before.min() - after.max()
        if abs(change) > max(least, limit) and apart > abs(change) / 2:
            found.append((abs(change), z, float(np.median(before)), float(np.median(after))))
    for change, z, low, high in found:
        if not any(other > change and abs(place - z) < NEIGHBOURS for other, place, _, _ in found):
            yield z, low, high


def _sides(values: Values, series: npt.NDArray[np.intp], z: int) -> tuple[Values, Values]:
    """The known values of the nearest slices before and after one, the nearest last, and first."""
    known = ~np.isnan(values) & (series == series[z])
    before, after = values[:z][known[:z]], values[z + 1 :][known[z + 1 :]]
    return before[-NEIGHBOURS:] if len(before) else before, after[:NEIGHBOURS]
