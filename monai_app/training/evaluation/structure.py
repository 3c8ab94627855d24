"""Boundary lengths and numbers of components, predicted and annotated: noise in labels, of which IoU shows little."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from monai_app.metrics import Document
from monai_app.metrics.boundary import Labels
from monai_app.progress import silent
from monai_app.quantities import ArrayLabels
from monai_app.quantities.measures.components import find_components
from monai_app.quantities.measures.surface import specific_perimeters
from monai_app.training.evaluation.scored import EvaluatedSlice, Section

COMPLETE = 0.99
"""Share of the smallest rectangle around all labelled pixels that must be labelled: lines painted here and there have
other boundaries and components than the material."""


class Structure(Section):
    """Boundary length per area and connected components of each phase within the slice, measured as `quantify` does.

    Of the labelled pixels, in the annotation and in the prediction; a ratio is the latter over the former. Undefined
    where the annotation is sparse, see `COMPLETE`. Of several slices, ``of_slices``: the length over the area,
    ``area_um2``, of the ``slices`` that are not sparse, and the sum of their components.
    """

    name = "structure"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Measure annotation and prediction."""
        names = evaluated.spec.phase_names
        if not is_complete(evaluated.true):
            return _sparse(names)
        labelled = evaluated.true > 0
        area = np.count_nonzero(labelled) * np.prod(evaluated.stack.voxel_nm[1:]) / 1e6
        (length, number), (own_length, own_number) = (
            _measured(evaluated, labels) for labels in (evaluated.true, evaluated.predicted * labelled)
        )
        rows = [_row(*of) for of in zip(names, length, own_length, number, own_number, strict=True)]
        return {"slices": 1, "of_slices": 1, "area_um2": float(area), "phases": rows}

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Add up lengths, areas and components of the slices whose annotation is complete."""
        complete = [each for each in slices if each["area_um2"] > 0]
        if not complete:
            return {**_sparse([row["phase"] for row in slices[0]["phases"]]), "of_slices": len(slices)}
        areas = [each["area_um2"] for each in complete]
        rows = []
        for of in zip(*(each["phases"] for each in complete), strict=True):
            lengths = [np.average([row[f"perimeter_{kind}_per_um"] for row in of], weights=areas) for kind in _KINDS]
            numbers = [sum(row[f"components_{kind}"] for row in of) for kind in _KINDS]
            rows.append(_row(of[0]["phase"], *map(float, lengths), *numbers))
        return {"slices": len(complete), "of_slices": len(slices), "area_um2": sum(areas), "phases": rows}


_KINDS = ("true", "predicted")


def is_complete(annotation: Labels) -> bool:
    """Whether an annotation (rows, columns), 0 unlabelled, fills the smallest rectangle around it."""
    rows, columns = (np.flatnonzero((annotation > 0).any(axis)) for axis in (1, 0))
    if min(len(rows), len(columns)) < 2:
        return False
    inside = annotation[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(np.count_nonzero(inside) >= COMPLETE * inside.size)


def _measured(evaluated: EvaluatedSlice, labels: Labels) -> tuple[list[float], list[int]]:
    """Boundary length per area in 1/um, and number of components, of every phase."""
    phases, voxel = evaluated.spec.phases, evaluated.stack.voxel_nm
    lengths = specific_perimeters(labels, len(phases), (voxel[1] / 1000, voxel[2] / 1000))
    found = find_components(ArrayLabels(labels[None], voxel, phases), silent)
    return lengths.tolist(), np.bincount(found.values, minlength=len(phases) + 1)[1:].tolist()


def _row(phase: str, length: float, own_length: float, number: float, own_number: float) -> dict[str, Any]:
    """What stands of a phase; annotated before predicted."""
    return {
        "phase": phase,
        "perimeter_true_per_um": length,
        "perimeter_predicted_per_um": own_length,
        "perimeter_ratio": own_length / length if length else np.nan,
        "components_true": number,
        "components_predicted": own_number,
        "components_ratio": own_number / number if number else np.nan,
    }


def _sparse(phases: Sequence[str]) -> Document:
    return {"slices": 0, "of_slices": 1, "area_um2": 0.0, "phases": [_row(name, *[np.nan] * 4) for name in phases]}
