"""The figure: every seed's score, and the differences with their intervals."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.study.comparison import Difference
from monai_app.study.findings import Findings

FIGURE = "results.png"


def results_figure(found: Findings) -> Figure:
    """Draw the mean IoU of every run beside the differences of all questions."""
    rows = max(len(found.variants), len(found.differences), 1)
    figure = Figure(figsize=(12, 1.2 + 0.4 * rows), dpi=120, layout="constrained")
    scores, differences = figure.subplots(1, 2)
    _draw_scores(scores, found)
    _draw_differences(differences, found.differences)
    return figure


def _draw_scores(axes: Axes, found: Findings) -> None:
    names = [each.variant for each in found.variants]
    for each in found.outcomes:
        axes.plot(each.scores.mean_iou, names.index(each.run.variant.name), "o", color="#0072b2", alpha=0.5)
    for place, scores in enumerate(found.variants):
        axes.plot(scores.mean_iou["mean"], place, "|", color="black", markersize=16)
    axes.set(title="every seed, and their mean", xlabel="mean IoU", yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()


def _draw_differences(axes: Axes, differences: Sequence[Difference]) -> None:
    axes.axvline(0, color="#888888", linewidth=1)
    for place, each in enumerate(differences):
        axes.plot([each.corrected_low, each.corrected_high], [place, place], color="#d55e00", linewidth=1)
        axes.plot([each.low, each.high], [place, place], color="#d55e00", linewidth=4)
        axes.plot(each.value, place, "o", color="black")
    names = [f"{each.contrast.better}\nagainst {each.contrast.worse}" for each in differences]
    axes.set(title="95 % intervals; thin: for all together", xlabel="difference in mean IoU")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
