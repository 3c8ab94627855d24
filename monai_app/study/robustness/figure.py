"""Curves of scores over the strength of artefacts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.metrics import spread
from monai_app.study.robustness.measuring import Measured, seed_scores
from monai_app.study.robustness.strengths import NEUTRAL, UNCHANGED, UNITS, Condition, Robustness, readable
from monai_app.study.variants import StudyVariant

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of the sets of detectors (Okabe and Ito 2008)."""

_MARKERS = "os^Dv*PX"
"""Of the methods."""

_COLUMNS = 4


def robustness_figure(robustness: Robustness, found: Mapping[str, Sequence[Measured]]) -> Figure:
    """Draw a panel an artefact and a curve a variant: its colour tells the detectors, its marker the method.

    Args:
        robustness: artefacts and strengths.
        found: variant -> its runs.
    """
    artefacts = [(name, strengths) for name, strengths in robustness if strengths]
    columns = min(_COLUMNS, len(artefacts))
    rows = -(-len(artefacts) // columns)
    entries = -(-len(found) // columns)
    figure = Figure(figsize=(3.4 * columns + 0.6, 3.4 * rows + 0.22 * entries + 0.3), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    styles = _styles([own[0].run.variant for own in found.values()])
    for panel, (name, strengths) in zip(panels, artefacts, strict=False):
        for (variant, own), style in zip(found.items(), styles, strict=True):
            _draw(panel, name, strengths, own, {**style, "label": variant})
        panel.set(title=readable(name), xlabel=UNITS[name])
        panel.grid(alpha=0.3)
    for panel in panels[len(artefacts) :]:
        panel.set_axis_off()
    for row in panels.reshape(rows, columns):
        row[0].set_ylabel("mean IoU")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


def _styles(variants: Sequence[StudyVariant]) -> list[dict[str, str]]:
    signals = [*dict.fromkeys(each.signal for each in variants)]
    kinds = [*dict.fromkeys(each.kind for each in variants)]
    return [
        {
            "color": _COLOURS[signals.index(each.signal) % len(_COLOURS)],
            "marker": _MARKERS[kinds.index(each.kind) % len(_MARKERS)],
            "linestyle": "--" if each.cleaned else "-",
        }
        for each in variants
    ]


def _draw(
    panel: Axes, artefact: str, strengths: Sequence[float], own: Sequence[Measured], style: Mapping[str, Any]
) -> None:
    """Draw the mean over the seeds, and from the least to the greatest of them."""
    conditions = {strength: Condition(artefact, strength) for strength in strengths}
    conditions[NEUTRAL.get(artefact, 0)] = UNCHANGED
    places = sorted(conditions)
    scores = [spread([*seed_scores(own, conditions[place]).values()]) for place in places]
    low, mean, high = (np.array([each[key] for each in scores]) for key in ("least", "mean", "greatest"))
    panel.plot(places, mean, linewidth=1, markersize=4, **style)
    panel.vlines(places, low, high, color=style["color"], linewidth=0.8, alpha=0.6)
