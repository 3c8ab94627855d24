"""Figures of the results, in the colours of the phases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app.domain.phase import Phase
from monai_app.quantities.quantity import Panel

_PANEL = (5.0, 3.6)
"""Width and height of a panel, inches."""

_LEGEND = 1.2
"""Width of the legend, inches; longer names take room from the panels."""


def write_figure(panels: Sequence[Panel], phases: Sequence[Phase], path: Path) -> None:
    """Draw panels into a PNG file."""
    draw_figure(panels, phases).savefig(path, format="png")


def draw_figure(panels: Sequence[Panel], phases: Sequence[Phase]) -> Figure:
    """Draw panels side by side, with one legend."""
    width, height = _PANEL
    figure = Figure(figsize=(width * len(panels) + _LEGEND, height), dpi=120, layout="constrained")
    grid: npt.NDArray[Any] = figure.subplots(1, len(panels), squeeze=False)
    for axes, panel in zip(grid[0], panels, strict=True):
        _draw(axes, panel, {phase.name: phase.colour for phase in phases})
    legend = figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(axes: Axes, panel: Panel, colours: dict[str, str]) -> None:
    for name, (places, values) in panel.curves.items():
        if panel.kind == "bar":
            axes.bar(places, values, color=colours[name], edgecolor="black", linewidth=0.5, label=name)
        elif panel.kind == "step":
            axes.step(places, values, color=colours[name], label=name, where="post")
        else:
            axes.plot(places, values, color=colours[name], label=name)
    if panel.kind == "bar":
        axes.set_xticks([])
    if panel.log_x:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0 if axes.dataLim.y0 >= 0 else None)
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3)
