"""The complete result as a JSON document, and its tables as CSV files."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from io import StringIO
from typing import Any

from monai_app import __version__
from monai_app.quantities.labels import Labels, StoredLabels
from monai_app.quantities.quantification import Quantification
from monai_app.quantities.quantity import Cell, Panel, Quantity, Table
from monai_app.stack.label_images.listing import labels_sha256

_LIBRARIES = ("numpy", "scipy", "connected-components-3d", "edt")
"""Libraries whose versions decide numbers."""

_SOLVERS = ("taufactor", "torch")
"""Those that decide the tortuosity."""


def as_document(found: Quantification) -> dict[str, Any]:
    """All of it as a JSON document."""
    labels = found.labels
    counts = labels.count().sum(0)
    libraries = (*_LIBRARIES, *(_SOLVERS if "tortuosity" in found.measured else ()))
    return {
        "software": f"monai-app {__version__}",
        "versions": {name: version(name) for name in libraries},
        **_origin(labels),
        "voxel_nm": labels.voxel_nm,
        "phases": [
            {"value": phase.value, "name": phase.name, "colour": phase.colour, "voxels": int(counts[phase.value])}
            for phase in labels.phases
        ],
        "not_segmented_voxels": int(counts[0]) - labels.planes.count(None) * labels.shape[1] * labels.shape[2],
        "seconds": {name: round(seconds, 3) for name, seconds in found.seconds.items()},
        "measures": {
            name: {
                "settings": dict(each.settings),
                "quantities": {
                    quantity: {phase: asdict(number) for phase, number in of.items()}
                    for quantity, of in each.quantities.items()
                },
                "tables": {table: asdict(content) for table, content in each.tables.items()},
                "figures": [_figure(panel) for panel in each.panels],
            }
            for name, each in found.measured.items()
        },
    }


def _figure(panel: Panel) -> dict[str, Any]:
    """A part of a figure; None stands for ``nan``, which breaks a curve."""
    curves = {
        phase: [[None if math.isnan(value) else value for value in axis] for axis in curve]
        for phase, curve in panel.curves.items()
    }
    return {**asdict(panel), "curves": curves}


def _origin(labels: Labels) -> dict[str, Any]:
    if not isinstance(labels, StoredLabels):
        return {}
    stack = labels.stack
    return {
        "stack": {
            "name": stack.name,
            "store": stack.store_name,
            "identity": stack.identity,
            "ingested": stack.ingested,
            "shape": stack.shape,
            "gaps": stack.gaps,
        },
        "labels": {
            "name": labels.name,
            "made_by": labels.attributes,
            "sha256": labels_sha256(stack, labels.name),
        },
        "region": labels.region.to_json(),
        "mask": None
        if labels.mask.source is None
        else {"source": labels.mask.source, "identity": labels.mask.identity},
    }


def as_csv(table: Table) -> str:
    """Write a table as CSV; what cannot be measured is an empty cell."""
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(table.columns)
    lines.writerows(table.rows)
    return text.getvalue()


def phase_table(found: Quantification) -> Table:
    """Return one row per phase, with columns for quantities, their intervals and the reasons for unreliability."""
    quantities = found.quantities
    columns: dict[str, Sequence[Cell]] = {"phase": [phase.name for phase in found.labels.phases]}
    for name, of in quantities.items():
        columns |= _columns(name, [of.get(phase.name) for phase in found.labels.phases])
    columns["unreliable"] = ["; ".join(_reasons(quantities, phase.name)) for phase in found.labels.phases]
    return Table(tuple(columns), list(zip(*columns.values(), strict=True)))


def _columns(name: str, numbers: Sequence[Quantity | None]) -> dict[str, Sequence[Cell]]:
    unit = next(each.unit for each in numbers if each)
    title = name if unit == "1" else f"{name} [{unit}]"
    columns: dict[str, Sequence[Cell]] = {title: [None if each is None else each.value for each in numbers]}
    intervals = [None if each is None else each.interval for each in numbers]
    if any(intervals):
        for end, word in enumerate(("from", "to")):
            columns[f"{title} {word}"] = [None if each is None else each[end] for each in intervals]
    return columns


def _reasons(quantities: Mapping[str, Mapping[str, Quantity]], phase: str) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, of in quantities.items():
        number = of.get(phase)
        if number and number.unreliable:
            reasons.setdefault(number.unreliable, []).append(name)
    return [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
