"""The five phases of the phantom and the materials they are made of.

A **phase** is what the truth says, a **material** is what a detector sees: clinker is one phase and three
materials. Grey levels are 8-bit means of a clean image. The composition (BSE) signal follows the backscatter
coefficients of Reuter, ``eta(Z) = -0.0254 + 0.016 Z - 1.86e-4 Z^2 + 8.3e-7 Z^3`` mixed by mass fraction: C4AF
0.186, alite 0.172, belite 0.166, portlandite 0.162, C-S-H 0.138-0.150, quartz 0.125, void 0; the order pore <
hydrate < portlandite < clinker is that of Scrivener, Cem. Concr. Compos. 26 (2004) 935. Porous outer hydrate drops
to the level of quartz. The secondary-electron (SE) contrast between the solids is weak; that quartz charges and so
looks bright is a modelling choice.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monai_app.stack import Phase

PHASES: tuple[Phase, ...] = (
    Phase(value=1, name="pore", rgb=(0, 0, 0)),
    Phase(value=2, name="hydrate", rgb=(86, 180, 233)),
    Phase(value=3, name="portlandite", rgb=(0, 158, 115)),
    Phase(value=4, name="clinker", rgb=(230, 159, 0)),
    Phase(value=5, name="aggregate", rgb=(204, 121, 167)),
)
"""Values 1..5 in order; colours of Okabe and Ito (2008), which colour-blind people can distinguish."""


class Material(IntEnum):
    """What a voxel is made of; the index into every table below."""

    PORE = 0
    OUTER_HYDRATE = 1
    INNER_HYDRATE = 2
    PORTLANDITE = 3
    BELITE = 4
    ALITE = 5
    FERRITE = 6
    QUARTZ = 7


@dataclass(frozen=True)
class _Properties:
    phase: int
    bse: float
    se: float
    texture: float
    hardness: float
    charging: float


_TABLE: dict[Material, _Properties] = {
    Material.PORE: _Properties(1, bse=24, se=26, texture=0.0, hardness=-1.0, charging=0.5),
    Material.OUTER_HYDRATE: _Properties(2, bse=98, se=116, texture=1.0, hardness=0.0, charging=0.1),
    Material.INNER_HYDRATE: _Properties(2, bse=119, se=110, texture=0.40, hardness=0.2, charging=0.1),
    Material.PORTLANDITE: _Properties(3, bse=140, se=117, texture=0.18, hardness=0.15, charging=0.2),
    Material.BELITE: _Properties(4, bse=172, se=126, texture=0.16, hardness=0.55, charging=0.2),
    Material.ALITE: _Properties(4, bse=190, se=131, texture=0.10, hardness=0.6, charging=0.2),
    Material.FERRITE: _Properties(4, bse=216, se=127, texture=0.12, hardness=0.5, charging=0.0),
    Material.QUARTZ: _Properties(5, bse=102, se=154, texture=0.05, hardness=0.8, charging=1.0),
}


def _column(name: str) -> NDArray[np.float32]:
    return np.array([getattr(_TABLE[material], name) for material in Material], dtype=np.float32)


PHASE_OF = _column("phase").astype(np.uint8)
"""(materials,) the phase value of every material."""
BSE = _column("bse")
"""(materials,) clean 8-bit grey of the composition signal."""
SE = _column("se")
"""(materials,) clean 8-bit grey of the secondary-electron signal."""
TEXTURE = _column("texture")
"""(materials,) how strongly density fluctuations show, relative to outer hydrate."""
HARDNESS = _column("hardness")
"""(materials,) how far a material stands proud after milling, relative; differences start curtains and give relief."""
CHARGING = _column("charging")
"""(materials,) charge left by the beam, relative to quartz (insulators: quartz > pore edges > C-S-H)."""
