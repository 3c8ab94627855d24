"""Figures for plotly, as JSON values. Everything except phases has colours for colour-blind readers.

Colours: Okabe & Ito 2008, https://jfly.uni-koeln.de/color/.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from monai_app.domain.phase import Phase

BLUE, RED, GREEN, ORANGE, GREY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#767676"

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Dash patterns of phases, because their colours may not be distinguishable."""

_GRID = "#e4e4e4"

_LAYOUT = {
    "template": "none",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
    "margin": {"l": 64, "r": 16, "t": 12, "b": 52},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    "hovermode": "closest",
    "paper_bgcolor": "#fff",
    "plot_bgcolor": "#fff",
}
_AXIS = {
    "gridcolor": _GRID,
    "zeroline": False,
    "linecolor": "#888",
    "ticks": "outside",
    "automargin": True,
    "exponentformat": "power",
}

WITH_LEGEND = {"l": 64, "r": 16, "t": 64, "b": 52}
"""Margins of a narrow figure, in which names of phases need several lines."""

Curve = tuple[Sequence[float], Sequence[float | None]]
"""Places and values; None breaks the line."""


def plain(text: str) -> str:
    """Escape a text for plotly, which interprets some HTML."""
    return escape(text, quote=False)


def figure(traces: Sequence[Any], x: str, y: str, **layout: Any) -> dict[str, Any]:
    """Return traces with titles of their axes.

    Args:
        traces: of plotly.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        layout: further entries of plotly's layout; ``xaxis`` and ``yaxis`` override the common axis settings.
    """
    axes = {
        name: {**_AXIS, "title": {"text": title, "font": {"size": 13}}, **layout.pop(name, {})}
        for name, title in (("xaxis", x), ("yaxis", y))
    }
    drawn: dict[str, Any] = go.Figure(list(traces), {**_LAYOUT, **axes, **layout}).to_plotly_json()
    return drawn


def line(name: str, curve: Curve, colour: str = BLUE, dash: str = "solid", **more: Any) -> Any:
    """Draw a curve."""
    style = {"color": colour, "dash": dash, "width": 2}
    return go.Scatter(x=list(curve[0]), y=list(curve[1]), name=plain(name), mode="lines", line=style, **more)


def points(
    name: str, curve: tuple[Sequence[float], Sequence[float | None] | Sequence[str]], colour: str, symbol: str
) -> Any:
    """Draw markers without a line; their second coordinates may be names."""
    marker = {"color": colour, "size": 11, "symbol": symbol}
    return go.Scatter(x=list(curve[0]), y=list(curve[1]), name=plain(name), mode="markers", marker=marker)


def phase_lines(curves: Mapping[str, Curve], phases: Sequence[Phase], shape: str = "linear") -> list[Any]:
    """Draw a curve per phase, by name, with different dash patterns."""
    drawn = []
    for number, phase in enumerate(phases):
        if phase.name in curves:
            more = line(phase.name, curves[phase.name], phase.colour, _DASHES[number % len(_DASHES)])
            more.line.shape = shape
            drawn.append(more)
    return drawn


def bars(phases: Sequence[Phase], values: Mapping[str, float]) -> Any:
    """Draw a bar per phase, by name."""
    shown = [phase for phase in phases if phase.name in values]
    return go.Bar(
        x=[plain(phase.name) for phase in shown],
        y=[values[phase.name] for phase in shown],
        marker={"color": [phase.colour for phase in shown], "line": {"color": "#222", "width": 1}},
        showlegend=False,
    )


def error_bars(
    name: str, rows: Sequence[tuple[str, float, tuple[float, float] | None]], colour: str, symbol: str
) -> Any:
    """Draw a value with its interval along the horizontal axis for every row.

    Args:
        name: of the series.
        rows: name, value and interval.
        colour: of marker and bar.
        symbol: of the marker, by plotly's name.
    """
    values = [value for _, value, _ in rows]
    ends = [interval or (value, value) for _, value, interval in rows]
    return go.Scatter(
        x=values,
        y=[plain(row) for row, _, _ in rows],
        name=name,
        mode="markers",
        marker={"color": colour, "size": 10, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
            "color": colour,
            "thickness": 2,
        },
    )


def confusion(counts: Sequence[Sequence[int]], phases: Sequence[str]) -> dict[str, Any]:
    """Draw a confusion matrix, [true][predicted]: in each cell its share of the row and its pixels."""
    names = [plain(name) for name in phases]
    shares = [[100 * each / sum(row) if sum(row) else 0.0 for each in row] for row in counts]
    trace = go.Heatmap(
        z=shares,
        x=names,
        y=names,
        text=[[f"{each:,}" for each in row] for row in counts],
        texttemplate="%{z:.1f} %<br>%{text}",
        hovertemplate="annotated %{y}, predicted %{x}<br>%{z:.2f} % of the annotated, %{text} pixels<extra></extra>",
        colorscale="Blues",
        showscale=False,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
    )
    return figure([trace], "predicted", "annotated", yaxis={"autorange": "reversed", "ticks": ""}, xaxis={"ticks": ""})
