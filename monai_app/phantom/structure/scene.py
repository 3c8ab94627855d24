"""Where the grains stand: sand, clinker, portlandite and air voids, as a pure function of seed and position in nm.

A microscopist does not image a random place: the scene is arranged so that the middle of the field, at (0, 0), lies
beside a sand grain, a clinker remnant and portlandite. Farther out grains stand as chance has it.
"""

import numpy as np
from numpy.typing import NDArray

from monai_app.phantom.config import Structure
from monai_app.phantom.resample import Floats
from monai_app.phantom.structure.fields import Grid
from monai_app.phantom.structure.grains import Grain, GrainLattice, GrainShape

_SCENE_STREAM = 1
_SAND_GAP_NM = (1700.0, 2500.0)
"""Distance of the anchored sand grain from the middle of the field."""
_LIMIT_NM = 2000.0
"""Distances to sand are cut here; the transition zone reaches no farther."""


class Scene:
    """All grains of one seed; see `GrainLattice` for how they are drawn."""

    def __init__(self, seed: int, structure: Structure) -> None:
        rng = np.random.default_rng([seed, _SCENE_STREAM])
        direction = rng.uniform(0, 2 * np.pi)
        self._shell_limit = 1.7 * structure.shell_nm
        sand, clinker, fragments, portlandite, voids = _shapes(structure)
        grain = sand.draw(rng, np.array([rng.uniform(-2000, 3000), 0.0, 0.0]))
        grain = _beside(grain, direction, rng.uniform(*_SAND_GAP_NM))
        self.sand = GrainLattice(seed, 2, 30_000 * structure.aggregate_radius_um / 11, sand, scatter=0.05, anchor=grain)
        far = direction + np.pi + rng.uniform(-0.9, 0.9)
        remnant = clinker.draw(rng, _place(rng, far, rng.uniform(2200, 3000)))
        size = structure.clinker_radius_um / 1.75
        self.clinker = GrainLattice(seed, 3, 6150.0 * size, clinker, anchor=remnant, keep=self._clear_of_sand)
        self.fragments = GrainLattice(seed, 4, 2800.0 * size, fragments, 0.5, keep=self._clear_of_sand)
        side = direction + rng.choice([-1, 1]) * rng.uniform(1.2, 1.9)
        crystal = portlandite.draw(rng, _place(rng, side, rng.uniform(1500, 2200)))
        pitch = 2950.0 * structure.portlandite_radius_um / 1.12
        self.portlandite = GrainLattice(seed, 5, pitch, portlandite, 0.9, anchor=crystal)
        self.voids = GrainLattice(seed, 6, 5000.0, voids, structure.void_probability)

    def distances(self, z: float, grid: Grid) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Signed distances (nm) and marks at depth ``z``: sand, clinker, its mark, portlandite, its mark, voids."""
        sand, _ = self.sand.nearest(z, grid, _LIMIT_NM)
        clinker, mark = self.clinker.nearest(z, grid, self._shell_limit)
        fragment, fragment_mark = self.fragments.nearest(z, grid, self._shell_limit / 2)
        fragment *= 2  # a small grain has a shell half as thick
        mark = np.where(fragment < clinker, fragment_mark, mark)
        clinker = np.minimum(clinker, fragment)
        portlandite, portlandite_mark = self.portlandite.nearest(z, grid, 700.0)
        voids, _ = self.voids.nearest(z, grid, 200.0)
        return sand, clinker, mark, portlandite, portlandite_mark, voids

    def _clear_of_sand(self, grain: Grain) -> bool:
        place = Grid(grain.centre[1:2], grain.centre[2:3])
        distance, _ = self.sand.nearest(float(grain.centre[0]), place, 2 * grain.radius)
        return bool(distance[0, 0] > 1.1 * grain.radius)


def _shapes(structure: Structure) -> tuple[GrainShape, GrainShape, GrainShape, GrainShape, GrainShape]:
    sand = 1000 * structure.aggregate_radius_um
    clinker = 1000 * structure.clinker_radius_um
    portlandite = 1000 * structure.portlandite_radius_um
    return (
        GrainShape((0.92 * sand, 1.08 * sand), facets=16, roughness=0.08),
        GrainShape((0.65 * clinker, 1.35 * clinker), facets=13, roughness=0.2, flatness=(0.6, 1.0)),
        GrainShape((0.15 * clinker, 0.4 * clinker), facets=10, roughness=0.2, flatness=(0.5, 1.0)),
        GrainShape((0.7 * portlandite, 1.3 * portlandite), facets=12, roughness=0.18, flatness=(0.3, 0.9)),
        GrainShape((300.0, 800.0), facets=40, roughness=0.02, flatness=(0.9, 1.0)),
    )


def _place(rng: np.random.Generator, direction: float, distance: float) -> NDArray[np.float64]:
    """A point near the first slices, ``distance`` nm from the middle of the field."""
    return np.array([rng.uniform(200, 800), distance * np.sin(direction), distance * np.cos(direction)])


def _beside(grain: Grain, direction: float, gap_nm: float) -> Grain:
    """Move a grain along ``direction`` until its surface is ``gap_nm`` from the middle of the field."""
    middle = Grid(np.zeros(1), np.zeros(1))
    low, high = 0.0, 2 * grain.radius + gap_nm
    for _ in range(40):
        distance = (low + high) / 2
        centre = np.array([grain.centre[0], distance * np.sin(direction), distance * np.cos(direction)])
        moved = Grain(centre, grain.normals, grain.distances, grain.mark)
        if moved.distance(0.0, middle)[0, 0] < gap_nm:
            low = distance
        else:
            high = distance
    return moved
