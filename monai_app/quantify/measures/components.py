"""Connected components of the phases, and whether they reach from face to face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_app.progress import Progress
from monai_app.quantify.labels import Labels, Voxels
from monai_app.quantify.quantity import Cell, Measured, Panel, Quantity, Table

CONNECTIVITY: Final = 6
"""Voxels of a phase are connected where they share a face, as solvers of transport on the grid have it."""

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """Connected components.

    Args:
        values: (components,), the value of their phase.
        sizes: (components,), voxels.
        low: (components, 3), first plane, row and column.
        high: (components, 3), last plane, row and column.
    """

    values: Voxels
    sizes: _Ints
    low: _Ints
    high: _Ints

    def joined(self, pairs: _Ints) -> "Components":
        """Make one of those that are connected by pairs of numbers, (pairs, 2)."""
        count = len(self.values)
        graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
        number, own = connected_components(graph, directed=False)
        values, sizes = np.zeros(number, np.uint8), np.zeros(number, np.int64)
        low, high = np.full((number, 3), np.iinfo(np.int64).max), np.zeros((number, 3), np.int64)
        values[own] = self.values
        np.add.at(sizes, own, self.sizes)
        np.minimum.at(low, own, self.low)
        np.maximum.at(high, own, self.high)
        return Components(values, sizes, low, high)


def find_components(labels: Labels, progress: Progress) -> Components:
    """Find the components of all phases: in every slab, and then which of them are one (union by scipy's graph).

    The result does not depend on the slabs.
    """
    slabs: list[Components] = []
    pairs: list[_Ints] = [np.zeros((0, 2), np.int64)]
    count, below, below_ids = 0, np.zeros(labels.shape[1:], np.uint8), np.zeros(labels.shape[1:], np.int64)
    for block, voxels in labels.slabs(progress):
        parts, number = cc3d.connected_components(voxels, connectivity=CONNECTIVITY, return_N=True)
        ids = parts[0] + np.int64(count - 1)  # parts begin at 1
        pairs.append(_touching(below, below_ids, voxels[0], ids))
        slabs.append(_slab_components(voxels, parts, number, block.z.start))
        below, below_ids = voxels[-1], parts[-1] + np.int64(count - 1)
        count += number
    columns = zip(*((each.values, each.sizes, each.low, each.high) for each in slabs), strict=True)
    return Components(*map(np.concatenate, columns)).joined(np.concatenate(pairs))


def _slab_components(voxels: Voxels, parts: npt.NDArray[np.unsignedinteger], number: int, first: int) -> Components:
    """Describe the parts of a slab, which are numbered from 1; its first plane is ``first`` of the labels."""
    statistics = cc3d.statistics(parts, no_slice_conversion=True)
    values = np.zeros(number + 1, np.uint8)
    for plane, own in zip(voxels, parts, strict=True):
        values[own] = plane
    boxes = statistics["bounding_boxes"][1:].astype(np.int64)
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    offset = (first, 0, 0)
    return Components(values[1:], statistics["voxel_counts"][1:].astype(np.int64), low + offset, high + offset)


def _touching(first: Voxels, first_ids: _Ints, second: Voxels, second_ids: _Ints) -> _Ints:
    """The numbers of parts of two neighbouring planes that share a face, each pair once: (pairs, 2)."""
    same = (first == second) & (first > 0)
    span = second_ids.max() + 1
    keys = first_ids[same] * span + second_ids[same]
    keys = np.unique(keys[np.append(True, np.diff(keys) != 0)[: len(keys)]])  # along a row most are repeated
    return np.stack(np.divmod(keys, span), -1)


def measure(labels: Labels, progress: Progress) -> Measured:
    """Count connected components: number, sizes, share of the largest; and what connects opposite faces.

    Components that the border cuts count as they are; how many these are is told beside.
    """
    found = find_components(labels, progress)
    numbers = {phase.name: _of_phase(labels, found, phase.value) for phase in labels.phases}
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
        (Panel("components", "volume, um^3", "share of the phase in smaller ones", curves, "step", log_x=True),),
        {"connectivity": CONNECTIVITY},
    )


def _of_phase(labels: Labels, found: Components, value: int) -> dict[str, Quantity]:
    chosen = found.values == value
    sizes, low, high = found.sizes[chosen], found.low[chosen], found.high[chosen]
    total = max(int(sizes.sum()), 1)
    segmented = float(found.sizes.sum() * np.prod(labels.voxel_um))
    at_border = ((low == 0) | (high == np.array(labels.shape) - 1)).any(1)
    numbers = {
        "components": Quantity(len(sizes), "1"),
        "components_at_border": Quantity(int(at_border.sum()), "1"),
        "components_per_volume": Quantity(len(sizes) / segmented, "1/um^3"),
        "largest_component_share": Quantity(float(sizes.max(initial=0) / total), "1"),
    }
    for axis, length in enumerate(labels.shape):
        through = (low[:, axis] == 0) & (high[:, axis] == length - 1)
        reason = "there is one voxel along this axis" if length == 1 else None
        if axis == 0 and labels.has_gaps:
            reason = "slices are missing, and nothing is known to connect across them"
        share = float(sizes[through].sum() / total)
        numbers[f"percolating_share_{'zyx'[axis]}"] = Quantity(share, "1", unreliable=reason)
    return numbers


def _size_classes(sizes: _Ints, volume: float) -> list[tuple[float, float, int, float]]:
    """Classes that double in size: volumes from and below, how many components, and their share of the phase."""
    classes = np.frexp(sizes)[1] - 1  # the exponent of 2, exactly
    return [
        (volume * 2.0**n, volume * 2.0 ** (n + 1), int(own.sum()), float(sizes[own].sum() / sizes.sum()))
        for n in range(int(classes.max(initial=-1)) + 1)
        if (own := classes == n).any()
    ]
