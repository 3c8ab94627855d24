"""The figure: mean IoU against labelled area."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from monai_app.study.labels.points import Point, by_size

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_APART = 1.05
"""Factor between points of equal area of neighbouring variants, which would hide each other."""


def labels_figure(variants: Sequence[str], points: Sequence[Point]) -> Figure:
    """Draw a curve for every variant: through the means of blocks and whole slices, and one of scribbles."""
    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for number, variant in enumerate(variants):
        own = [point for point in points if point.variant == variant]
        colour, shift = _COLOURS[number % len(_COLOURS)], _APART ** (number - (len(variants) - 1) / 2)
        scribbled = [point for point in own if point.amount is not None and point.amount.way == "scribbles"]
        _draw(axes, [point for point in own if point not in scribbled], colour, shift, "o-", variant)
        _draw(axes, scribbled, colour, shift, "^--", f"{variant}, scribbles")
    axes.set(xscale="log", xlabel="labelled area, % of one slice", ylabel="mean IoU")
    _number(axes.xaxis)
    axes.grid(color="#dddddd")
    ratios = {round(point.um2 / point.percent, 9) for point in points}
    if len(ratios) == 1:  # slices of all stacks are of one size
        [ratio] = ratios
        above = axes.secondary_xaxis("top", functions=(lambda x: np.multiply(x, ratio), lambda x: np.divide(x, ratio)))
        above.set_xlabel("um²")
        _number(above.xaxis)
    axes.legend(fontsize=8)
    return figure


def _draw(axes: Axes, points: Sequence[Point], colour: str, shift: float, style: str, label: str) -> None:
    """Draw every choice of slices with its range over the seeds, and the curve through the means of equal sizes."""
    if not points:
        return
    for point in points:
        scores = [*point.scores.values()]
        axes.plot([point.percent * shift] * 2, [min(scores), max(scores)], color=colour, alpha=0.4, linewidth=3)
        axes.plot(point.percent * shift, point.mean, style[0], color=colour, markersize=4)
    sizes = by_size(points).values()
    areas = [np.mean([point.percent for point in own]) * shift for own in sizes]
    means = [np.mean([point.mean for point in own]) for own in sizes]
    axes.plot(areas, means, style[1:], color=colour, linewidth=1)
    axes.plot([], [], style, color=colour, linewidth=1, markersize=4, label=label)


def _number(axis: Axis) -> None:
    """Write plain numbers at 1, 2 and 5 of every power of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
