"""The protocol of baselines, and the search for their parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.metrics import count_pixels, mean_iou
from monai_app.stack import Stack
from monai_app.training.split import BlockSplit, split_stack

Slab = npt.NDArray[np.integer]
"""(slices * detectors, rows, columns), slice-major."""

Labels = npt.NDArray[np.uint8]
"""(rows, columns), 0 unlabelled, 1..K."""

Parameters = Mapping[str, Any]


class Fitted(Protocol):
    """A method that has learned."""

    def predict(self, slab: Slab, rect: Rect) -> Labels:
        """Return the labels 1..K of a rectangle of the middle slice of a slab."""


class Method(Protocol):
    """A method that is trained on labelled pixels."""

    @property
    def choices(self) -> Sequence[Parameters]:
        """The parameters that are tried."""

    @property
    def draft(self) -> "Method":
        """The same method, or a faster one of its kind, with which they are tried."""

    def fit(self, parameters: Parameters, slabs: Sequence[Slab], labels: Sequence[Labels]) -> Fitted:
        """Learn from slabs and the labels of their middle slices."""


@dataclass(frozen=True)
class Examples:
    """The annotated slices that train, divided as for the networks.

    Attributes:
        slabs: z -> what is seen of it.
        labels: z -> annotation.
        split: which of it validates.
        phases: number of phases K.
    """

    slabs: Mapping[int, Slab]
    labels: Mapping[int, Labels]
    split: BlockSplit
    phases: int

    @classmethod
    def of(
        cls, stack: Stack, detectors: Sequence[str], slices: int, seed: int, validation: tuple[float, int]
    ) -> "Examples":
        """Read the training slices of a stack; the blocks validate that do so for networks of these settings."""
        slabs = {z: stack.read_slab(z, detectors, slices) for z in stack.train_slices}
        labels = {z: stack.read_annotation(z) for z in stack.train_slices}
        return cls(slabs, labels, split_stack(stack, *validation, seed), len(stack.phases))

    def fit(self, method: Method, parameters: Parameters) -> Fitted:
        """Let a method learn from all that does not validate."""
        training = self.split.training
        labels = [np.where(training[z], self.labels[z], 0).astype(np.uint8) for z in self.slabs]
        return method.fit(parameters, [*self.slabs.values()], labels)

    def validate(self, fitted: Fitted) -> float:
        """Return the mean IoU of the blocks that validate."""
        counts = [
            count_pixels(self.labels[z][rect.index], fitted.predict(self.slabs[z], rect), self.phases)
            for z, rect in self.split.blocks
        ]
        return mean_iou(np.sum(counts, axis=0))


@dataclass(frozen=True)
class Search:
    """What came of a search.

    Attributes:
        fitted: the method with the best parameters.
        parameters: those.
        tried: every choice, and the mean IoU of the method's draft on the validation blocks.
    """

    fitted: Fitted
    parameters: Parameters
    tried: Sequence[tuple[Parameters, float]]


def search(method: Method, examples: Examples) -> Search:
    """Try all parameters of a method; those with the greatest mean IoU on the validation blocks are the best."""
    draft = method.draft
    tried = [(parameters, examples.validate(examples.fit(draft, parameters))) for parameters in method.choices]
    best, _ = max(tried, key=lambda each: each[1])
    return Search(examples.fit(method, best), best, tried)
