"""Reliability of the confidence, without and with the model's temperature."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.metrics import Document
from monai_app.metrics.calibration import BINS, Reliability, reliability
from monai_app.training.evaluation.scored import EvaluatedSlice, Section

_KINDS = ("uncalibrated", "calibrated")


class Confidence(Section):
    """Expected calibration error and bins of confidence, see `Reliability`; of several slices from all their pixels.

    ``calibrated`` is with the temperature of the weights, 1 where they are not calibrated.
    """

    name = "confidence"

    def of_slice(self, evaluated: EvaluatedSlice) -> Document:
        """Sort the labelled pixels of a slice by confidence."""
        labelled = torch.from_numpy(evaluated.true > 0)
        logits = evaluated.logits.cpu().movedim(0, -1)[labelled].float()
        classes = torch.from_numpy(evaluated.true)[labelled] - 1
        used = (1.0, evaluated.temperature)
        return _document(evaluated.temperature, [reliability(logits, classes, each) for each in used])

    def pooled(self, slices: Sequence[Document]) -> Document:
        """Add up the bins; the temperature is undefined where slices are of models with different ones."""
        temperatures = {each["temperature"] for each in slices}
        return _document(
            temperatures.pop() if len(temperatures) == 1 else np.nan,
            [sum((_bins(each[kind]) for each in slices), Reliability.empty()) for kind in _KINDS],
        )

    def figure(self, pooled: Document) -> Figure | None:
        """Draw a reliability diagram of both, side by side; one alone if there is nothing to compare."""
        uncalibrated, calibrated = _KINDS
        titles = {uncalibrated: uncalibrated}
        temperature = pooled["temperature"]
        if temperature != 1:
            titles[calibrated] = calibrated + ("" if np.isnan(temperature) else f", temperature {temperature:.3f}")
        figure = Figure(figsize=(3.8 * len(titles), 3.8), dpi=128, layout="constrained")
        panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for panel, (kind, title) in zip(panels, titles.items(), strict=True):
            found = _bins(pooled[kind])
            panel.set_title(f"{title}\ncalibration error {found.ece:.4f}", fontsize="medium")
            _draw(panel, found)
        return figure


def _document(temperature: float, found: Sequence[Reliability]) -> Document:
    kinds = {
        kind: {
            "ece": each.ece,
            "pixels": each.pixels.tolist(),
            "right": each.right.tolist(),
            "confidence": [round(value, 3) for value in each.confidence.tolist()],
        }
        for kind, each in zip(_KINDS, found, strict=True)
    }
    errors = {f"ece_{kind}": each["ece"] for kind, each in kinds.items()}
    return {"temperature": temperature, "mean": errors, **kinds}


def _bins(document: Mapping[str, Any]) -> Reliability:
    pixels, right = (np.array(document[name], np.int64) for name in ("pixels", "right"))
    return Reliability(pixels, right, np.array(document["confidence"]))


def _draw(panel: Axes, found: Reliability) -> None:
    """Draw the share of right pixels of every bin over their mean confidence; dots are larger where pixels are more."""
    some = found.pixels > 0
    pixels = found.pixels[some]
    stated, observed = found.confidence[some] / pixels, found.right[some] / pixels
    panel.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    panel.bar((np.arange(BINS) + 0.5) / BINS, found.pixels / found.pixels.sum(), 0.9 / BINS, color="0.85")
    panel.plot(stated, observed, color="#0072b2", linewidth=1)
    panel.scatter(stated, observed, 10 + 120 * np.sqrt(pixels / pixels.sum()), color="#0072b2")
    panel.set_xlabel("confidence (bars: share of pixels)")
    panel.set_ylabel("share of correct pixels" if panel.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1.02)
