"""What a method that is no network must do, and how its parameters are chosen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


_Fitted = TypeVar("_Fitted", bound=Fitted)


class Method(Protocol[_Fitted]):
    """A method that learns from labelled pixels."""

    @property
    def choices(self) -> Sequence[Parameters]:
        """The parameters that are tried."""

    def fit(self, choices: Sequence[Parameters], slabs: Sequence[Slab], labels: Sequence[Labels]) -> list[_Fitted]:
        """Learn from slabs and the labels of their middle slices, with each of these parameters."""

    def predict(self, fitted: Sequence[_Fitted], slab: Slab, rect: Rect) -> Iterable[Labels]:
        """Return the labels of a rectangle of the middle slice by each; what they share is computed once."""


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

    def fit(self, method: Method[_Fitted], choices: Sequence[Parameters]) -> list[_Fitted]:
        """Let a method learn from all that does not validate, with each of these parameters."""
        training = self.split.training
        labels = [np.where(training[z], self.labels[z], 0).astype(np.uint8) for z in self.slabs]
        return method.fit(choices, [*self.slabs.values()], labels)

    def validate(self, method: Method[_Fitted], fitted: Sequence[_Fitted]) -> list[float]:
        """Return the mean IoU of the blocks that validate, of each."""
        counts = [
            [
                count_pixels(self.labels[z][rect.index], found, self.phases)
                for found in method.predict(fitted, self.slabs[z], rect)
            ]
            for z, rect in self.split.blocks
        ]
        return [mean_iou(each) for each in np.sum(counts, axis=0)]


@dataclass(frozen=True)
class Search:
    """What came of a search.

    Attributes:
        fitted: the method with the best parameters.
        parameters: those.
        tried: every choice, and the mean IoU of the validation blocks.
    """

    fitted: Fitted
    parameters: Parameters
    tried: Sequence[tuple[Parameters, float]]


def search(method: Method[_Fitted], examples: Examples) -> Search:
    """Try all parameters of a method; those with the greatest mean IoU on the validation blocks are the best."""
    fitted = examples.fit(method, method.choices)
    scores = examples.validate(method, fitted)
    best = scores.index(max(scores))
    return Search(fitted[best], method.choices[best], [*zip(method.choices, scores, strict=True)])
