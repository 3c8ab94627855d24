"""Connected components of the phases, and whether they percolate between opposite faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_app.domain.region import Region, Span
from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, Voxels
from monai_app.quantities.quantity import Cell, Measured, Panel, Quantity, Table

CONNECTIVITY: Final = 6
"""Voxels of a phase are connected if they share a face, as in transport solvers on the grid."""

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """Connected components.

    Args:
        values: (components,), the value of their phase.
        sizes: (components,), voxels.
        low: (components, 3), first plane, row and column.
        high: (components, 3), last plane, row and column.
        cut: (components,), whether they share a face with a voxel that is not segmented.
    """

    values: Voxels
    sizes: _Ints
    low: _Ints
    high: _Ints
    cut: npt.NDArray[np.bool_]

    def joined(self, pairs: _Ints) -> "Components":
        """Merge components that are connected by pairs of numbers, (pairs, 2)."""
        count = len(self.values)
        graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
        number, own = connected_components(graph, directed=False)
        values, sizes = np.zeros(number, np.uint8), np.zeros(number, np.int64)
        low, high = np.full((number, 3), np.iinfo(np.int64).max), np.zeros((number, 3), np.int64)
        values[own] = self.values
        cut = np.zeros(number, bool)
        cut[own[self.cut]] = True
        np.add.at(sizes, own, self.sizes)
        np.minimum.at(low, own, self.low)
        np.maximum.at(high, own, self.high)
        return Components(values, sizes, low, high, cut)


def find_components(labels: Labels, progress: Progress) -> Components:
    """Find the components of all phases: in every slab, and then merged across slabs with scipy's graph functions.

    The result does not depend on the slabs.
    """
    slabs: list[Components] = []
    pairs: list[_Ints] = [np.zeros((0, 2), np.int64)]
    cut: list[_Ints] = []
    count, below, below_ids = 0, np.zeros(labels.shape[1:], np.uint8), np.zeros(labels.shape[1:], np.int64)
    for block, voxels in labels.slabs(progress):
        parts, number = cc3d.connected_components(voxels, connectivity=CONNECTIVITY, return_N=True)
        ids = parts[0] + np.int64(count - 1)  # parts begin at 1
        pairs.append(_touching(below, below_ids, voxels[0], ids))
        cut += [_beside(below, below_ids, voxels[0]), _beside(voxels[0], ids, below)]
        slabs.append(_slab_components(voxels, parts, number, block.z.start))
        below, below_ids = voxels[-1], parts[-1] + np.int64(count - 1)
        count += number
    columns = zip(*(vars(each).values() for each in slabs), strict=True)
    found = Components(*map(np.concatenate, columns))
    found.cut[np.concatenate(cut)] = True
    return found.joined(np.concatenate(pairs))


def _slab_components(voxels: Voxels, parts: npt.NDArray[np.unsignedinteger], number: int, first: int) -> Components:
    """Describe the parts of a slab, which are numbered from 1; its first plane is ``first`` of the labels."""
    statistics = cc3d.statistics(parts, no_slice_conversion=True)
    values = np.zeros(number + 1, np.uint8)
    for plane, own in zip(voxels, parts, strict=True):
        values[own] = plane
    boxes = statistics["bounding_boxes"][1:].astype(np.int64)
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    sizes, offset = statistics["voxel_counts"][1:].astype(np.int64), (first, 0, 0)
    return Components(values[1:], sizes, low + offset, high + offset, _cut(voxels, parts, number))


def _cut(voxels: Voxels, parts: npt.NDArray[np.unsignedinteger], number: int) -> npt.NDArray[np.bool_]:
    """Which parts of a slab share a face with a 0 in it: (number,)."""
    cut = np.zeros(number + 1, bool)
    if not voxels.all():
        for axis in range(3):
            values, own = np.moveaxis(voxels, axis, 0), np.moveaxis(parts, axis, 0)
            cut[_beside(values[1:], own[1:], values[:-1])] = True
            cut[_beside(values[:-1], own[:-1], values[1:])] = True
    return cut[1:]


def _beside(values: Voxels, ids: npt.NDArray[np.integer], others: Voxels) -> _Ints:
    """The numbers of parts whose neighbours, in the same places of ``others``, are 0."""
    return np.unique(ids[(values > 0) & (others == 0)]).astype(np.int64)


def _touching(first: Voxels, first_ids: _Ints, second: Voxels, second_ids: _Ints) -> _Ints:
    """The numbers of parts of two neighbouring planes that share a face, each pair once: (pairs, 2)."""
    same = (first == second) & (first > 0)
    span = second_ids.max() + 1
    keys = first_ids[same] * span + second_ids[same]
    keys = np.unique(keys[np.append(True, np.diff(keys) != 0)[: len(keys)]])  # along a row most are repeated
    return np.stack(np.divmod(keys, span), -1)


def measure(labels: Labels, progress: Progress) -> Measured:
    """Count connected components: number, sizes, share of the largest, and share that connects opposite faces.

    Components that are cut by the border or by unsegmented voxels count as they are; their number is reported. Opposite
    faces are those of the bounding box of the segmented volume.
    """
    found = find_components(labels, progress)
    faces = _Faces.of(labels, found)
    numbers = {phase.name: _of_phase(labels, found, faces, phase.value) for phase in labels.phases}
    quantities: dict[str, dict[str, Quantity]] = {}
    for name, of in numbers.items():
        for quantity, number in of.items():
            quantities.setdefault(quantity, {})[name] = number
    volume = float(np.prod(labels.voxel_um))
    classes = {phase.name: _size_classes(found.sizes[found.values == phase.value], volume) for phase in labels.phases}
    rows: list[Sequence[Cell]] = [(name, *row) for name, of in classes.items() for row in of]
    curves = {
        name: ([row[1] for row in of], np.cumsum([row[3] for row in of]).tolist()) for name, of in classes.items()
    }
    columns = ("phase", "from_um3", "below_um3", "components", "share_of_phase")
    return Measured(
        quantities,
        {"components": Table(columns, rows)},
        (Panel("components", "volume, um^3", "share of the phase in smaller components", curves, "step", log_x=True),),
        {"connectivity": CONNECTIVITY},
    )


@dataclass(frozen=True)
class _Faces:
    """The faces of the box around all that is segmented.

    Args:
        low: (3,), first plane, row and column.
        high: (3,), last plane, row and column.
        unseen: why connections may lie outside what is segmented, if they may; holds for all numbers.
        open: why reaching a face along z, y, x says little, if it does.
    """

    low: _Ints
    high: _Ints
    unseen: str | None
    open: tuple[str | None, ...]

    @classmethod
    def of(cls, labels: Labels, found: Components) -> "_Faces":
        low, high = found.low.min(0), found.high.max(0)
        unseen = None
        if labels.has_gaps:
            unseen = "slices are missing, and connections across them are unknown"
        elif low[0] == high[0]:
            unseen = "there is one slice, and connections outside it are unknown"
        return cls(low, high, unseen, tuple(_why_open(labels, low, high, axis) for axis in range(3)))


def _why_open(labels: Labels, low: _Ints, high: _Ints, axis: int) -> str | None:
    """Return why percolation between the faces of the box along an axis is unreliable; None if it is not."""
    if low[axis] == high[axis]:
        return "there is one voxel along this axis"
    if labels.has_gaps:
        return None  # which says more
    spans = [Span(int(start), int(stop) + 1) for start, stop in zip(low, high, strict=True)]
    parts = []
    for place in (spans[axis].start, spans[axis].stop - 1):
        spans[axis] = Span(place, place + 1)
        parts.append(float((labels.read(Region(*spans)) == 0).mean()))
    if not any(parts):
        return None
    return (
        f"{max(parts):.2g} of a face across this axis is not segmented, and components that end there are not counted"
    )


def _of_phase(labels: Labels, found: Components, faces: _Faces, value: int) -> dict[str, Quantity]:
    chosen = found.values == value
    sizes, low, high = found.sizes[chosen], found.low[chosen], found.high[chosen]
    total = max(int(sizes.sum()), 1)
    segmented = float(found.sizes.sum() * np.prod(labels.voxel_um))
    at_border = found.cut[chosen] | ((low == 0) | (high == np.array(labels.shape) - 1)).any(1)
    numbers = {
        "components": Quantity(len(sizes), "1", unreliable=faces.unseen),
        "components_at_border": Quantity(int(at_border.sum()), "1", unreliable=faces.unseen),
        "components_per_volume": Quantity(len(sizes) / segmented, "1/um^3", unreliable=faces.unseen),
        "largest_component_share": Quantity(float(sizes.max(initial=0) / total), "1", unreliable=faces.unseen),
    }
    for axis, name in enumerate("zyx"):
        through = (low[:, axis] == faces.low[axis]) & (high[:, axis] == faces.high[axis])
        share = float(sizes[through].sum() / total)
        reasons = dict.fromkeys(filter(None, (faces.unseen, faces.open[axis])))
        numbers[f"percolating_share_{name}"] = Quantity(share, "1", unreliable="; ".join(reasons) or None)
    return numbers


def _size_classes(sizes: _Ints, volume: float) -> list[tuple[float, float, int, float]]:
    """Classes that double in size: volumes from and below, how many components, and their share of the phase."""
    classes = np.frexp(sizes)[1] - 1  # the exponent of 2, exactly
    return [
        (volume * 2.0**n, volume * 2.0 ** (n + 1), int(own.sum()), float(sizes[own].sum() / sizes.sum()))
        for n in range(int(classes.max(initial=-1)) + 1)
        if (own := classes == n).any()
    ]
