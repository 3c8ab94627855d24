"""Parts of a slice's tiles that hold the pixels which are wanted, where others need not be computed."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import combinations

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Region, Span
from monai_app.inference.tiling.plan import Plan, Tile

CELL = 128
"""Side in pixels of the cells whose wanted pixels are enclosed one cell at a time: that of blocks that validate."""

_MOST_CELLS = 12
"""Along a side of a tile, because every two cells are compared; those of larger tiles are larger."""


def wanted_tiles(plan: Plan, wanted: npt.NDArray[np.bool_]) -> Iterator[Tile]:
    """Give parts of a plan's tiles that hold every wanted pixel and are read at the least cost.

    Parts are joined where their halos overlap so much that together they are fewer pixels to read than apart. A part is
    read as a tile is, so its logits are those of the whole slice.

    Args:
        plan: of a slice.
        wanted: (rows, columns).
    """
    for tile in plan.tiles:
        for rect in _joined(list(_enclosed(tile.write.rect, wanted)), plan):
            yield replace(tile, write=Region(tile.write.z, rect.y, rect.x), read=plan.read_for(rect))


def _enclosed(rect: Rect, wanted: npt.NDArray[np.bool_]) -> Iterator[Rect]:
    """Enclose the wanted pixels of each cell of a tile that has some."""
    sides = (max(CELL, -(-side // _MOST_CELLS)) for side in rect.shape)
    for cell in rect.split(*sides):
        inside = wanted[cell.index]
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size:
            y, x = Span(int(rows[0]), int(rows[-1]) + 1), Span(int(columns[0]), int(columns[-1]) + 1)
            yield Rect(y.shift(cell.y.start), x.shift(cell.x.start))


def _joined(rects: list[Rect], plan: Plan) -> list[Rect]:
    """Join the two that save most by it, again and again, as long as joining saves something."""
    left = {rect: _cost(rect, plan) for rect in rects}
    pairs: list[tuple[int, Rect, Rect]] = []

    def compare(one: Rect, other: Rect) -> None:
        saved = left[one] + left[other] - _cost(one.enclose(other), plan)
        if saved >= 0:
            heappush(pairs, (-saved, one, other))

    for one, other in combinations(rects, 2):
        compare(one, other)
    while pairs:
        _, one, other = heappop(pairs)
        if one in left and other in left:
            joined = one.enclose(other)
            del left[one], left[other]
            others = [each for each in left if each != joined]
            left[joined] = _cost(joined, plan)
            for each in others:
                compare(each, joined)
    return [*left]


def _cost(rect: Rect, plan: Plan) -> int:
    """Return the pixels that are read for a rectangle."""
    rows, columns = plan.read_for(rect).shape
    return rows * columns
