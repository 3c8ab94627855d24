"""Quantities of the phases: numbers, error bars, distributions and profiles."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monai_app.domain.phase import Phase
from monai_app.reporting.content import Block, Cell, Facts, Listing, Note, Plot, Section, Table
from monai_app.reporting.figures import BLUE, RED, WITH_LEGEND, bars, error_bars, figure, phase_lines
from monai_app.reporting.formatting import MISSING, listed, number
from monai_app.reporting.sources import Quantities, Sources

_SEGMENTATION, _SAMPLING = "corrected_fraction", "material_fraction"
"""Quantities whose intervals cover different errors, which are not combined."""

_UNIT = re.compile(r"\bum\b")

_Numbers = Mapping[str, Mapping[str, Any]]
"""Name of the phase -> value, unit, interval and reasons why it is unreliable."""


def quantities(sources: Sources) -> Section | None:
    """Describe the measured quantities."""
    found = sources.quantities
    if found is None:
        return None
    return Section(
        "quantities",
        "Quantities",
        "Properties of the material in physical units, measured on the labels. There are two separate kinds of error "
        "bars: for labelling errors, and for how well a volume of this size represents the material.",
        list(_blocks(found)),
    )


def _blocks(found: Quantities) -> Iterator[Block]:
    document = found.document
    phases = phases_of(found)
    numbers = {name: of for each in document["measures"].values() for name, of in each["quantities"].items()}
    yield Facts(list(_facts(document)))
    yield _table(numbers, phases)
    reasons = list(_reasons(numbers))
    if reasons:
        yield Listing("* Unreliable numbers, and why", reasons)
    yield from _error_bars(numbers, phases)
    for measured in document["measures"].values():
        for panel in measured.get("figures", []):
            drawn = any(value is not None for _, values in panel["curves"].values() for value in values)
            yield _plot(panel, phases) if drawn else Note(f"{panel['title'].capitalize()}: nothing to draw.", "missing")
    if not any("figures" in each for each in document["measures"].values()):
        yield Note(
            "The folder contains no curves because it was written by an earlier version. Measure again to see them.",
            "missing",
        )


def phases_of(found: Quantities) -> list[Phase]:
    """Return the measured phases."""
    phases = found.document["phases"]
    return [Phase.model_validate({key: each[key] for key in ("value", "name", "colour")}) for each in phases]


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "labels" in document:
        yield "labels", f"{document['labels']['name']} of {document['stack']['name']}"
        region = document["region"]
        yield "part", ", ".join(f"{axis} {first} to {end - 1}" for axis, (first, end) in region.items())
        if document.get("mask"):
            yield "mask", str(document["mask"]["source"])
    yield "voxel (z, y, x)", " × ".join(f"{side:g}" for side in document["voxel_nm"]) + " nm"
    yield "measured with", document["software"]


def _table(numbers: Mapping[str, _Numbers], phases: Sequence[Phase]) -> Table:
    rows: list[list[Cell]] = []
    for name, of in numbers.items():
        unit = next(iter(of.values()))["unit"]
        rows.append(
            [
                quantity_name(name) + (f", {unit_text(unit)}" if unit != "1" else ""),
                *(_shown(of.get(each.name)) for each in phases),
            ]
        )
    return Table("All quantities; below a number is its 95 % interval, if any", ("", *phases), rows)


def quantity_name(name: str) -> str:
    """Format a quantity's name, with the axis last."""
    *words, last = name.split("_")
    return f"{' '.join(words)} along {last}" if last in ("x", "y", "z") else name.replace("_", " ")


def unit_text(text: str) -> str:
    """Format the units in a text.

    Example:
        >>> unit_text("volume, um^3")
        'volume, µm³'
    """
    return _UNIT.sub("µm", text).replace("^2", "²").replace("^3", "³")


def _shown(of: Mapping[str, Any] | None) -> str:
    if of is None:
        return ""
    value = number(of["value"]) if not isinstance(of["value"], int) else f"{of['value']:,}"
    interval = f"\n{number(of['interval'][0])} to {number(of['interval'][1])}" if of["interval"] else ""
    return f"{value}{' *' if of['unreliable'] else ''}{interval}"


def _reasons(numbers: Mapping[str, _Numbers]) -> Iterator[str]:
    """Return one line per reason, with the quantities and phases to which it applies."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, of in numbers.items():
        for reason in dict.fromkeys(each["unreliable"] for each in of.values() if each["unreliable"]):
            phases = tuple(phase for phase, each in of.items() if each["unreliable"] == reason)
            grouped.setdefault((reason, phases), []).append(quantity_name(name))
    for (reason, phases), names in grouped.items():
        yield unit_text(f"{listed(names)} of {listed(phases)}: {reason}")


def _error_bars(numbers: Mapping[str, _Numbers], phases: Sequence[Phase]) -> Iterator[Block]:
    """Draw the fractions with both kinds of intervals, in two figures."""
    kinds = {
        _SEGMENTATION: (
            "Fractions corrected for the errors on the test slices: the interval covers labelling errors in this "
            "volume",
            BLUE,
            "circle",
        ),
        _SAMPLING: (
            "Fractions as labelled: the interval covers the variation between volumes of this size, assuming correct "
            "labels",
            RED,
            "square",
        ),
    }
    for name, (caption, colour, symbol) in kinds.items():
        known = [(phase.name, numbers.get(name, {}).get(phase.name)) for phase in reversed(phases)]
        rows = [(phase, each["value"], each["interval"]) for phase, each in known if each and each["value"] is not None]
        if not rows:
            yield Note(
                f"{quantity_name(name).capitalize()}: not measured, or undefined ({caption.lower()}).", "missing"
            )
            continue
        points = "; ".join(f"{phase} {number(value)} ({_ends(interval)})" for phase, value, interval in reversed(rows))
        yield Plot(
            caption,
            f"Points with bars: {points}.",
            figure([error_bars(quantity_name(name), rows, colour, symbol)], "volume fraction", ""),
            height=110 + 34 * len(rows),
        )


def _ends(interval: Sequence[float] | None) -> str:
    return MISSING if interval is None else f"{number(interval[0])} to {number(interval[1])}"


def _plot(panel: Mapping[str, Any], phases: Sequence[Phase]) -> Plot:
    """Draw a panel of `monai_app.quantities`, see `Panel`."""
    curves: Mapping[str, Any] = panel["curves"]
    layout: dict[str, Any] = {"xaxis": {"type": "log"}} if panel["log_x"] else {}
    if panel["kind"] == "bar":
        heights = {name: values[0] for name, (_, values) in curves.items()}
        traces = [bars(phases, heights)]
    else:
        traces = phase_lines(curves, phases, "hv" if panel["kind"] == "step" else "linear")
        layout["margin"] = WITH_LEGEND
    return Plot(
        unit_text(f"{panel['title'].capitalize()}: {panel['y']}"),
        f"{panel['title']}: {panel['y']} over {panel['x'] or 'the phases'}, of {listed(list(curves))}.",
        figure(traces, unit_text(panel["x"]), unit_text(panel["y"]), **layout),
        height=300,
        half=True,
    )
