"""A random forest on features of every pixel at several scales."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.proposals.features import computed, pixel_features, tiles_of
from monai_app.study.baselines.method import Labels, Parameters, Slab

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

    def fit(self, choices: Sequence[Parameters], slabs: Sequence[Slab], labels: Sequence[Labels]) -> "list[Trees]":
        """Train on labelled pixels of every phase, at most `samples` of each; their features are computed once."""
        from sklearn.ensemble import RandomForestClassifier

        features, truth = self._examples(slabs, labels)
        forests = [
            RandomForestClassifier(
                self.trees,
                min_samples_leaf=parameters["least_samples"],
                class_weight="balanced",
                n_jobs=len(os.sched_getaffinity(0)),
                random_state=self.seed,
            )
            for parameters in choices
        ]
        return [Trees(forest.fit(features, truth), self.slices) for forest in forests]

    def predict(self, fitted: "Sequence[Trees]", slab: Slab, rect: Rect) -> list[Labels]:
        """Return the labels of a rectangle of the middle slice by each forest; its features are computed once."""
        return _predict([each.forest for each in fitted], self.slices, slab, rect)

    def _examples(
        self, slabs: Sequence[Slab], labels: Sequence[Labels]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Features (pixels, features) and phases (pixels) of the pixels that are learnt from."""
        rng = np.random.default_rng(self.seed)
        chosen = [_sampled(own, self.samples // len(labels), rng) for own in labels]
        features: list[npt.NDArray[np.float32]] = []
        truth: list[Labels] = []
        for slab, own, mask in zip(slabs, labels, chosen, strict=True):
            tiles = [tile for tile in tiles_of(own.shape) if mask[tile.index].any()]

            def seen(tile: Rect, slab: Slab = slab, mask: npt.NDArray[np.bool_] = mask) -> npt.NDArray[np.float32]:
                return pixel_features(slab, tile, self.slices)[mask[tile.index]]

            for tile, found in computed(seen, tiles):
                features.append(found)
                truth.append(own[tile.index][mask[tile.index]])
        return np.concatenate(features), np.concatenate(truth)


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
        [labels] = _predict([self.forest], self.slices, slab, rect)
        return labels


def _predict(forests: Sequence[Any], slices: int, slab: Slab, rect: Rect) -> list[Labels]:
    labels = [np.zeros(rect.shape, np.uint8) for _ in forests]
    tiles = [*rect.split(_TILE, _TILE)]
    for tile, features in computed(lambda tile: pixel_features(slab, tile, slices), tiles):
        pixels = features.reshape(-1, features.shape[-1])
        for own, forest in zip(labels, forests, strict=True):
            own[tile.relative_to(rect).index] = forest.predict(pixels).reshape(tile.shape)
    return labels


def _sampled(labels: Labels, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose so many pixels of every phase at most: (rows, columns)."""
    chosen = np.zeros(labels.shape, bool)
    for phase in set(np.unique(labels).tolist()) - {0}:
        chosen[tuple(rng.permutation(np.argwhere(labels == phase))[:most].T)] = True
    return chosen
