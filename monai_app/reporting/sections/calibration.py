"""Whether the model is as sure as it is right."""

from collections.abc import Iterator, Mapping
from typing import Any

import plotly.graph_objects as go

from monai_app.reporting.content import Block, Facts, Note, Plot, Section
from monai_app.reporting.figures import BLUE, GREY, RED, figure, line
from monai_app.reporting.formatting import fixed, percent
from monai_app.reporting.sources import Sources

_NAMES = {"calibrated": "with temperature", "uncalibrated": "without"}


def calibration(sources: Sources) -> Section | None:
    """Compare stated with observed confidence."""
    run = sources.run
    if run is None or run.scores is None:
        return None
    return Section(
        "calibration",
        "Calibration",
        "Whether confidence may be believed: where the model says 80 %, 80 % of the pixels should be right. Points"
        " above the dashed line are right more often than stated, points below less often.",
        list(_blocks(run.scores.pooled["confidence"])),
    )


def _blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    temperature = found["temperature"]
    one = temperature == 1
    errors = {kind: found[kind]["ece"] for kind in _NAMES}
    if one:
        yield Facts([("mean calibration error", percent(errors["uncalibrated"], 2))])
        yield Note("The model has no temperature: its confidence is what the network gives.", "missing")
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
    diagonal = line("as sure as right", ([0, 1], [0, 1]), GREY, "dash", hoverinfo="skip")
    yield Plot(
        "Share of pixels that are right, by the confidence that the model states; larger points stand for more pixels",
        f"The mean difference from the diagonal is {percent(errors[shown[0]], 2)}.",
        figure(
            [diagonal, *drawn],
            "stated confidence",
            "share that is right",
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
        hovertemplate="stated %{x:.3f}, right %{y:.3f}<br>%{customdata:.2f} % of the pixels",
    )
