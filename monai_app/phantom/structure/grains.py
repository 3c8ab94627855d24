"""Grains: faceted bodies scattered through space, as a pure function of seed and position in nm.

Space is divided into cubic cells; every cell holds at most one grain, drawn from the seed and the cell's index
alone. So a slice needs the few cells it cuts, however deep the stack. Points are ``(z, y, x)`` in nm.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monai_app.phantom.resample import Floats
from monai_app.phantom.structure.fields import Grid

_DOUBLINGS = 3
"""The facets of a grain are joined by an 8-norm (2 to this power): higher gives sharper edges."""
_REACH = 1.35
"""Farthest corner of a grain in radii."""
_OFFSET = 2**31
"""Cell indices may be negative, seeds may not."""


@dataclass(frozen=True)
class Grain:
    """A convex body, the intersection of softened half-spaces."""

    centre: NDArray[np.float64]
    """(3,) nm."""
    normals: NDArray[np.float64]
    """(facets, 3) outward unit normals."""
    distances: NDArray[np.float64]
    """(facets,) distance of the facets from the centre, nm."""
    mark: float
    """A number in 0-1 that makes the grain individual."""

    @cached_property
    def radius(self) -> float:
        """Largest facet distance, nm."""
        return float(self.distances.max())

    def distance(self, z: float, grid: Grid) -> Floats:
        """Approximate signed distance (rows, columns) in nm to the surface, negative inside."""
        scaled = self.normals / self.distances[:, None]
        rows = scaled[:, :1] * (z - self.centre[0]) + scaled[:, 1:2] * (grid.y - self.centre[1])
        columns = scaled[:, 2:] * (grid.x - self.centre[2])
        height = rows.astype(np.float32)[:, :, None] + columns.astype(np.float32)[:, None, :]
        np.maximum(height, 0, out=height)
        for _ in range(_DOUBLINGS):
            height *= height
        ratio: Floats = height.sum(axis=0)
        for _ in range(_DOUBLINGS):
            np.sqrt(ratio, out=ratio)
        ratio -= np.float32(1)
        ratio *= np.float32(self.distances.mean())
        return ratio


@dataclass(frozen=True)
class GrainShape:
    """How grains of one kind are drawn."""

    radius_nm: tuple[float, float]
    """Least and greatest radius."""
    facets: int
    """Number of facets; many make a ball."""
    roughness: float
    """Relative scatter of the facet distances."""
    flatness: tuple[float, float] = (0.75, 1.0)
    """Least and greatest thickness relative to the width."""

    def draw(self, rng: np.random.Generator, centre: NDArray[np.float64]) -> Grain:
        """Draw one grain around ``centre``."""
        normals = _spread_normals(self.facets, self.roughness, rng)
        radius = rng.uniform(*self.radius_nm)
        axis = normals[0]
        # Support function of an oblate ellipsoid with its short axis along the first normal.
        shrink = np.sqrt(1 - (1 - rng.uniform(*self.flatness) ** 2) * (normals @ axis) ** 2)
        distances = radius * shrink * (1 + self.roughness * rng.uniform(-1, 1, len(normals)))
        return Grain(centre, normals, distances, float(rng.uniform()))


def _spread_normals(count: int, jitter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Unit vectors (count, 3) that leave no direction open: a Fibonacci sphere, turned at random and jittered."""
    index = np.arange(count) + 0.5
    height, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - height**2)
    points = np.stack([height, ring * np.cos(turn), ring * np.sin(turn)], axis=1)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    points = points @ rotation + jitter * rng.standard_normal((count, 3))
    units: NDArray[np.float64] = points / np.linalg.norm(points, axis=1, keepdims=True)
    return units


@dataclass
class GrainLattice:
    """All grains of one kind in space.

    Args:
        seed: the seed of the phantom.
        stream: number of the random stream.
        pitch_nm: size of a cell.
        shape: how grains are drawn.
        probability: chance that a cell holds a grain.
        scatter: how far a grain may stand from the middle of its cell, in cells.
        anchor: a grain that stands in cell (0, 0, 0) and whose centre is the origin of the lattice.
        keep: returns whether a drawn grain may stay at its place.
    """

    seed: int
    stream: int
    pitch_nm: float
    shape: GrainShape
    probability: float = 1.0
    scatter: float = 0.4
    anchor: Grain | None = None
    keep: Callable[[Grain], bool] = lambda grain: True
    _layers: dict[int, dict[tuple[int, int], Grain | None]] = field(default_factory=dict, init=False)

    def nearest(self, z: float, grid: Grid, limit_nm: float) -> tuple[Floats, Floats]:
        """Signed distance (nm) to the nearest surface, at most ``limit_nm``, and that grain's mark; (rows, columns)."""
        distance = np.full(grid.shape, limit_nm, dtype=np.float32)
        mark = np.full(grid.shape, 0.5, dtype=np.float32)
        for grain in self._near(z, grid, limit_nm):
            reach = grain.radius * _REACH + limit_nm
            rows = _span(grid.y, grain.centre[1], reach)
            columns = _span(grid.x, grain.centre[2], reach)
            window = Grid(grid.y[rows], grid.x[columns])
            if 0 in window.shape:
                continue
            here = grain.distance(z, window)
            nearer = here < distance[rows, columns]
            np.copyto(mark[rows, columns], np.float32(grain.mark), where=nearer)
            np.minimum(distance[rows, columns], here, out=distance[rows, columns])
        return distance, mark

    def _near(self, z: float, grid: Grid, limit_nm: float) -> Iterator[Grain]:
        """Grains whose surroundings the plane may cut; forgets the layers it has left behind."""
        reach = self.shape.radius_nm[1] * (1 + self.shape.roughness) * _REACH + limit_nm
        origin = np.zeros(3) if self.anchor is None else self.anchor.centre
        layers, down, along = (
            self._cells(low - reach - start, high + reach - start)
            for low, high, start in zip((z, grid.y[0], grid.x[0]), (z, grid.y[-1], grid.x[-1]), origin, strict=True)
        )
        self._layers = {layer: self._layers.get(layer, {}) for layer in layers}
        for layer, cells in self._layers.items():
            for place in ((i, j) for i in down for j in along):
                if place not in cells:
                    cells[place] = self._draw((layer, *place), origin)
                grain = cells[place]
                if grain is not None and abs(grain.centre[0] - z) < grain.radius * _REACH + limit_nm:
                    yield grain

    def _cells(self, low: float, high: float) -> range:
        return range(int(np.floor(low / self.pitch_nm + 0.5)), int(np.floor(high / self.pitch_nm + 0.5)) + 1)

    def _draw(self, cell: tuple[int, int, int], origin: NDArray[np.float64]) -> Grain | None:
        if cell == (0, 0, 0) and self.anchor is not None:
            return self.anchor
        rng = np.random.default_rng([self.seed, self.stream, *(index + _OFFSET for index in cell)])
        if rng.uniform() >= self.probability:
            return None
        centre = origin + self.pitch_nm * (np.array(cell) + self.scatter * rng.uniform(-1, 1, 3))
        grain = self.shape.draw(rng, centre)
        return grain if self.keep(grain) else None


def _span(positions: NDArray[np.float64], centre: float, reach: float) -> slice:
    first, last = np.searchsorted(positions, [centre - reach, centre + reach])
    return slice(int(first), int(last))
