"""An evaluated slice and its scores in addition to the confusion matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from monai_app.domain.model_spec import ModelSpec
from monai_app.metrics import Document, Part, score
from monai_app.stack import Stack


@dataclass(frozen=True)
class EvaluatedSlice:
    """A slice with its annotation and the model's prediction.

    Attributes:
        stack: the stack.
        z: the slice.
        spec: of the model.
        temperature: what the model's logits are divided by before they become probabilities; 1 without a calibration.
        true: (rows, columns) uint8, 0 unlabelled, 1..K the phases.
        predicted: (rows, columns) uint8, 1..K.
        logits: (K, rows, columns).
    """

    stack: Stack
    z: int
    spec: ModelSpec
    temperature: float
    true: npt.NDArray[np.uint8]
    predicted: npt.NDArray[np.uint8]
    logits: torch.Tensor


@dataclass(frozen=True)
class SliceScores:
    """The scores of a slice, from which those of its stack and of all stacks are computed.

    Attributes:
        z: the slice.
        confusion: pixel counts (K, K), [true][predicted].
        sections: by the name of the `Section`.
    """

    z: int
    confusion: npt.NDArray[np.int64]
    sections: Mapping[str, Document]


class Section(Protocol):
    """Additional scores under their own name in ``scores.json`` (see `Part.sections`)."""

    @property
    def name(self) -> str:
        """Key in the document, and first part of columns and file names."""

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Return what is found in a slice: JSON values, from which `pooled` is computed."""

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Return the section of several slices, of one stack or of many, from what `of_slice` gave."""

    def figure(self, pooled: Document) -> Figure | None:
        """Draw what `pooled` gave, as ``<name>.png`` beside the scores; None for no figure."""
        return None


def whole_of(
    slices: Sequence[SliceScores], phases: Sequence[str], sections: Sequence[Section], stack: str | None = None
) -> Part:
    """Return the scores of slices together, of one confusion matrix."""
    confusion = np.sum([each.confusion for each in slices], axis=0)
    found = {each.name: [own.sections[each.name] for own in slices if each.name in own.sections] for each in sections}
    pooled = {each.name: each.pooled(found[each.name]) for each in sections if found[each.name]}
    return Part(score(confusion, phases), pooled, stack)
