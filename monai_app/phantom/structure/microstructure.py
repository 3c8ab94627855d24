"""The material: which material stands at a position in nm, a pure function of seed and position.

Cement mortar after Scrivener, Cem. Concr. Compos. 26 (2004) 935 and Taylor, Cement Chemistry (1997): clinker
remnants of alite, belite and ferrite inside shells of dense inner hydrate (860 nm thick in Zhao 2019, Materials
12:1882), some with a gap below the shell (Hadley grains: Head, Wong, Buenfeld, Cem. Concr. Res. 2006),
porous outer hydrate with irregular, partly connected capillary pores, portlandite crystals, round air voids, a few
shrinkage cracks, and flat quartz sand with a more porous transition zone around it. The amounts follow the Powers
model at a degree of hydration of about 0.8, with only the pores that a SEM resolves (5-15 %) as pore.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from monai_app.phantom.config import Structure
from monai_app.phantom.resample import Floats, coarse_length, interpolate, linear_weights, look_up
from monai_app.phantom.structure.fields import Grid, RandomField
from monai_app.phantom.structure.phases import PHASE_OF, Material
from monai_app.phantom.structure.scene import Scene

_COARSE_NM = 80.0
"""Spacing at which the smooth fields are computed before they are interpolated to the pixels."""


@dataclass(frozen=True)
class Plane:
    """The material in one plane.

    ``material`` (rows, columns) uint8 holds `Material` values, ``texture`` (rows, columns) int8 the density fluctuation
    in grey levels of outer hydrate.
    """

    material: NDArray[np.uint8]
    texture: NDArray[np.int8]

    @property
    def truth(self) -> NDArray[np.uint8]:
        """(rows, columns) phase values 1..5."""
        return look_up(PHASE_OF, self.material)


class _Smooth(NamedTuple):
    """Fields that vary slowly, interpolated to the pixels.

    The first four are signed distances in nm (``clinker`` in thousandths of its shell outside), the others levels.
    """

    aggregate: Floats
    clinker: Floats
    portlandite: Floats
    void: Floats
    pore: Floats
    crack: Floats
    mineral: Floats
    interstice: Floats
    shade: Floats


class Microstructure:
    """The material of one seed.

    Args:
        seed: the seed of the phantom.
        structure: amounts and sizes.
    """

    def __init__(self, seed: int, structure: Structure) -> None:
        self.structure = structure
        self._scene = Scene(seed, structure)
        self._fine = RandomField(seed, 21, 58.0)
        self._middle = RandomField(seed, 22, 150.0)
        self._pore = RandomField(seed, 23, structure.pore_nm)
        self._wide = RandomField(seed, 24, 1100.0)
        self._crack = RandomField(seed, 25, 2300.0)
        self._crack_where = RandomField(seed, 26, 1700.0)
        self._mineral = RandomField(seed, 27, 900.0)
        self._interstice = RandomField(seed, 28, 620.0)

    def plane(self, z_nm: float, grid: Grid) -> Plane:
        """The material at depth ``z_nm`` on ``grid``."""
        smooth = self._smooth(z_nm, grid)
        fine, middle = self._fine.sample(grid, z_nm), self._middle.sample(grid, z_nm)
        material = self._material(smooth, fine, middle)
        return Plane(material, _texture(smooth, fine, middle))

    def _smooth(self, z: float, grid: Grid) -> _Smooth:
        coarse, down, along = _coarse(grid)
        sand, clinker, clinker_mark, portlandite, portlandite_mark, void = self._scene.distances(z, coarse)
        wide, pore, interstice, where = (
            item.sample(coarse, z) for item in (self._wide, self._pore, self._interstice, self._crack_where)
        )
        # Grain surfaces are bent at the scale of a grain, else they look cut with a ruler.
        clinker += 170 * wide + 90 * interstice
        sand += 120 * wide
        shell = self.structure.shell_nm * (0.6 + 0.8 * clinker_mark)
        # A gap below the shell of some grains (Hadley grains), on one side of them.
        gap = (clinker > 20) & (clinker < 260 * np.clip(0.8 * where + 1.6 * clinker_mark - 1.2, 0, 0.8))
        fields = _Smooth(
            aggregate=sand,
            clinker=np.where(clinker < 0, clinker, clinker / shell * 1000),
            portlandite=portlandite + 150 * pore + 120 * wide,
            void=void,
            pore=_pore_field(pore + 0.35 * wide, sand, clinker / shell),
            crack=np.maximum(_crack(self._crack.sample(coarse, z), where), 2 * gap.astype(np.float32) - 1),
            mineral=self._mineral.sample(coarse, z) + 2.2 * (clinker_mark - 0.5),
            interstice=interstice,
            shade=np.float32(0.8) * pore + np.float32(1.2) * portlandite_mark - np.float32(0.6),
        )
        return _Smooth(*(interpolate(item, down, along) for item in fields))

    def _material(self, smooth: _Smooth, fine: Floats, middle: Floats) -> NDArray[np.uint8]:
        """Later lines overrule earlier ones."""
        rough = 14 * fine + 26 * middle
        pores = smooth.pore + 0.42 * middle + 0.2 * fine > self.structure.pore_level * 1.2
        material = np.where(pores, np.uint8(Material.PORE), np.uint8(Material.OUTER_HYDRATE))
        np.putmask(material, smooth.portlandite + 1.6 * rough < 0, Material.PORTLANDITE)
        np.putmask(material, smooth.clinker + 4 * rough < 1000, Material.INNER_HYDRATE)
        np.putmask(material, smooth.crack + 0.25 * middle > 0.2, Material.PORE)
        np.putmask(material, smooth.void + 0.4 * rough < 0, Material.PORE)
        remnant = np.flatnonzero(smooth.clinker + 1.1 * rough < 0)
        kinds = (item.ravel()[remnant] for item in (smooth.mineral, smooth.interstice, middle))
        material.ravel()[remnant] = _minerals(*kinds)
        np.putmask(material, (smooth.aggregate < 70) & (smooth.shade + 0.5 * middle > 0.75), Material.PORE)
        np.putmask(material, smooth.aggregate + 0.35 * rough < 0, Material.QUARTZ)
        return material


def _minerals(mineral: Floats, interstice: Floats, middle: Floats) -> NDArray[np.uint8]:
    """Rounded belite in alite, with thin ferrite between them."""
    found = np.where(mineral + 0.1 * middle > 0.55, np.uint8(Material.BELITE), np.uint8(Material.ALITE))
    found[np.abs(interstice + 0.12 * middle - 0.25) < 0.11] = Material.FERRITE
    return found


def _pore_field(field: Floats, sand: Floats, shell: Floats) -> Floats:
    """More pore in the transition zone around sand (Scrivener et al., Interface Sci. 12 (2004) 411), none in shells."""
    transition = np.float32(0.45) * np.exp(-np.maximum(sand, 0) / np.float32(700))
    total: Floats = field + transition - np.float32(6) * np.clip(1 - shell, 0, 1)
    return total


def _crack(level: Floats, where: Floats) -> Floats:
    """Positive in a thin sheet around the zero surface of ``level``, open only where ``where`` is high."""
    opening = (0.03 * np.clip(where - 0.25, 1e-6, 1.2)).astype(np.float32)
    closeness: Floats = np.maximum(np.float32(1) - np.abs(level) / opening, np.float32(-1)).astype(np.float32)
    return closeness


def _texture(smooth: _Smooth, fine: Floats, middle: Floats) -> NDArray[np.int8]:
    """Density fluctuation: finer grains of hydrate, darker where the pore field nearly is a pore."""
    texture = 7.5 * fine + 7.0 * middle + 5.0 * smooth.shade
    texture -= 9 * np.clip(smooth.pore + 0.4, -0.6, 1.2)
    limited: NDArray[np.int8] = np.clip(texture, -127, 127).astype(np.int8)
    return limited


def _coarse(grid: Grid) -> tuple[Grid, csr_array, csr_array]:
    """A grid of about `_COARSE_NM` over ``grid`` and the sparse matrices that interpolate from it, rows and columns."""
    rows, down = _thin(grid.y)
    columns, along = _thin(grid.x)
    return Grid(rows, columns), down, along


def _thin(positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], csr_array]:
    """Every n-th position (and one beyond) and the matrix (positions, thinned) of linear interpolation."""
    count = len(positions)
    pixel = (positions[-1] - positions[0]) / max(count - 1, 1)
    step = max(1, int(_COARSE_NM / pixel)) if pixel else 1
    knots = positions[0] + pixel * step * np.arange(coarse_length(count, step))
    return knots, linear_weights(count, step)
