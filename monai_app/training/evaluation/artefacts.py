"""Error rate against the strength of artefacts in the raw images, per block."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.domain.region import Rect
from monai_app.inspection.measuring.local import LocalArtefacts, local_artefacts
from monai_app.metrics import Document, error_by_strength
from monai_app.training.evaluation.scored import EvaluatedSlice, Section

LEAST_SIDE, MOST_SIDE = 32, 128
"""Pixels of a block: within these, an eighth of the shorter side of the slice."""

UNITS = {
    "curtaining": "share of the mean grey value",
    "shading": "share of the mean grey value",
    "noise": "grey values",
}


class Artefacts(Section):
    """Error rate against the strength of curtains, shading and noise in each detector, see `local_artefacts`.

    Of a slice every block with labelled pixels; of several the error rate in each quarter of all their blocks.
    """

    name = "artefacts"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Measure the blocks of a slice that lie inside all detectors' pictures."""
        shorter = min(evaluated.true.shape)
        side = min(max(shorter // 8, LEAST_SIDE), MOST_SIDE, shorter)
        labelled = evaluated.true > 0
        counted = _sums(labelled, side)
        inside = evaluated.stack.inside(evaluated.z, Rect.whole(evaluated.stack.shape))
        there = (counted > 0) & (inside is None or _sums(inside, side) == side**2)
        return {
            "side": side,
            "labelled": counted[there].tolist(),
            "wrong": _sums((evaluated.true != evaluated.predicted) & labelled, side)[there].tolist(),
            "detectors": {name: _strengths(evaluated, name, side, there) for name in evaluated.spec.detectors},
        }

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Divide the blocks of all slices by each strength, and give the error rate of each part."""
        found: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys(name for each in slices for name in each["detectors"]):
            own = [each for each in slices if name in each["detectors"]]
            labelled, wrong = (np.concatenate([each[key] for each in own]).astype(np.int64) for key in _COUNTS)
            for artefact in LocalArtefacts._fields:
                strength = np.concatenate([each["detectors"][name][artefact] for each in own])
                rows = error_by_strength(strength, labelled, wrong) if len(strength) else []
                found.setdefault(name, {})[artefact] = [row._asdict() for row in rows]
        return {"units": UNITS, "detectors": found}

    def figure(self, pooled: Document) -> Figure:
        """Draw the error rate against each strength, a row of panels a detector."""
        detectors = pooled["detectors"]
        figure = Figure(figsize=(9, 2.6 * len(detectors)), dpi=128, layout="constrained")
        axes = figure.subplots(len(detectors), len(UNITS), squeeze=False, sharey="all")
        for row, (name, artefacts) in zip(axes, detectors.items(), strict=True):
            row[0].set_ylabel(f"{name}\nerror rate, %")
            for panel, (artefact, strata) in zip(row, artefacts.items(), strict=True):
                panel.set_xlabel(f"{artefact}, {UNITS[artefact]}")
                _draw(panel, strata)
        axes[0, 0].set_ylim(bottom=0)  # which all panels share
        return figure


_COUNTS = ("labelled", "wrong")


def _sums(mask: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.int64]:
    """Count the pixels of every whole block: (block rows, block columns)."""
    rows, columns = (length // side for length in mask.shape)
    blocks = mask[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.int64))


def _strengths(
    evaluated: EvaluatedSlice, detector: str, side: int, there: npt.NDArray[np.bool_]
) -> dict[str, list[float]]:
    measured = local_artefacts(evaluated.stack.read_slab(evaluated.z, [detector], 1)[0], side)
    return {name: [float(f"{value:.4g}") for value in each[there]] for name, each in measured._asdict().items()}


def _draw(panel: Axes, strata: Sequence[Document]) -> None:
    """Draw the error rates of the parts with their intervals, each over the strengths that it spans."""
    for row in strata:
        rate, low, high = (100 * row[name] for name in ("error_rate", "error_rate_low", "error_rate_high"))
        panel.hlines(rate, row["weakest"], row["strongest"], color="#0072b2", linewidth=2)
        middle = (row["weakest"] + row["strongest"]) / 2
        panel.plot(middle, rate, "o", color="#0072b2")
        if not np.isnan(low):
            panel.vlines(middle, low, high, color="#0072b2")
