"""Local thickness: the diameter of the largest sphere within the phase that contains a voxel."""

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import edt
import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Region, Span
from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, Voxels
from monai_app.quantities.quantity import Cell, Measured, Panel, Quantity, Table

GREATEST = 64
"""Greatest thickness that is distinguished from greater ones, in the voxel's shortest sides."""

_RATIO = 2 ** (1 / 3)
"""Of a diameter to the next smaller one."""

BLOCK = 2**26
"""Voxels that are read for a block at most; a voxel takes some 12 bytes."""

_ROUNDING = 1e-4
"""Radii are compared that much below their length: distances are computed in single precision."""

_TOO_THICK = 0.05
"""Share of a phase that is thicker than the greatest diameter, above which the mean says little."""


def measure(labels: Labels, progress: Progress) -> Measured:
    """Measure the share of every phase whose local thickness is at least each of some diameters, and its mean.

    A voxel's local thickness is the diameter of the largest sphere that lies in the phase and holds the voxel
    (Hildebrand and Ruegsegger 1997, doi 10.1046/j.1365-2818.1997.1340694.x). Spheres are centred at voxels; their
    radius is the distance to the nearest voxel of another phase. Beyond the border, and where nothing is segmented,
    nothing ends them. Each series of slices without a gap is measured on its own.
    """
    diameters = _diameters(labels)
    counts = np.zeros((len(diameters), labels.size), np.int64)
    for core, voxels in _blocks(labels, diameters[-1] / 2, progress):
        counts += _count_covered(voxels, core, diameters / 2, labels)
    values = [phase.value for phase in labels.phases]
    shares = counts[:, values] / np.maximum(counts[0, values], 1)
    return _measured(labels, diameters / 1000, dict(zip((p.name for p in labels.phases), shares.T, strict=True)))


def _diameters(labels: Labels) -> npt.NDArray[np.float64]:
    """The diameters that are distinguished, nm: from that of a single voxel to `GREATEST` in equal ratios."""
    side = min(labels.voxel_nm)
    count = round(math.log(GREATEST / 2, _RATIO)) + 1
    return np.geomspace(2 * side, GREATEST * side, count)


def _blocks(labels: Labels, radius: float, progress: Progress) -> Iterator[tuple[Region, Voxels]]:
    """Blocks with all that decides the thickness in them: where each lies in the voxels that are given, and these.

    A voxel is held by a sphere whose centre is up to a radius away, and whose own radius is that long again. None
    reaches across a gap.
    """
    halo = [math.ceil(2 * radius / side) for side in labels.voxel_nm]
    planes, rows, columns = labels.shape
    depth = min(planes, 2 * halo[0])
    side = max(math.isqrt(BLOCK // min(planes, depth + 2 * halo[0])) - 2 * halo[1], halo[1])
    cores = [
        (series, Region(z, y, x))
        for series in labels.series
        for z in series.split(depth, series.start)
        for y in Span(0, rows).split(side)
        for x in Span(0, columns).split(side)
    ]
    progress(0, len(cores))
    for done, (series, core) in enumerate(cores, 1):
        whole = (series, Span(0, rows), Span(0, columns))
        spans = zip((core.z, core.y, core.x), halo, whole, strict=True)
        read = Region(*(Span(span.start - by, span.stop + by).intersect(end) for span, by, end in spans))
        inner = (span.shift(-outer.start) for span, outer in zip(vars(core).values(), vars(read).values(), strict=True))
        yield Region(*inner), labels.read(read)
        progress(done, len(cores))


def _count_covered(
    voxels: Voxels, core: Region, radii: npt.NDArray[np.float64], labels: Labels
) -> npt.NDArray[np.int64]:
    """Count the core's voxels of each value that a sphere of each radius, or a larger one, holds: (radii, values).

    A sphere around a voxel that is so far from other phases holds voxels of its own phase alone, so that all phases
    are looked at together.
    """
    distances = _distances(voxels, labels)
    inner = voxels[core.index]
    covered = np.zeros(core.shape, bool)
    counts = np.zeros((len(radii), labels.size), np.int64)
    for number in range(len(radii) - 1, 0, -1):
        radius = radii[number] * (1 - _ROUNDING)
        outside = distances < radius
        if not outside.all():
            covered |= _to_others(outside, labels)[core.index] < radius
        counts[number] = _count(inner[covered], labels.size)
    counts[0] = _count(inner.ravel(), labels.size)
    return counts


def _distances(voxels: Voxels, labels: Labels) -> npt.NDArray[np.float32]:
    """Distance of every voxel to the nearest one of another phase, nm; 0 where nothing is segmented."""
    if voxels.all():
        return _to_others(voxels, labels)
    distances = np.zeros(voxels.shape, np.float32)
    for phase in labels.phases:
        own = voxels == phase.value
        if own.any():
            np.copyto(distances, _to_others(own | (voxels == 0), labels), where=own)
    return distances


def _to_others(values: npt.NDArray[Any], labels: Labels) -> npt.NDArray[np.float32]:
    """Distance of every voxel to the nearest one of another value, nm; infinite without any, 0 where the value is 0."""
    threads = len(os.sched_getaffinity(0))
    distances: npt.NDArray[np.float32] = edt.edt(values, anisotropy=labels.voxel_nm, parallel=threads)
    return distances


def _count(values: Voxels, size: int) -> npt.NDArray[np.int64]:
    """Count values, a part after the other: numpy makes eight bytes of each."""
    counts = np.zeros(size, np.int64)
    for start in range(0, len(values), 2**22):
        counts += np.bincount(values[start : start + 2**22], minlength=size)
    return counts


def _measured(
    labels: Labels, diameters: npt.NDArray[np.float64], shares: dict[str, npt.NDArray[np.float64]]
) -> Measured:
    """Quantities and table of the shares, (diameters,), of each phase that are as thick as each diameter, um."""
    means = {name: _mean(labels, diameters, share) for name, share in shares.items()}
    rows: list[Sequence[Cell]] = [
        (name, diameter, at_least)
        for name, share in shares.items()
        for diameter, at_least in zip(diameters.tolist(), share.tolist(), strict=True)
    ]
    curves = {name: (diameters.tolist(), share.tolist()) for name, share in shares.items()}
    return Measured(
        {"thickness_mean": means},
        {"thickness": Table(("phase", "diameter_um", "share_at_least_as_thick"), rows)},
        (Panel("local thickness", "diameter, um", "share of the phase at least as thick", curves, log_x=True),),
        {"greatest_um": float(diameters[-1])},
    )


def _mean(labels: Labels, diameters: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> Quantity:
    if not share[0]:
        return Quantity(None, "um")
    mean = float(diameters[0] + np.trapezoid(share, diameters))
    lengths = (min(map(len, labels.series)), *labels.shape[1:])
    thinnest = min(length * side for length, side in zip(lengths, labels.voxel_um, strict=True))
    reason = None
    if share[-1] > _TOO_THICK:
        reason = f"{share[-1]:.0%} is thicker than {diameters[-1]:.4g} um, the largest diameter searched for"
    elif 2 * mean > thinnest:
        between = " between gaps" if labels.has_gaps else ""
        reason = f"the measured volume{between} is only {thinnest:.4g} um thick, which limits the size of spheres"
    return Quantity(mean, "um", unreliable=reason)
