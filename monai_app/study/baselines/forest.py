"""A random forest on features of every pixel at several scales."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from monai_app.domain.region import Rect
from monai_app.proposals.features import pixel_features
from monai_app.study.baselines.method import Labels, Parameters, Slab

TREES = 100

_SAMPLES = 20_000
"""Labelled pixels of a phase that the forest is trained on."""

_TILE = 512
"""Rows and columns whose features are computed at a time."""


@dataclass(frozen=True)
class Forest:
    """A random forest (Breiman 2001, doi 10.1023/A:1010933404324; scikit-learn's).

    Args:
        slices: that are seen at a time.
        seed: of samples and trees.
    """

    slices: int
    seed: int

    @property
    def choices(self) -> Sequence[Parameters]:
        """Least samples of a leaf."""
        return [{"least_samples": number} for number in (1, 5, 25)]

    def fit(self, parameters: Parameters, slabs: Sequence[Slab], labels: Sequence[Labels]) -> "Trees":
        """Train on as many labelled pixels of every phase, at most `_SAMPLES` of each."""
        rng = np.random.default_rng(self.seed)
        phases = sorted({phase for own in labels for phase in np.unique(own) if phase})
        chosen = [np.concatenate([_some(own == phase, rng, len(labels)) for phase in phases]) for own in labels]
        samples = [self._features_at(slab, places) for slab, places in zip(slabs, chosen, strict=True)]
        truth = np.concatenate([own[tuple(places.T)] for own, places in zip(labels, chosen, strict=True)])
        forest = RandomForestClassifier(
            TREES,
            min_samples_leaf=parameters["least_samples"],
            class_weight="balanced",
            n_jobs=len(os.sched_getaffinity(0)),
            random_state=self.seed,
        )
        return Trees(forest.fit(np.concatenate(samples), truth), self.slices)

    def _features_at(self, slab: Slab, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the features of pixels (pixels, 2) of a slice, computed tile by tile."""
        whole = Rect.whole((slab.shape[1], slab.shape[2]))
        found: npt.NDArray[np.float32] | None = None
        for tile in whole.split(_TILE, _TILE):
            inside = np.flatnonzero(
                (places[:, 0] // _TILE == tile.y.start // _TILE) & (places[:, 1] // _TILE == tile.x.start // _TILE)
            )
            if len(inside):
                features = pixel_features(slab, tile, self.slices)
                found = np.zeros((len(places), features.shape[-1]), np.float32) if found is None else found
                rows, columns = (places[inside] - (tile.y.start, tile.x.start)).T
                found[inside] = features[rows, columns]
        return np.zeros((0, 0), np.float32) if found is None else found


@dataclass(frozen=True)
class Trees:
    """A forest that was trained.

    Attributes:
        forest: scikit-learn's.
        slices: that it sees at a time.
    """

    forest: Any
    slices: int

    def predict(self, slab: Slab, rect: Rect) -> Labels:
        """Return the labels of a rectangle of the middle slice."""
        labels = np.zeros(rect.shape, np.uint8)
        for tile in rect.split(_TILE, _TILE):
            features = pixel_features(slab, tile, self.slices)
            found = self.forest.predict(features.reshape(-1, features.shape[-1]))
            labels[tile.relative_to(rect).index] = found.reshape(tile.shape)
        return labels


def _some(mask: npt.NDArray[np.bool_], rng: np.random.Generator, slices: int) -> npt.NDArray[np.int64]:
    """Places (pixels, 2) of at most a slice's share of the samples."""
    places = np.argwhere(mask)
    return rng.permutation(places)[: _SAMPLES // slices]
