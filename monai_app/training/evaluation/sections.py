"""Scores of an evaluation in addition to the confusion matrix."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.metrics import (
    Blocks,
    Document,
    boundary_overlap,
    confusion_blocks,
    score_intervals,
    shared_blocks,
    surface_distances,
)
from monai_app.metrics.boundary import Labels
from monai_app.stack import Stack
from monai_app.training.evaluation.artefacts import Artefacts
from monai_app.training.evaluation.confidence import Confidence
from monai_app.training.evaluation.familiar import Familiar
from monai_app.training.evaluation.scored import EvaluatedSlice, Section
from monai_app.training.evaluation.structure import Structure

WIDTHS = (1, 2, 4)
"""Pixels of the bands along boundaries."""


class Intervals(Section):
    """95 % intervals by a block bootstrap, see `score_intervals`; of a slice also the counts of its blocks."""

    name = "intervals"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Count the pixels of blocks, and take the intervals of the slice from them."""
        phases = evaluated.spec.phase_names
        return interval_section(evaluated.stack, evaluated.z, evaluated.true, evaluated.predicted, phases)

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Take the intervals from the blocks of all slices; near ones of a stack share them (see `shared_blocks`)."""
        return score_intervals(block_counts(slices), [row["phase"] for row in slices[0]["phases"]])


def interval_section(stack: Stack, z: int, true: Labels, predicted: Labels, phases: Sequence[str]) -> Document:
    """Return what `Intervals` finds in a slice: intervals, and the counts of the blocks that they are made of."""
    blocks = confusion_blocks(true, predicted, len(phases))
    return {
        **score_intervals(blocks.counts, phases),
        "stack": stack.ingested,
        "z": z * stack.voxel_nm[0] / stack.voxel_nm[1],
        "side": blocks.side,
        "places": blocks.places.tolist(),
        "counts": blocks.counts.reshape(-1, len(phases) ** 2).tolist(),
    }


def block_counts(slices: Sequence[Document]) -> npt.NDArray[np.int64]:
    """Return the pixels of the blocks of slices, (blocks, K, K), [true][predicted], from their ``intervals``."""
    number, ordered = len(slices[0]["phases"]), sorted(slices, key=itemgetter("stack", "z"))
    stacks = groupby(ordered, itemgetter("stack"))
    counts = [shared_blocks(((each["z"], _blocks(each, number)) for each in own), number) for _, own in stacks]
    return np.concatenate(counts)


def _blocks(document: Document, phases: int) -> Blocks:
    places, counts = (np.array(document[name], np.int64) for name in ("places", "counts"))
    return Blocks(document["side"], places, counts.reshape(-1, phases, phases))


class Boundaries(Section):
    """Boundary IoU of every phase, see `boundary_overlap`; of several slices from the sums of their pixels."""

    name = "boundary"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Count the pixels of the bands."""
        return boundary_section(evaluated.true, evaluated.predicted, evaluated.spec.phase_names)

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Add up the pixels of the bands."""
        phases = [row["phase"] for row in slices[0]["phases"]]
        sums = {width: np.sum([each["pixels"][width] for each in slices], axis=0) for width in slices[0]["pixels"]}
        return _boundary_document(phases, sums)


def boundary_section(true: Labels, predicted: Labels, phases: Sequence[str]) -> Document:
    """Return what `Boundaries` finds in a slice: Boundary IoU, and the pixels of the bands that it is made of."""
    found = {width: boundary_overlap(true, predicted, len(phases), width) for width in WIDTHS}
    return _boundary_document(phases, {str(width): np.stack(each) for width, each in found.items()})


def _boundary_document(phases: Sequence[str], pixels: dict[str, npt.NDArray[np.int64]]) -> Document:
    """``pixels`` are, by the width of the band, (2, K): intersection and union."""
    ious = {
        f"iou_{width}px": np.divide(both, either, out=np.full(len(phases), np.nan), where=either > 0)
        for width, (both, either) in pixels.items()
    }
    rows = [{"phase": name, **{key: float(each[k]) for key, each in ious.items()}} for k, name in enumerate(phases)]
    mean = {key: float(np.nanmean(each)) if not np.isnan(each).all() else np.nan for key, each in ious.items()}
    return {"phases": rows, "mean": mean, "pixels": {width: each.tolist() for width, each in pixels.items()}}


class Surfaces(Section):
    """Surface distances of every phase in nm, see `surface_distances`.

    Of several slices: the mean over the pixels of all surfaces, and the mean of the slices' Hausdorff distances.
    """

    name = "surface"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Measure the distances in a slice."""
        phases, pixel = evaluated.spec.phase_names, evaluated.stack.voxel_nm[1:]
        found = surface_distances(evaluated.true, evaluated.predicted, len(phases), pixel)
        return {
            "phases": [
                {"phase": name, "mean_nm": each.mean, "hausdorff95_nm": each.hausdorff95, "pixels": each.pixels}
                for name, each in zip(phases, found, strict=True)
            ]
        }

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Pool the distances, phase by phase, over the slices in which they are defined."""
        return {"phases": [self._row(rows) for rows in zip(*(each["phases"] for each in slices), strict=True)]}

    def _row(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        defined = [row for row in rows if not np.isnan(row["mean_nm"])]
        pixels = [row["pixels"] for row in defined]
        mean = float(np.average([row["mean_nm"] for row in defined], weights=pixels)) if defined else np.nan
        farthest = float(np.mean([row["hausdorff95_nm"] for row in defined])) if defined else np.nan
        return {"phase": rows[0]["phase"], "mean_nm": mean, "hausdorff95_nm": farthest, "pixels": sum(pixels)}


SECTIONS: tuple[Section, ...] = (
    Intervals(),
    Boundaries(),
    Surfaces(),
    Structure(),
    Artefacts(),
    Confidence(),
    Familiar(),
)
