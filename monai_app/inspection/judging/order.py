"""Slices that are swapped, misplaced, nearly repeated or shifted, by how alike neighbours are.

Correlation falls with the distance of two slices, so slices in another order than they were cut are more alike across
one another than side by side.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_app.inspection.judging.rules import CHANCE, OUT_OF_ORDER, REPEATED, SHIFT_DEVIATIONS, SHIFT_PX, TRUSTED
from monai_app.inspection.judging.statistics import scatter
from monai_app.inspection.measuring.table import Table, Values


@dataclass(frozen=True)
class Disorder:
    """Slices that interrupt the sequence of others.

    Args:
        kind: "swapped", "misplaced", "nearly repeated", "shifted" or "jump".
        slices: the slices.
        value: what was measured.
        usual: what is usual; NaN where nothing is.
    """

    kind: str
    slices: tuple[int, ...]
    value: tuple[float, ...]
    usual: float = float("nan")


def find_disorder(table: Table, detector: str, bad: Collection[int]) -> Iterator[Disorder]:
    """Find what is out of order in the slices of a detector.

    Args:
        table: the measures.
        detector: whose.
        bad: slices that show nothing or are copies: they are like none.
    """
    near, far = (table.values[detector][name].copy() for name in ("similarity", "similarity_2"))
    for z in bad:
        for distance, values in enumerate((near, far), 1):
            values[[place for place in (z - distance, z) if place >= 0]] = np.nan
    loss = _loss(near, far)
    if loss == 0:
        return
    swapped = list(_swapped(near, far, loss))
    yield from swapped
    taken = {z for each in swapped for z in each.slices}
    yield from (each for each in _misplaced(near, far, loss) if not taken & set(each.slices))
    yield from _repeated(near)
    yield from _shifted(table, detector, near)


def are_neighbours(table: Table, detector: str) -> bool:
    """Whether slices are more like the next one than like the one after it: only then does their order show."""
    return _loss(*(table.values[detector][name] for name in ("similarity", "similarity_2"))) > 0


def _loss(near: Values, far: Values) -> float:
    """What one slice of distance usually costs in correlation; 0 where that is no more than chance."""
    lost = near[:-1] - far[:-1]
    lost = lost[~np.isnan(lost)]
    usual = float(np.median(lost)) if len(lost) else 0.0
    return usual if usual > CHANCE * scatter(lost - usual) else 0.0


def _swapped(near: Values, far: Values, loss: float) -> Iterator[Disorder]:
    """Pairs z, z + 1 that fit better the other way round, and fit each other."""
    least = float(np.nanmedian(near)) - 2 * loss
    for z in range(len(near) - 1):
        # As they are, and exchanged: z - 1 beside z + 1, and z beside z + 2.
        sides = [(near[z - 1], far[z - 1])] if z > 0 else []
        sides += [(near[z + 1], far[z])] if z + 2 < len(near) else []
        known = [side for side in sides if not np.isnan(side).any()]
        needed = OUT_OF_ORDER * loss * (1 if len(known) == 2 else 2)
        if known and near[z] > least and all(exchanged - now > needed for now, exchanged in known):
            yield Disorder("swapped", (z, z + 1), (float(known[0][0]), float(known[0][1])))


def _misplaced(near: Values, far: Values, loss: float) -> Iterator[Disorder]:
    """Slices whose neighbours are more like each other than like the slice."""
    for z in range(1, len(near) - 1):
        least = far[z - 1] - OUT_OF_ORDER * loss
        if near[z - 1] < least and near[z] < least:  # not where one of them is not known
            yield Disorder("misplaced", (z,), (float(near[z - 1]), float(near[z])), float(far[z - 1]))


def _repeated(near: Values) -> Iterator[Disorder]:
    lacking = 1 - near
    usual = float(np.nanmedian(lacking))
    for z in np.flatnonzero(lacking < REPEATED * usual).tolist():
        yield Disorder("nearly repeated", (z, z + 1), (float(near[z]),), 1 - usual)


def _shifted(table: Table, detector: str, near: Values) -> Iterator[Disorder]:
    """Jumps of the picture: of one slice, there and back, or of all that follow."""
    shifts = np.stack([table.values[detector]["shift_y"], table.values[detector]["shift_x"]])
    shifts[:, ~(near >= TRUSTED * np.nanmedian(near))] = np.nan
    centre = np.nanmedian(shifts, axis=1, keepdims=True)
    limits = [
        max(SHIFT_PX * table.pixel, SHIFT_DEVIATIONS * scatter(line - middle))
        for line, middle in zip(shifts, centre, strict=True)
    ]
    jumps = np.nan_to_num(shifts - centre)
    large: npt.NDArray[np.bool_] = np.any(np.abs(jumps) > np.array(limits)[:, None], axis=0)
    returned = False
    for z in range(len(near)):
        if large[z] and not returned:
            after = jumps[:, z] + jumps[:, z + 1] if z + 1 < len(near) and large[z + 1] else jumps[:, z]
            returned = bool(np.abs(after).max() < np.abs(jumps[:, z]).max() / 2)
            yield Disorder("shifted" if returned else "jump", (z + 1,), tuple(jumps[:, z].tolist()))
        else:
            returned = False
