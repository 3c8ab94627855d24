"""Calibration: whether the model's confidence equals its accuracy."""

from collections.abc import Iterator, Mapping
from typing import Any

import plotly.graph_objects as go

from monai_app.reporting.content import Block, Facts, Note, Plot, Section
from monai_app.reporting.figures import BLUE, GREY, RED, figure, line
from monai_app.reporting.formatting import fixed, percent
from monai_app.reporting.sources import Sources

_NAMES = {"calibrated": "with temperature", "uncalibrated": "without"}


def calibration(sources: Sources) -> Section | None:
    """Compare confidence with accuracy."""
    run = sources.run
    if run is None or run.scores is None:
        return None
    return Section(
        "calibration",
        "Calibration",
        "Whether the confidence is reliable: at a confidence of 80 %, 80 % of the pixels should be correct. Points "
        "above the dashed line are correct more often than predicted (underconfident), points below less often "
        "(overconfident).",
        list(_blocks(run.scores.pooled["confidence"])),
    )


def _blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    temperature = found["temperature"]
    one = temperature == 1
    errors = {kind: found[kind]["ece"] for kind in _NAMES}
    if one:
        yield Facts([("mean calibration error", percent(errors["uncalibrated"], 2))])
        yield Note("The model has no temperature: its confidence is the uncalibrated output of the network.", "missing")
    else:
        yield Facts(
            [
                ("temperature", fixed(temperature)),
                ("mean calibration error, with temperature", percent(errors["calibrated"], 2)),
                ("without", percent(errors["uncalibrated"], 2)),
            ]
        )
    shown = ["uncalibrated"] if one else list(_NAMES)
    drawn = [_curve(kind, found[kind]) for kind in reversed(shown)]
    diagonal = line("perfect calibration", ([0, 1], [0, 1]), GREY, "dash", hoverinfo="skip")
    yield Plot(
        "Share of correct pixels by the model's confidence; larger points represent more pixels",
        f"The mean difference from the diagonal is {percent(errors[shown[0]], 2)}.",
        figure(
            [diagonal, *drawn],
            "stated confidence",
            "share of correct pixels",
            xaxis={"range": [0, 1.02]},
            yaxis={"range": [0, 1.04]},
        ),
        height=400,
        width=560,
    )


def _curve(kind: str, bins: Mapping[str, Any]) -> Any:
    some = [row for row in zip(bins["pixels"], bins["right"], bins["confidence"], strict=True) if row[0]]
    total = sum(pixels for pixels, *_ in some)
    colour, symbol = (BLUE, "circle") if kind == "calibrated" else (RED, "square")
    return go.Scatter(
        x=[stated / pixels for pixels, _, stated in some],
        y=[right / pixels for pixels, right, _ in some],
        customdata=[100 * pixels / total for pixels, *_ in some],
        name=_NAMES[kind],
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"color": colour, "symbol": symbol, "size": [6 + 18 * (row[0] / total) ** 0.5 for row in some]},
        hovertemplate="confidence %{x:.3f}, correct %{y:.3f}<br>%{customdata:.2f} % of the pixels",
    )
