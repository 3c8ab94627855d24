"""Images of a stack with an added artefact."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monai_app.artefacts import (
    Curtains,
    amplified,
    apparent_hardness,
    brightened,
    curtained,
    displaced,
    noisy,
    shaded,
)
from monai_app.domain.region import Rect
from monai_app.stack import SlabSource, Stack
from monai_app.study.robustness.strengths import Condition

_SEED = 0
"""Of all artefacts, so that every run sees the same ones, and a strength changes nothing but their strength."""

_NOISE, _DRIFT, _SHIFT = range(3)
"""Streams of random numbers."""

_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Down, up, right, left: along them whole pixels are displaced without interpolation, which would take noise away."""

Images = npt.NDArray[np.integer]
"""(detectors, rows, columns) of one slice."""


class Place(NamedTuple):
    """Where images lie: slice ``z``, of a slab around slice ``target``, in a stack of voxels ``voxel_nm`` (z, y, x)."""

    z: int
    target: int
    voxel_nm: tuple[float, float, float]


class AlteredStack(SlabSource):
    """A stack as it would be had it been recorded with an artefact; its annotations lie where they were.

    Args:
        stack: as it was recorded.
        condition: which artefact, and how strong.
        target: the slice that is labelled; drift moves its neighbours.
    """

    def __init__(self, stack: Stack, condition: Condition, target: int) -> None:
        self.path, self.detectors, self.gaps = stack.path, stack.detectors, stack.gaps
        self.shape, self.dtype = stack.shape, stack.dtype
        self._stack, self._condition, self._target = stack, condition, target
        self._altered: dict[int, Images] = {}

    def _plane(self, channel: int, z: int, rect: Rect) -> Images:
        if z not in self._altered:
            self._altered[z] = self._alter(z)
        return self._altered[z][(channel, *rect.index)]

    def _alter(self, z: int) -> Images:
        images = self._stack.read_slab(z, self.detectors, 1)
        lay = _ARTEFACTS.get(self._condition.artefact)
        if lay is None:
            return images
        return lay(images, Place(z, self._target, self._stack.voxel_nm), self._condition.strength)


def _curtaining(images: Images, place: Place, strength: float) -> Images:
    """All detectors see the same curtains, which persist from slice to slice."""
    thickness, height, width = place.voxel_nm
    curtains = Curtains((images.shape[1], images.shape[2]), (height, width), _SEED)
    streaks = curtains.brightness(apparent_hardness(images), place.z * thickness)
    return np.stack([curtained(image, streaks, strength) for image in images])


def _shading(images: Images, place: Place, strength: float) -> Images:
    return np.stack([shaded(image, strength) for image in images])


def _noise(images: Images, place: Place, strength: float) -> Images:
    streams = [np.random.default_rng([_SEED, _NOISE, channel, place.z]) for channel in range(len(images))]
    return np.stack([noisy(image, strength, rng) for image, rng in zip(images, streams, strict=True)])


def _drift(images: Images, place: Place, strength: float) -> Images:
    """All detectors are scanned together, so they move together."""
    if place.z == place.target:
        return images
    down, right = _direction(_DRIFT, place.z)
    return np.stack([displaced(image, down * strength, right * strength) for image in images])


def _detector_shift(images: Images, place: Place, strength: float) -> Images:
    """A detector is displaced alike in all slices."""
    first, *others = images
    moves = [_direction(_SHIFT, channel) for channel in range(len(others))]
    pairs = zip(others, moves, strict=True)
    return np.stack([first, *(displaced(image, down * strength, right * strength) for image, (down, right) in pairs)])


def _gain(images: Images, place: Place, strength: float) -> Images:
    return np.stack([amplified(image, strength) for image in images])


def _offset(images: Images, place: Place, strength: float) -> Images:
    return np.stack([brightened(image, strength) for image in images])


def _direction(stream: int, number: int) -> tuple[int, int]:
    return _DIRECTIONS[np.random.default_rng([_SEED, stream, number]).integers(len(_DIRECTIONS))]


_ARTEFACTS: Mapping[str, Callable[[Images, Place, float], Images]] = {
    "curtaining": _curtaining,
    "shading": _shading,
    "noise": _noise,
    "drift": _drift,
    "detector_shift": _detector_shift,
    "gain": _gain,
    "offset": _offset,
}
