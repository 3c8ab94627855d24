"""A random forest that is trained on painted pixels, and the labels that it proposes for a slice."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError
from monai_app.progress import Progress, silent
from monai_app.proposals.features import SLICES, pixel_features
from monai_app.stack import Stack
from monai_app.stack.annotations.editing import check_phases

_TREES = 50

_DEPTH = 12

_SAMPLES = 3000
"""Painted pixels of a phase that the forest is trained on, in all slices together."""

_TILE = 256
"""Rows and columns of a slice whose features are computed at a time: it bounds the memory."""

Labels = npt.NDArray[np.uint8]
"""(rows, columns): 0 unlabelled, 1..K the phases."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is proposed for a slice.

    Attributes:
        z: the slice.
        labels: (rows, columns), 1..K the phases; 0 where a slice that was moved at the ingestion has no pixels. Painted
            pixels keep their phase.
        confidence: (rows, columns), float32: the greatest of the phases' mean probabilities over the trees, 0..1; 1
            where a pixel is painted, 0 where there is none.
        missing: the phases of the stack of which no pixel is painted, so that none is proposed.
    """

    z: int
    labels: Labels
    confidence: npt.NDArray[np.float32]
    missing: tuple[Phase, ...]


class Forest:
    """A random forest that tells phases apart; `train_forest` makes one."""

    def __init__(self, stack: Stack, painted: Mapping[int, Labels], classifier: Any) -> None:
        self._stack, self._painted, self._classifier = stack, painted, classifier
        known = set(classifier.classes_.tolist())
        self.missing = tuple(phase for phase in stack.phases if phase.value not in known)

    def propose(self, z: int, progress: Progress = silent) -> Proposal:
        """Propose labels of a slice.

        Args:
            z: the slice.
            progress: called for every tile.

        Raises:
            StackError: there is no such slice.
            AnnotationError: it is a slice to test on.
        """
        check_target(self._stack, z)
        whole = Rect.whole(self._stack.shape)
        slab = self._stack.read_slab(z, self._stack.detectors, SLICES)
        labels, confidence = np.zeros(whole.shape, np.uint8), np.zeros(whole.shape, np.float32)
        tiles = list(whole.split(_TILE, _TILE))
        progress(0, len(tiles))
        for done, (tile, found) in enumerate(_computed(lambda tile: self._classify(slab, tile), tiles), 1):
            labels[tile.index], confidence[tile.index] = found
            progress(done, len(tiles))
        inside = self._stack.inside(z, whole)
        if inside is not None:
            labels[~inside], confidence[~inside] = 0, 0
        if z in self._painted:
            known = self._painted[z] > 0
            labels[known], confidence[known] = self._painted[z][known], 1
        return Proposal(z, labels, confidence, self.missing)

    def _classify(self, slab: npt.NDArray[np.integer], tile: Rect) -> tuple[Labels, npt.NDArray[np.float32]]:
        features = pixel_features(slab, tile)
        shares = self._classifier.predict_proba(features.reshape(-1, features.shape[-1]))
        phases = self._classifier.classes_[shares.argmax(axis=1)]
        return phases.reshape(tile.shape), shares.max(axis=1).reshape(tile.shape).astype(np.float32)


def train_forest(stack: Stack, labels: Mapping[int, Labels] | None = None, seed: int = 0) -> Forest:
    """Train a random forest on what is painted in the slices to train on.

    The annotations of slices to test on are never used: a slice whose labels a proposal helped to make could not say
    how good a model is.

    Args:
        stack: the stack.
        labels: z -> (rows, columns), uint8, 0 unlabelled and 1..K the phases, in place of the stored annotation:
            what is painted and not saved yet. Those of slices to test on are not used.
        seed: of the forest, and of which of the painted pixels it is trained on. The same seed, stack and labels give
            the same forest.

    Raises:
        AnnotationError: the stack has no phases, or fewer than two of them are painted.
    """
    from sklearn.ensemble import RandomForestClassifier

    check_phases(stack)
    painted = _painted(stack, labels or {})
    features, phases = _examples(stack, painted, np.random.default_rng(seed))
    forest = RandomForestClassifier(
        _TREES, max_depth=_DEPTH, class_weight="balanced", random_state=seed, n_jobs=_threads()
    ).fit(features, phases)
    forest.n_jobs = 1  # tiles are computed side by side
    return Forest(stack, painted, forest)


def check_target(stack: Stack, z: int) -> None:
    """Check that labels may be proposed for a slice.

    Raises:
        StackError: there is no such slice.
        AnnotationError: it is a slice to test on.
    """
    stack.check_slice(z)
    if z in stack.test_slices:
        raise AnnotationError(
            f"slice {z} of {stack.path.name} is to test on: labels proposed from the training slices would agree with "
            "a model of them more than the material does; label it without a proposal, or make it a slice to train on"
        )


def _painted(stack: Stack, labels: Mapping[int, Labels]) -> dict[int, Labels]:
    """z -> labels of the slices that are learnt from."""
    stored = {z: stack.read_annotation(z) for z in stack.train_slices if z not in labels}
    given = {z: plane for z, plane in labels.items() if z not in stack.test_slices}
    painted = {z: plane for z, plane in sorted({**stored, **given}.items()) if plane.any()}
    names = [phase.name for phase in stack.phases if any((plane == phase.value).any() for plane in painted.values())]
    if len(names) < 2:
        what = f"only {names[0]} is painted" if names else "nothing is painted"
        raise AnnotationError(
            f"{what} in the training slices of {stack.path.name}; paint pixels of at least two phases (of "
            f"{', '.join(phase.name for phase in stack.phases)}), so that they can be told apart"
        )
    return painted


def _examples(
    stack: Stack, painted: Mapping[int, Labels], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Features (n, features) and phases (n) of the pixels that the forest is trained on."""
    features: list[npt.NDArray[np.float32]] = []
    phases: list[npt.NDArray[np.uint8]] = []
    for z, plane in painted.items():
        chosen = _sampled(plane, _SAMPLES // len(painted), rng)
        slab = stack.read_slab(z, stack.detectors, SLICES)
        tiles = [tile for tile in Rect.whole(plane.shape).split(_TILE, _TILE) if chosen[tile.index].any()]
        for tile, found in _computed(lambda tile: pixel_features(slab, tile)[chosen[tile.index]], tiles):  # noqa: B023
            features.append(found)
            phases.append(plane[tile.index][chosen[tile.index]])
    return np.concatenate(features), np.concatenate(phases)


def _sampled(plane: Labels, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose so many pixels of every phase at most."""
    chosen = np.zeros(plane.size, bool)
    for phase in np.unique(plane[plane > 0]):
        pixels = np.flatnonzero(plane == phase)
        chosen[rng.permutation(pixels)[: max(1, most)]] = True
    return chosen.reshape(plane.shape)


def _computed(compute: Callable[[Rect], _T], tiles: Sequence[Rect]) -> Iterator[tuple[Rect, _T]]:
    """Every tile with what is computed of it, in their order; several are computed at a time."""
    with ThreadPoolExecutor(_threads()) as pool:
        yield from zip(tiles, pool.map(compute, tiles), strict=True)


def _threads() -> int:
    return len(os.sched_getaffinity(0))
