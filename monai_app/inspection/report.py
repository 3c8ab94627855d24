"""The results as text for a terminal and as JSON."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from monai_app import __version__
from monai_app.inspection.inspect import Inspection
from monai_app.inspection.judging.order import are_neighbours
from monai_app.inspection.labels import per_role
from monai_app.inspection.measuring.table import MEASURES
from monai_app.progress import counted

_SHOWN = ("mean", "contrast", "clipped_low", "clipped_high", "noise", "focus", "curtaining", "similarity", "agreement")
"""Measures whose usual values are shown."""

_GAPS = 5

_LINES = 40
"""Findings that are shown in a terminal."""


def stack_lines(inspection: Inspection) -> Iterator[str]:
    """Say what the stack is, and what is usual in it."""
    images, (slices, rows, columns) = inspection.images, inspection.shape
    voxel = " x ".join(f"{size:g}" for size in images.voxel_nm) + " nm" if images.voxel_nm else "of unknown size"
    yield f"{counted(slices, 'slice')} of {rows} x {columns} {inspection.dtype}, voxels (z, y, x) {voxel}"
    if images.gaps:
        more = f" and {len(images.gaps) - _GAPS} more" if len(images.gaps) > _GAPS else ""
        yield f"no slab extends across the gaps or breaks before {', '.join(map(str, images.gaps[:_GAPS]))}{more}"
    unrelated = [name for name in inspection.table.detectors if not are_neighbours(inspection.table, name)]
    if unrelated and slices > 2:
        names = ", ".join(unrelated)
        yield f"{names}: slices are not more similar to the next than to others, so their order is not checked"
    for role, pixels in per_role(inspection.labels).items():
        zs = [str(count.z) for count in inspection.labels if count.role == role]
        slices_of = f"slice{'s' * (len(zs) > 1)} {', '.join(zs)}"
        yield f"{role}: {slices_of}; pixels {', '.join(f'{name} {count}' for name, count in pixels.items())}"


def usual_rows(inspection: Inspection) -> list[list[str]]:
    """A table of medians: a row a measure, a column a detector; the first row names the detectors."""
    table = inspection.table
    rows = [["usual values", *table.detectors]]
    for name in _SHOWN:
        values = [table.usual(detector, name) for detector in table.detectors]
        if not all(map(math.isnan, values)):
            shown = ["-" if math.isnan(value) else MEASURES[name].show(value) for value in values]
            rows.append([MEASURES[name].text, *shown])
    angles = [angles_of(inspection, detector) for detector in table.detectors]
    if any(angles):
        rows.append(["angle of the curtains to the vertical", *(angle or "-" for angle in angles)])
    return rows


def angles_of(inspection: Inspection, detector: str) -> str:
    """The usual lean of a detector's curtains, where most slices have any."""
    values = inspection.table.values[detector]
    strongest = [values["curtain_angle"], values["curtain_angle_2"]]
    found = [sorted(pair) for pair in zip(*strongest, strict=True) if not math.isnan(pair[0])]
    if 2 * len(found) < inspection.table.slices:
        return ""
    return ", ".join(f"{round(angle)}" for angle in _medians(found)) + " degrees"


def _medians(pairs: list[list[float]]) -> list[float]:
    """The medians of smaller and larger angles; of the single ones where most slices have one only."""
    both = [pair for pair in pairs if not math.isnan(pair[1])]
    chosen = [list(pair) for pair in both] if 2 * len(both) > len(pairs) else [pair[:1] for pair in pairs]
    return [sorted(column)[len(column) // 2] for column in zip(*chosen, strict=True)]


def text_lines(inspection: Inspection) -> Iterator[str]:
    """All of it for a terminal: the stack, its usual values, a line a finding, and how many there are."""
    yield from stack_lines(inspection)
    rows = usual_rows(inspection)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from (finding.line for finding in inspection.findings[:_LINES])
    if len(inspection.findings) > _LINES:
        yield f"... and {len(inspection.findings) - _LINES} more, listed by --json and --page"
    yield summary(inspection)


def summary(inspection: Inspection) -> str:
    """How many findings there are, in a line."""
    count, slices = len(inspection.findings), counted(inspection.table.slices, "slice")
    if count == 0:
        return f"nothing unusual in {slices}"
    odd = {z for finding in inspection.findings for z in finding.slices}
    return f"{counted(count, 'finding')} in {len(odd)} of {slices}"


def as_document(inspection: Inspection) -> dict[str, Any]:
    """All of it as a JSON document."""
    images, table = inspection.images, inspection.table
    return {
        "software": f"monai-app {__version__}",
        "path": str(images.path),
        "slices": list(images.names),
        "shape": list(inspection.shape),
        "dtype": inspection.dtype.name,
        "voxel_nm": images.voxel_nm,
        "gaps": list(images.gaps),
        "labels": [asdict(count) for count in inspection.labels],
        "measures": {
            name: f"{each.text}{f', {each.unit}' if each.scale == 1 and each.unit else ''}"
            for name, each in MEASURES.items()
        },
        "values": {
            detector: {
                name: [None if math.isnan(value) else round(value, 6) for value in values.tolist()]
                for name, values in measured.items()
            }
            for detector, measured in table.values.items()
        },
        "histograms": {
            detector: [[round(share, 6) for share in line] for line in shares.tolist()]
            for detector, shares in table.histograms.items()
        },
        "findings": [asdict(finding) for finding in inspection.findings],
    }
