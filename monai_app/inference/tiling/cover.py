"""Parts of a slice's tiles that hold the pixels which are wanted, where others need not be computed."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Region, Span
from monai_app.inference.tiling.plan import Plan, Tile

CELL = 128
"""Side in pixels of the cells whose wanted pixels are enclosed one cell at a time: that of blocks that validate."""


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
    for cell in rect.split(CELL, CELL):
        inside = wanted[cell.index]
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size:
            y, x = Span(int(rows[0]), int(rows[-1]) + 1), Span(int(columns[0]), int(columns[-1]) + 1)
            yield Rect(y.shift(cell.y.start), x.shift(cell.x.start))


def _joined(rects: list[Rect], plan: Plan) -> list[Rect]:
    """Join the two that save most by it, again and again, as long as joining saves something."""
    while len(rects) > 1:
        saved, first, second = max(
            (_cost(one, plan) + _cost(other, plan) - _cost(one.enclose(other), plan), one, other)
            for one, other in combinations(rects, 2)
        )
        if saved < 0:
            break
        rects = [*(rect for rect in rects if rect not in (first, second)), first.enclose(second)]
    return rects


def _cost(rect: Rect, plan: Plan) -> int:
    """Return the pixels that are read for a rectangle."""
    rows, columns = plan.read_for(rect).shape
    return rows * columns
