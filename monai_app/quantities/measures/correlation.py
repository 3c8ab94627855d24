"""Two-point correlation of every phase along each axis, and its range."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, Voxels
from monai_app.quantities.quantity import Cell, Measured, Panel, Quantity, Table
from monai_app.quantities.uncertainty.lines import LinePairs, correlations, first_below

RANGE_LEVEL = 0.05
"""Correlation at which the range ends: the practical range of geostatistics, three lengths of an exponential decay."""

_MOST_KEPT = 2**26
"""Voxels of the lines along z, which are kept until all slices were read; of a larger volume every second, third ...
line is taken, along every axis."""


def measure(labels: Labels, progress: Progress) -> Measured:
    """Measure S2(h), the probability that two points at distance h are both in the phase, along z, y and x.

    Its correlation is (S2 - f^2) / (f - f^2) with the phase's volume fraction f (Torquato 2002, Random Heterogeneous
    Materials, doi 10.1007/978-1-4757-6355-3); the range is the first distance at which that is 0.05, by linear
    interpolation. Pairs reach up to half the volume; voxels that are not segmented, and slices on two sides of missing
    ones, are in none.
    """
    planes, rows, columns = labels.shape
    step = int(np.ceil(np.sqrt(planes * rows * columns / _MOST_KEPT)))
    along = {axis: LinePairs(length, len(labels.phases)) for axis, length in zip("zyx", labels.shape, strict=True)}
    kept = np.zeros((planes, -(-rows // step), -(-columns // step)), np.uint8)
    for block, voxels in labels.slabs(progress):
        for z, plane in zip(block.z.range, voxels, strict=True):
            along["y"].add(plane[:, ::step].T)
            along["x"].add(plane[::step])
            kept[z] = plane[::step, ::step]
    for lines in _unbroken(kept, labels):
        along["z"].add(lines)
    return _measured(labels, along, step)


def _unbroken(kept: Voxels, labels: Labels) -> Iterator[Voxels]:
    """Lines along z, (lines, planes), apart for each series of slices without a gap and filled up with zeros."""
    for series in labels.series:
        lines = np.zeros((kept[0].size, len(kept)), np.uint8)
        lines[:, : len(series)] = kept[series.index].reshape(len(series), -1).T
        yield lines


def _measured(labels: Labels, along: dict[str, LinePairs], step: int) -> Measured:
    counts = labels.count().sum(0)[1:]
    names = [phase.name for phase in labels.phases]
    ranges: dict[str, dict[str, Quantity]] = {}
    panels: list[Panel] = []
    rows: list[list[Cell]] = []
    for (axis, pairs), size in zip(along.items(), labels.voxel_um, strict=True):
        counted = pairs.counts()
        counted = counted[:, : counted.shape[1] // 2 + 1]
        probability, correlation = correlations(counted, counts / counts.sum())
        distances = [n * size for n in range(counted.shape[1])]
        ranges[f"correlation_range_{axis}"] = {
            name: _range(own, counted[0], size) for name, own in zip(names, correlation, strict=True)
        }
        rows += [
            [axis, distance, int(number), *(_cell(value) for value in values)]
            for distance, number, values in zip(distances, counted[0], probability.T, strict=True)
        ]
        curves = {name: (distances, own.tolist()) for name, own in zip(names, correlation, strict=True)}
        panels.append(Panel(f"two-point correlation along {axis}", "distance, um", "correlation", curves))
    table = Table(("axis", "distance_um", "pairs", *names), rows)
    return Measured(ranges, {"two_point": table}, panels, {"range_level": RANGE_LEVEL, "every_line": step})


def _range(correlation: npt.NDArray[np.float64], pairs: npt.NDArray[np.int64], size: float) -> Quantity:
    """The range of a phase in um from its correlation, and the pairs, at every distance in voxels of ``size``."""
    if len(correlation) == 1:
        return Quantity(None, "um", unreliable="there is only one voxel along this axis")
    farthest = int(np.flatnonzero(pairs).max(initial=0))
    if farthest == 0:
        return Quantity(None, "um", unreliable="there are no two segmented voxels along this axis")
    if np.isnan(correlation[farthest]):
        return Quantity(None, "um", unreliable="every voxel has this phase")
    reach = first_below(correlation, RANGE_LEVEL)
    if reach is not None:
        return Quantity(reach * size, "um")
    reason = f"still correlated at {farthest * size:.3g} um, the largest distance considered"
    return Quantity(None, "um", unreliable=reason)


def _cell(value: float) -> Cell:
    return None if np.isnan(value) else float(value)
