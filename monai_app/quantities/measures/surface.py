"""Areas of interfaces between phases, and boundary lengths within a slice, from the number of crossings with lines."""

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.spatial import SphericalVoronoi

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, Voxels
from monai_app.quantities.quantity import Measured, Quantity, Table

_Step = tuple[int, int, int]

DIRECTIONS: tuple[_Step, ...] = tuple((z, y, x) for z, y, x in product((-1, 0, 1), repeat=3) if (z, y, x) > (0, 0, 0))
"""The 13 directions, as steps z, y, x, from a voxel to the neighbours that it has a face, an edge or a corner with."""

IN_PLANE: tuple[_Step, ...] = tuple(step for step in DIRECTIONS if not step[0])
"""The 4 of them that lie within a slice."""

MOST_COUNTED = 5 / 4
"""How often a face between two slices may count at most, for an area that can be relied on: of n neighbouring slices it
counts n / (n - 1) times, since the structure is assumed to continue beyond them."""


def measure(labels: Labels, progress: Progress) -> Measured:
    """Measure the area between each two phases by Crofton's formula over 13 directions.

    Along each direction the number of changes from one phase to the other, over the length of line that was looked at,
    is half the area per volume in the mean over all directions; a direction's weight is its share of the sphere, with
    the voxel's sides as they are (Legland, Kieu and Devaux 2007, doi 10.5566/ias.v26.p83-92). Pairs of voxels count
    where both are segmented. A phase's specific surface is its area towards all other phases per volume of what is
    segmented; the border of the region or mask is not a surface.
    """
    changes = np.zeros((len(DIRECTIONS), labels.size, labels.size), np.int64)
    lines = np.zeros(len(DIRECTIONS), np.int64)
    above: Voxels | None = None
    for _, voxels in labels.slabs(progress):
        joined = voxels if above is None else np.concatenate([above, voxels])
        for number, step in enumerate(DIRECTIONS):
            first, second = _pairs(joined, step, known=0 if above is None else 1)
            lines[number] += _count_segmented(first, second)
            changes[number] += _count_changes(first, second, labels.size)
        above = voxels[-1:]
    return _measured(labels, _area_per_volume(changes, lines, labels.voxel_um), lines[DIRECTIONS.index((1, 0, 0))])


def specific_perimeters(labels: Voxels, phases: int, pixel: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Measure the boundary of each phase towards all other phases in a slice, per area, by Crofton's formula.

    As `measure` does over 13 directions, but over the 4 in the plane: there the number of changes over the length of
    line is 2 / pi of the length per area (Legland, Kieu and Devaux 2007, doi 10.5566/ias.v26.p83-92).

    Args:
        labels: (rows, columns), 0 not segmented, 1..K. Pairs of pixels count where both are segmented.
        phases: number of phases K.
        pixel: size of a pixel (rows, columns).

    Returns:
        (K,), per unit of ``pixel``; ``nan`` where a direction has no pair of segmented pixels.
    """
    lengths = np.linalg.norm(np.array(IN_PLANE)[:, 1:] * pixel, axis=1)
    found = np.zeros(phases)
    for step, weight, length in zip(IN_PLANE, _weights_in_plane(pixel), lengths, strict=True):
        first, second = _pairs(labels[None], step, known=0)
        looked_at = _count_segmented(first, second) * length or np.nan
        found += weight / looked_at * _count_changes(first, second, phases + 1)[1:, 1:].sum(1)
    return np.pi / 2 * found


def _weights_in_plane(pixel: tuple[float, float]) -> npt.NDArray[np.float64]:
    """The share of the circle, (4,), that is nearer to each of `IN_PLANE`, or its opposite, than to others."""
    ends = np.array(IN_PLANE)[:, 1:] * pixel
    angles = np.arctan2(ends[:, 0], ends[:, 1]) % np.pi
    order = np.argsort(angles)
    gaps = np.diff(angles[order], append=angles[order[0]] + np.pi)
    weights = np.empty(len(IN_PLANE))
    weights[order] = (gaps + np.roll(gaps, 1)) / (2 * np.pi)
    return weights


def crofton_weights(voxel: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return the share of the sphere, (13,), that is nearer to each of `DIRECTIONS`, or its opposite, than to others.

    Args:
        voxel: voxel size z, y, x, in any unit.
    """
    ends = np.array(DIRECTIONS) * voxel
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([ends, -ends])).calculate_areas()
    weights: npt.NDArray[np.float64] = (areas[:13] + areas[13:]) / areas.sum()
    return weights


