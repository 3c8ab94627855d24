"""The simulator: slice after slice, with memory for a few planes only."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monai_app.artefacts import Curtains
from monai_app.phantom.config import PhantomConfig
from monai_app.phantom.imaging import artefacts
from monai_app.phantom.imaging.detectors import (
    Buried,
    bare_signal,
    hardness_map,
    look_into_pores,
    relief,
    window_planes,
)
from monai_app.phantom.imaging.stage import Position, positions
from monai_app.phantom.resample import Floats, look_up, soften
from monai_app.phantom.structure.fields import Grid
from monai_app.phantom.structure.microstructure import Microstructure, Plane
from monai_app.phantom.structure.phases import Material
from monai_app.stack import Voxel

_NOISE_STREAM = 40
_CURTAIN_IN_PORES = np.array([0.35 if material is Material.PORE else 1.0 for material in Material], dtype=np.float32)
"""Curtains are relief of the face, of which a pore has little."""


@dataclass(frozen=True)
class PhantomSlice:
    """One simulated slice.

    Args:
        z: index of the slice.
        truth: (rows, columns) uint8, phase values 1..5.
        images: detector name -> (rows, columns) uint8.
        position: where the slice was really cut.
    """

    z: int
    truth: NDArray[np.uint8]
    images: dict[str, NDArray[np.uint8]]
    position: Position


def simulate(config: PhantomConfig) -> Iterator[PhantomSlice]:
    """Simulate a stack slice by slice.

    The first slices of a longer stack are the same as those of a shorter one. Memory does not grow with the number of
    slices: a slice needs the planes below it that one may see through its pores, and no more.

    Example:
        >>> config = PhantomConfig(slices=2, rows=48, columns=64)
        >>> [(item.z, item.truth.shape, sorted(item.images)) for item in simulate(config)]
        [(0, (48, 64), ['ICE', 'TLD']), (1, (48, 64), ['ICE', 'TLD'])]
    """
    simulator = _Simulator(config)
    structure = Microstructure(config.seed, config.structure)
    window: deque[tuple[Position, Plane]] = deque()
    track = positions(config)
    for _ in range(config.slices):
        while len(window) <= window_planes(config.voxel_nm):
            position = next(track)
            window.append((position, structure.plane(position.depth_nm, field_grid(config, position))))
        yield simulator.slice(window)
        window.popleft()


def field_grid(config: PhantomConfig, position: Position) -> Grid:
    """Positions (nm) of the pixels of a slice; the middle of the undrifted field is (0, 0)."""
    y = _centred(config.rows, config.voxel_nm.y) + position.drift_y_nm
    x = _centred(config.columns, config.voxel_nm.x) + position.drift_x_nm
    return Grid(y, x)


def _centred(count: int, spacing: float) -> NDArray[np.float64]:
    return (np.arange(count, dtype=np.float64) - (count - 1) / 2) * spacing


class _Simulator:
    """Turns planes into images; holds what is the same for every slice."""

    def __init__(self, config: PhantomConfig) -> None:
        self._config = config
        strengths = config.artefacts
        self._curtains = Curtains((config.rows, config.columns), (config.voxel_nm.y, config.voxel_nm.x), config.seed)
        self._shadows = [
            artefacts.shadow(config.rows, config.columns, strengths.shadowing * detector.shadow)
            for detector in config.detectors
        ]
        self._tables = [
            artefacts.noise_table(detector.electrons, detector.read_noise, strengths.noise)
            for detector in config.detectors
        ]

    def slice(self, window: deque[tuple[Position, Plane]]) -> PhantomSlice:
        """Image the first plane of the window; the others lie below it."""
        (position, face), voxel = window[0], self._config.voxel_nm
        below = [_buried(position, deeper, voxel) for deeper in list(window)[1:]]
        hits = look_into_pores(face, below, voxel)
        hardness = hardness_map(face)
        surface, streaks, charge = self._shared(face, hardness, position)
        images = {}
        for channel, detector in enumerate(self._config.detectors):
            strengths = self._config.artefacts
            signal = bare_signal(face, below, hits, detector, strengths.subsurface, strengths.shine_through)
            signal = soften(signal, strengths.blur * detector.blur_px)
            change = surface * np.float32(strengths.topography * detector.topography)
            change += streaks * np.float32(strengths.curtaining * detector.curtain_gain)
            change += 1
            signal *= np.maximum(change, 0, out=change)
            signal -= charge * np.float32(strengths.charging * detector.charging)
            images[detector.name] = self._record(signal, channel, position.z)
        return PhantomSlice(position.z, face.truth, images, position)

    def _shared(self, face: Plane, hardness: Floats, position: Position) -> tuple[Floats, Floats, Floats]:
        """Relief, curtains and charge of the face at strength 1: both detectors see the same."""
        surface = relief(face, hardness, self._config.voxel_nm)
        streaks = self._curtains.brightness(hardness, position.depth_nm)
        streaks *= look_up(_CURTAIN_IN_PORES, face.material)
        return surface, streaks, artefacts.charge(face.material, self._config.voxel_nm.x)

    def _record(self, signal: Floats, channel: int, z: int) -> NDArray[np.uint8]:
        """Shade and record a signal; noise and flicker of a detector have a separate random stream."""
        rng = np.random.default_rng([self._config.seed, _NOISE_STREAM, channel, z])
        signal *= self._shadows[channel]
        signal *= artefacts.flicker(self._config.rows, self._config.artefacts.flicker, rng)
        return artefacts.record(signal, self._tables[channel], rng)


def _buried(face: Position, deeper: tuple[Position, Plane], voxel: Voxel) -> Buried:
    position, plane = deeper
    shift = (
        round((face.drift_y_nm - position.drift_y_nm) / voxel.y),
        round((face.drift_x_nm - position.drift_x_nm) / voxel.x),
    )
    return Buried(plane, position.depth_nm - face.depth_nm, shift)
