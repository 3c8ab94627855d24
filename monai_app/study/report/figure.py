"""The figure: every seed's score, and the differences with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.study.report.document import Document

FIGURE = "results.png"


def results_figure(document: Document) -> Figure:
    """Draw the mean IoU of every run beside the differences of all questions."""
    rows = max(len(document["variants"]), len(document["differences"]), 1)
    figure = Figure(figsize=(12, 1.2 + 0.4 * rows), dpi=120, layout="constrained")
    scores, differences = figure.subplots(1, 2)
    _draw_scores(scores, document)
    _draw_differences(differences, document["differences"])
    return figure


def _draw_scores(axes: Axes, document: Document) -> None:
    names = [row["variant"] for row in document["variants"]]
    for row in document["runs"]:
        axes.plot(row["mean_iou"], names.index(row["variant"]), "o", color="#0072b2", alpha=0.5)
    for place, row in enumerate(document["variants"]):
        axes.plot(row["iou_mean"], place, "|", color="black", markersize=16)
    axes.set(title="every seed, and their mean", xlabel="mean IoU", yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()


def _draw_differences(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.axvline(0, color="#888888", linewidth=1)
    for place, row in enumerate(rows):
        axes.plot([row["corrected_low"], row["corrected_high"]], [place, place], color="#d55e00", linewidth=1)
        axes.plot([row["low"], row["high"]], [place, place], color="#d55e00", linewidth=4)
        axes.plot(row["value"], place, "o", color="black")
    names = [f"{row['better']}\nagainst {row['worse']}" for row in rows]
    axes.set(title="95 % intervals; thin: for all together", xlabel="difference in mean IoU")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
