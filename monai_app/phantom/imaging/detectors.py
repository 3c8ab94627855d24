"""What a detector would see of the face without shading, streaks and noise: contrast, depth and relief.

The composition signal (BSE) and the secondary-electron signal (SE) of `phases` are mixed per detector. TLD is
dominated by composition; ICE is 0.4 composition and 0.6 SE with topography (the analogous pair EsB / SE2: Yao,
Focused Ion Beam Systems, ch. 6). Since SE contrast between hydrates is weak and quartz charges, the detectors
complement each other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from monai_app.phantom.config import Detector
from monai_app.phantom.resample import Floats, coarsen, look_up, refine, shifted
from monai_app.phantom.structure.microstructure import Plane
from monai_app.phantom.structure.phases import BSE, HARDNESS, SE, TEXTURE, Material
from monai_app.stack import Voxel

ESCAPE_NM = 30.0
"""Decay depth of the signal, about 0.3 of the Kanaya-Okayama range of hydrate at 2 kV (0.09 um)."""
_FAINT = 0.1
"""Planes that would add less than this are left out."""
_SHINE_NM = 330.0
"""Decay depth of the view into a pore."""
_SHINE_GAIN = 0.9
_SHINE_DEPTH_NM = 520.0
"""How far one looks into a pore; beyond it is dark."""
_SHINE_PLANES = 16
"""Most planes kept for looking into pores, which bounds the memory at thin slices."""
_BEAM_TILT = np.tan(np.deg2rad(38.0))
"""The electron beam of a DualBeam (52 degrees) meets the face 38 degrees off its normal, so depth is seen shifted."""
_SE_TEXTURE = 0.7
_RELIEF_NM, _RIM_NM = 55.0, 70.0
_LIGHT = (0.75, 0.65)
"""Direction (y, x) from which the side-mounted detector collects."""
_RELIEF_GAIN, _RIM_GAIN = 0.5, 0.7


class Buried(NamedTuple):
    """A plane below the face, moved back by the drift between the two."""

    plane: Plane
    depth_nm: float
    shift: tuple[int, int]
    """Rows and columns to add to an index of the face."""


class Hits(NamedTuple):
    """What is seen in the pores of a face, one entry a pore pixel."""

    place: NDArray[np.int64]
    """Flat index of the pixel in the face."""
    material: NDArray[np.uint8]
    """`Material` of the first solid behind it; pore if there is none in reach."""
    depth_nm: Floats
    """Its depth."""


def window_planes(voxel: Voxel) -> int:
    """Number of planes below the face that a slice needs."""
    return int(min(_SHINE_PLANES, np.ceil(_SHINE_DEPTH_NM / voxel.z)))


def look_into_pores(face: Plane, below: Sequence[Buried], voxel: Voxel) -> Hits:
    """Follow the beam through every pore pixel to the first solid.

    The depth of field of a SEM is high, so structures behind a pore are nearly as bright as the face (Prill, Schladitz,
    hal-00879573). A beam that meets the face at 38 degrees off its normal sees depth dz at ``dy = dz tan(38 deg)``.
    """
    rows, columns = face.material.shape
    place = np.flatnonzero(face.material == Material.PORE)
    found = np.zeros(len(place), dtype=np.uint8)
    depth = np.zeros(len(place), dtype=np.float32)
    open_still = np.arange(len(place))
    y, x = np.divmod(place, columns)
    for item in below:
        down = round(item.depth_nm * _BEAM_TILT / voxel.y) + item.shift[0]
        seen_y = np.clip(y[open_still] + down, 0, rows - 1)
        seen_x = np.clip(x[open_still] + item.shift[1], 0, columns - 1)
        seen = item.plane.material[seen_y, seen_x]
        solid = seen != Material.PORE
        hit = open_still[solid]
        found[hit], depth[hit] = seen[solid], item.depth_nm
        open_still = open_still[~solid]
    return Hits(place, found, depth)


def contrast(detector: Detector) -> tuple[Floats, Floats]:
    """Grey level and visibility of density fluctuations of every material, (materials,) each."""
    share = np.float32(detector.composition)
    return share * BSE + (1 - share) * SE, TEXTURE * (share + (1 - share) * np.float32(_SE_TEXTURE))


def bare_signal(
    face: Plane, below: Sequence[Buried], hits: Hits, detector: Detector, subsurface: float, shine_through: float
) -> Floats:
    """Signal (rows, columns) of a flat face with its depth, grey levels.

    Subsurface: ``I = sum_d a_d I(d)`` with ``a_d ~ exp(-d / R)``, R a third of the range of Kanaya and Okayama,
    J. Phys. D 5 (1972) 43. Pores: ``I = dark + (I_hit - dark) A exp(-d / l)``; the truth stays pore.
    """
    grey, visible = contrast(detector)
    signal, total = _tone(face, grey, visible), 1.0
    for item in below:
        weight = float(np.exp(-item.depth_nm / (ESCAPE_NM * subsurface))) if subsurface else 0.0
        if weight < _FAINT:
            break
        deeper = _tone(item.plane, grey, visible)
        deeper *= np.float32(weight)
        signal += shifted(deeper, *item.shift)
        total += weight
    signal *= np.float32(1 / total)
    dark = grey[Material.PORE]
    seen = np.minimum(1, shine_through * _SHINE_GAIN) * np.exp(-hits.depth_nm / np.float32(_SHINE_NM))
    signal.ravel()[hits.place] = dark + (grey[hits.material] - dark) * seen
    return signal


def _tone(plane: Plane, grey: Floats, visible: Floats) -> Floats:
    signal = look_up(visible, plane.material)
    signal *= plane.texture
    signal += look_up(grey, plane.material)
    return signal


def relief(face: Plane, hardness: Floats, voxel: Voxel) -> Floats:
    """Relative change of brightness (rows, columns) by topography, for a side-mounted detector.

    SE yield rises as 1 / cos of the local slope and at edges (Seiler, J. Appl. Phys. 54 (1983) R1). Hard materials
    stand proud of the milled face; slopes towards the detector are bright, slopes away from it dark, and pores have
    bright rims.
    """
    step = 2
    height = coarsen(hardness, step)
    sigma = [_RELIEF_NM / step / size for size in (voxel.y, voxel.x)]
    height = gaussian_filter(height, sigma, truncate=3.0, mode="nearest")
    change = np.zeros_like(height)
    for axis, towards in enumerate(_LIGHT):
        if height.shape[axis] > 1:
            change -= np.float32(_RELIEF_GAIN * towards * sigma[axis]) * np.gradient(height, axis=axis)
    solid = (face.material != Material.PORE).astype(np.float32)
    hollow = gaussian_filter(
        coarsen(1 - solid, step), [_RIM_NM / step / size for size in (voxel.y, voxel.x)], truncate=3.0
    )
    rim = refine(hollow, step, solid.shape)
    rim *= solid
    rim *= np.float32(_RIM_GAIN)
    rim += refine(change, step, solid.shape)
    return rim


def hardness_map(face: Plane) -> Floats:
    """Hardness (rows, columns) of the face."""
    return look_up(HARDNESS, face.material)
