"""A random forest on features of every pixel at several scales."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.proposals.features import computed, pixel_features, tiles_of
from monai_app.study.baselines.method import Labels, Parameters, Slab

_DRAFT_TREES = 20
"""Of the forests that parameters are chosen with, in a fifth of the time."""

_TILE = 256
"""Rows and columns that are labelled at a time."""


@dataclass(frozen=True)
class Forest:
    """A random forest (Breiman 2001, doi 10.1023/A:1010933404324; scikit-learn's).

    Args:
        slices: that are seen at a time.
        seed: of samples and trees.
        trees: their number.
        samples: labelled pixels of a phase that the forest is trained on, at most.
    """

    slices: int
    seed: int
    trees: int = 100
    samples: int = 20_000

    @property
    def choices(self) -> Sequence[Parameters]:
        """Least samples of a leaf."""
        return [{"least_samples": number} for number in (1, 5, 25)]

    @property
    def draft(self) -> "Forest":
        """With fewer trees."""
        return replace(self, trees=min(self.trees, _DRAFT_TREES))

    def fit(self, parameters: Parameters, slabs: Sequence[Slab], labels: Sequence[Labels]) -> "Trees":
        """Train on labelled pixels of every phase, at most `samples` of each."""
        from sklearn.ensemble import RandomForestClassifier

        rng = np.random.default_rng(self.seed)
        chosen = [_sampled(own, self.samples // len(labels), rng) for own in labels]
        features: list[npt.NDArray[np.float32]] = []
        truth: list[Labels] = []
        for slab, own, mask in zip(slabs, labels, chosen, strict=True):
            for tile in tiles_of(own.shape):
                features.append(pixel_features(slab, tile, self.slices)[mask[tile.index]])
                truth.append(own[tile.index][mask[tile.index]])
        forest = RandomForestClassifier(
            self.trees,
            min_samples_leaf=parameters["least_samples"],
            class_weight="balanced",
            n_jobs=len(os.sched_getaffinity(0)),
            random_state=self.seed,
        )
        return Trees(forest.fit(np.concatenate(features), np.concatenate(truth)), self.slices)


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
        tiles = [*rect.split(_TILE, _TILE)]
        for tile, features in computed(lambda tile: pixel_features(slab, tile, self.slices), tiles):
            found = self.forest.predict(features.reshape(-1, features.shape[-1]))
            labels[tile.relative_to(rect).index] = found.reshape(tile.shape)
        return labels


def _sampled(labels: Labels, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose so many pixels of every phase at most: (rows, columns)."""
    chosen = np.zeros(labels.shape, bool)
    for phase in set(np.unique(labels).tolist()) - {0}:
        chosen[tuple(rng.permutation(np.argwhere(labels == phase))[:most].T)] = True
    return chosen
