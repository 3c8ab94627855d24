"""The figure: scores on the own sample and on others, and what is lost."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from monai_app.study.comparison import interval_over_samples
from monai_app.study.transfer.scores import TransferScores

_OWN, _OTHER = "#0072b2", "#d55e00"

_APART = 0.15
"""By how much the marks of the own sample lie above those of the others, in rows."""


def transfer_figure(found: Sequence[TransferScores]) -> Figure:
    """Draw the mean IoU of every pair of samples beside the losses."""
    figure = Figure(figsize=(12, 1.6 + 0.45 * len(found)), dpi=120, layout="constrained")
    scores, losses = figure.subplots(1, 2, sharey=True)
    _draw_scores(scores, found)
    _draw_losses(losses, found)
    scores.set_yticks(range(len(found)), [each.variant for each in found])
    scores.invert_yaxis()
    return figure


def _draw_scores(axes: Axes, found: Sequence[TransferScores]) -> None:
    for place, each in enumerate(found):
        means = each.scores.mean(axis=0)
        elsewhere = means[~np.eye(len(means), dtype=bool)]
        for values, colour, row in ((each.own, _OWN, place - _APART), (elsewhere, _OTHER, place + _APART)):
            axes.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.5)
            axes.plot(values.mean(), row, "|", color="black", markersize=12)
    axes.set(title="every pair of samples, and their mean", xlabel="mean IoU")
    handles = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in (_OWN, _OTHER)]
    axes.legend(handles, ["tested on its own sample", "on others"], fontsize=8)


def _draw_losses(axes: Axes, found: Sequence[TransferScores]) -> None:
    axes.axvline(0, color="#888888", linewidth=1)
    for place, each in enumerate(found):
        axes.plot(interval_over_samples(each.losses), [place, place], color=_OTHER, linewidth=3, alpha=0.5)
        axes.plot(each.losses, np.full(len(each.losses), place), "o", color=_OTHER, alpha=0.5)
        axes.plot(each.losses.mean(), place, "o", color="black")
    axes.set(title="lost on each sample, mean and 95 % interval", xlabel="difference in mean IoU")
