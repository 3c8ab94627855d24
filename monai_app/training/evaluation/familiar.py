"""Whether scored slices resemble the training slices; scores on others say little about the rest of a stack."""

from collections.abc import Sequence

from monai_app.domain.appearance import joined, lines_of, unlike
from monai_app.inspection.appearance import measure_appearance
from monai_app.metrics import Document
from monai_app.training.evaluation.scored import EvaluatedSlice, Section


class Familiar(Section):
    """Properties of slices outside the range of the training slices, in words."""

    name = "unlike_training"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Measure a slice; a model of an earlier version has no record to compare it with."""
        stack, z, spec = evaluated.stack, evaluated.z, evaluated.spec
        known = joined([each.appearance for each in spec.training_stacks if each.appearance is not None])
        appearance = measure_appearance(stack, z, spec.detectors)
        reasons = [f"{stack.store_name}, {line}" for line in lines_of(unlike(z, appearance, known))]
        return {"reasons": reasons, "appearance": appearance}

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Put the reasons of all slices together."""
        return {"reasons": [reason for each in slices for reason in each["reasons"]]}
