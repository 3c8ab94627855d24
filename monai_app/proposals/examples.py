"""The painted pixels that a forest is trained on."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError
from monai_app.proposals.features import SLICES, computed, pixel_features, tiles_of
from monai_app.stack import SlabSource, Stack
from monai_app.stack.annotations.editing import check_phases, checked_labels

_MOST = 3000
"""Pixels of a phase, in all slices together."""

_TILES = 16
"""Maximum tiles of a slice from which pixels of a phase are taken, because features of all tiles take seconds."""

Labels = npt.NDArray[np.uint8]
"""(rows, columns): 0 unlabelled, 1..K the phases."""

Given = Mapping[int, npt.NDArray[np.integer]]
"""z -> labels (rows, columns) of any integer type."""


def painted_labels(stack: Stack, given: Given) -> dict[int, Labels]:
    """Return the labels for training by z, never those of test slices.

    Args:
        stack: the stack.
        given: in place of stored annotations.

    Raises:
        AnnotationError: the stack has no phases, labels do not fit it, or fewer than two phases are painted.
    """
    check_phases(stack)
    stored = {z: stack.read_annotation(z) for z in stack.train_slices if z not in given}
    fitting = {z: checked_labels(stack, z, plane) for z, plane in given.items() if z not in stack.test_slices}
    painted = {z: plane for z, plane in sorted({**stored, **fitting}.items()) if plane is not None}
    phases = {phase for plane in painted.values() for phase in np.unique(plane).tolist()}
    names = [phase.name for phase in stack.phases if phase.value in phases]
    if len(names) < 2:
        what = f"only {names[0]} is painted" if names else "nothing is painted"
        raise AnnotationError(
            f"{what} in the training slices of {stack.path.name}; paint pixels of at least two phases (of "
            f"{', '.join(phase.name for phase in stack.phases)}), so that they can be distinguished"
        )
    return painted


def examples(
    stack: SlabSource, painted: Mapping[int, Labels], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], Labels]:
    """Return features (n, features) and phases (n) of painted pixels, of every slice as many of a phase at most."""
    features: list[npt.NDArray[np.float32]] = []
    phases: list[Labels] = []
    for z, plane in painted.items():
        chosen = _sampled(plane, max(1, _MOST // len(painted)), rng)
        slab = stack.read_slab(z, stack.detectors, SLICES)
        tiles = [tile for tile in tiles_of(plane.shape) if chosen[tile.index].any()]
        for tile, found in computed(lambda tile: pixel_features(slab, tile)[chosen[tile.index]], tiles):  # noqa: B023
            features.append(found)
            phases.append(plane[tile.index][chosen[tile.index]])
    return np.concatenate(features), np.concatenate(phases)


def _sampled(plane: Labels, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose so many pixels of every phase at most, (rows, columns); not in all tiles of what is painted all over."""
    tiles = tiles_of(plane.shape)
    order = rng.permutation(len(tiles))
    chosen = np.zeros(plane.shape, bool)
    for phase in set(np.unique(plane).tolist()) - {0}:
        found: list[npt.NDArray[np.int64]] = []
        for tile in (tiles[number] for number in order):
            pixels = np.argwhere(plane[tile.index] == phase)
            if len(pixels):
                found.append(np.add(pixels, (tile.y.start, tile.x.start)))
            if len(found) >= _TILES and sum(map(len, found)) >= most:
                break
        chosen[tuple(rng.permutation(np.concatenate(found))[:most].T)] = True
    return chosen