def _pairs(voxels: Voxels, step: _Step, known: int) -> tuple[Voxels, Voxels]:
    """All voxels and their neighbours along a direction; pairs within the first ``known`` planes were looked at."""
    first = [slice(max(-by, 0), length - max(by, 0)) for by, length in zip(step, voxels.shape, strict=True)]
    second = [slice(max(by, 0), length - max(-by, 0)) for by, length in zip(step, voxels.shape, strict=True)]
    if not step[0]:
        first[0] = second[0] = slice(known, None)
    return voxels[tuple(first)], voxels[tuple(second)]


def _count_segmented(first: Voxels, second: Voxels) -> int:
    return int(np.count_nonzero(np.minimum(first, second)))


def _count_changes(first: Voxels, second: Voxels, size: int) -> npt.NDArray[np.int64]:
    """Count pairs of different values: (size, size), symmetric."""
    differ = first != second
    pairs = first[differ].astype(np.int64) * size + second[differ]
    table = np.bincount(pairs, minlength=size**2).reshape(size, size)
    return table + table.T


def _area_per_volume(
    changes: npt.NDArray[np.int64], lines: npt.NDArray[np.int64], voxel_um: tuple[float, float, float]
) -> npt.NDArray[np.float64] | None:
    """Area between each two values per volume, (size, size) in 1/um; None if a direction has no pair of voxels."""
    if not lines.all():
        return None
    lengths = lines * np.linalg.norm(np.array(DIRECTIONS) * voxel_um, axis=1)
    areas: npt.NDArray[np.float64] = 2 * np.einsum("d,dij->ij", crofton_weights(voxel_um) / lengths, changes)
    return areas


def _measured(labels: Labels, areas: npt.NDArray[np.float64] | None, pairs: np.int64) -> Measured:
    """Specific surfaces and areas between phases; ``pairs`` of voxels were looked at along z."""
    values = [phase.value for phase in labels.phases]
    voxels = labels.count()[:, values].sum()
    volume = float(voxels * np.prod(labels.voxel_um))
    if areas is None:
        reason = "areas need at least two adjacent segmented slices, rows and columns"
        nothing = {phase.name: Quantity(None, "1/um", unreliable=reason) for phase in labels.phases}
        return Measured({"specific_surface": nothing})
    between = areas[np.ix_(values, values)]
    counted, few = voxels / pairs, None
    if counted > MOST_COUNTED:
        few = (
            f"with few neighbouring slices, a face between two counts {counted:.2g} times; at least 5 slices are needed"
        )
    surfaces = {
        phase.name: Quantity(area, "1/um", unreliable=few)
        for phase, area in zip(labels.phases, between.sum(1).tolist(), strict=True)
    }
    contacts = [
        (first.name, second.name, areas[first.value, second.value] * volume, areas[first.value, second.value])
        for n, first in enumerate(labels.phases)
        for second in labels.phases[n + 1 :]
    ]
    columns = ("phase", "other_phase", "area_um2", "area_per_volume_1/um")
    return Measured(
        {"specific_surface": surfaces},
        {"contacts": Table(columns, [(*names, float(area), float(specific)) for *names, area, specific in contacts])},
        settings={"directions": len(DIRECTIONS), "method": "Crofton"},
    )
