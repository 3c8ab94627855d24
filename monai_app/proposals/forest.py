"""A random forest that is trained on painted pixels, and the labels that it proposes for a slice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError
from monai_app.progress import Progress, silent
from monai_app.proposals.examples import Given, Labels, examples, painted_labels
from monai_app.proposals.features import SLICES, computed, pixel_features, tiles_of
from monai_app.stack import Stack

_TREES = 50

_LEAF = 5
"""Least pixels of a leaf, or all of the rarest phase where it has fewer."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is proposed for a slice.

    Attributes:
        z: the slice.
        labels: (rows, columns), 1..K the phases; 0 where a slice that was moved at the ingestion has no pixels. Painted
            pixels keep their phase.
        confidence: (rows, columns), float32: the greatest of the phases' mean probabilities over the trees, 0..1; 1
            where a pixel is painted, 0 if there is none.
        missing: the phases of the stack of which no pixel is painted, so that none is proposed.
    """

    z: int
    labels: Labels
    confidence: npt.NDArray[np.float32]
    missing: tuple[Phase, ...]


class Forest:
    """A random forest that classifies phases; `train_forest` creates one.

    Attributes:
        stack: the stack.
        missing: its phases of which no pixel is painted, so that none is proposed.
    """

    def __init__(self, stack: Stack, painted: Mapping[int, Labels], trees: Any) -> None:
        self.stack, self._painted, self._trees = stack, painted, trees
        self.missing = tuple(phase for phase in stack.phases if phase.value not in trees.classes_)

    def propose(self, z: int, progress: Progress = silent) -> Proposal:
        """Propose labels of a slice.

        Args:
            z: the slice.
            progress: called for every tile.

        Raises:
            StackError: there is no such slice.
            AnnotationError: it is a slice to test on.
        """
        check_target(self.stack, z)
        whole = Rect.whole(self.stack.shape)
        slab = self.stack.read_slab(z, self.stack.detectors, SLICES)
        labels, confidence = np.zeros(whole.shape, np.uint8), np.zeros(whole.shape, np.float32)
        tiles = tiles_of(whole.shape)
        progress(0, len(tiles))
        for done, (tile, found) in enumerate(computed(lambda tile: self._classify(slab, tile), tiles), 1):
            labels[tile.index], confidence[tile.index] = found
            progress(done, len(tiles))
        inside = self.stack.inside(z, whole)
        if inside is not None:
            labels[~inside], confidence[~inside] = 0, 0
        if z in self._painted:
            known = self._painted[z] > 0
            labels[known], confidence[known] = self._painted[z][known], 1
        return Proposal(z, labels, confidence, self.missing)

    def _classify(self, slab: npt.NDArray[np.integer], tile: Rect) -> tuple[Labels, npt.NDArray[np.float32]]:
        features = pixel_features(slab, tile).reshape(-1, self._trees.n_features_in_)
        # The forest's own predict_proba changes settings of the whole process, and tiles are computed side by side.
        trees = self._trees.estimators_
        shares = sum(tree.predict_proba(features, check_input=False) for tree in trees) / len(trees)
        phases = self._trees.classes_[shares.argmax(axis=1)]
        return phases.reshape(tile.shape), shares.max(axis=1).reshape(tile.shape)


def train_forest(stack: Stack, labels: Given | None = None, seed: int = 0) -> Forest:
    """Train a random forest on the painted pixels of the training slices.

    Its trees are extremely randomised (Geurts, Ernst and Wehenkel 2006, doi 10.1007/s10994-006-6226-1): thresholds are
    drawn too, and follow the noise of a few painted pixels less than the best ones would. Annotations of slices to test
    on are never used.

    Args:
        stack: the stack.
        labels: z -> (rows, columns), 0 unlabelled and 1..K the phases, in place of the stored annotation: what is
            painted and not saved yet. Those of slices to test on are not used.
        seed: of the forest, and of which of the painted pixels it is trained on. The same seed, stack and labels give
            the same forest.

    Raises:
        AnnotationError: the stack has no phases, labels do not fit it, or fewer than two phases are painted.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    painted = painted_labels(stack, labels or {})
    features, phases = examples(stack, painted, np.random.default_rng(seed))
    leaf = min(_LEAF, *np.unique(phases, return_counts=True)[1].tolist())
    trees = ExtraTreesClassifier(_TREES, min_samples_leaf=leaf, class_weight="balanced", random_state=seed)
    return Forest(stack, painted, trees.fit(features, phases))


def propose(
    stack: Stack, z: int, *, labels: Given | None = None, seed: int = 0, progress: Progress = silent
) -> Proposal:
    """Train a forest on what is painted, and propose labels of a slice.

    Args:
        stack: the stack.
        z: the slice.
        labels: z -> (rows, columns), in place of the stored annotations; see `train_forest`.
        seed: see `train_forest`.
        progress: called for every tile of the slice.

    Raises:
        StackError: there is no such slice.
        AnnotationError: it is a slice to test on, or as `train_forest`.
    """
    check_target(stack, z)
    return train_forest(stack, labels, seed).propose(z, progress)


def check_target(stack: Stack, z: int) -> None:
    """Check that labels may be proposed for a slice.

    Raises:
        StackError: there is no such slice.
        AnnotationError: it is a slice to test on.
    """
    stack.check_slice(z)
    if z in stack.test_slices:
        raise AnnotationError(
            f"slice {z} of {stack.path.name} is a test slice: proposals from the training slices would bias its "
            "scores towards the model; label it without a proposal, or give it the role train"
        )
