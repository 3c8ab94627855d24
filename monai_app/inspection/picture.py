"""A picture of a stack: its slices, the odd ones framed; histograms; and the measures along z."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from monai_app.files import atomic_file
from monai_app.inspection.inspect import Inspection
from monai_app.inspection.judging.findings import Finding
from monai_app.inspection.measuring.slices import BINS
from monai_app.inspection.measuring.table import MEASURES
from monai_app.stack.alignment.correlation import reduced

_MOST = 40
"""Slices in a montage."""

_COLUMNS = 10
_SIDE = 160
"""Longest side of a slice in the montage, pixels."""

_CURVES = ("mean", "contrast", "noise", "focus", "curtaining", "similarity", "agreement", "clipped_high")
ODD = "#c80050"
"""Colour of what is odd."""


def draw(inspection: Inspection) -> Figure:
    """Draw a montage of slices, histograms of the detectors, and curves of the measures along z.

    Raises:
        StackError: a slice cannot be read again.
    """
    shown = chosen_slices(inspection)
    lines = -(-len(shown) // _COLUMNS)
    _, rows, columns = inspection.shape
    height = lines * (1.4 * rows / columns + 0.3)
    figure = Figure(figsize=(14, height + 8), dpi=100, layout="constrained")
    parts: npt.NDArray[Any] = figure.subfigures(2, 1, height_ratios=(height, 8), squeeze=False)
    top, bottom = parts[:, 0]
    odd = _by_slice(inspection.findings)
    grid: npt.NDArray[Any] = top.subplots(lines, _COLUMNS, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, z in zip(grid.ravel(), shown, strict=False):
        _draw_slice(axes, inspection, z, odd.get(z, []))
    _draw_measures(bottom.subplots(3, 3), inspection)
    return figure


def write_picture(inspection: Inspection, path: Path) -> None:
    """Write what `draw` draws as a PNG file.

    Raises:
        StackError: a slice cannot be read again.
        StorageError: the disk is full or read-only.
    """
    figure = draw(inspection)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png")


def chosen_slices(inspection: Inspection) -> list[int]:
    """The slices of a montage: odd ones first of all, and others spread evenly over the stack."""
    odd = sorted({z for finding in inspection.findings for z in finding.slices})[:_MOST]
    rest = [z for z in range(inspection.table.slices) if z not in odd]
    places = np.linspace(0, len(rest) - 1, min(_MOST - len(odd), len(rest)))
    return sorted([*odd, *(rest[round(place)] for place in places)])


def thumbnail(inspection: Inspection, detector: str, z: int, side: int = _SIDE) -> npt.NDArray[np.uint8]:
    """A slice made small, (rows, columns), black to white over the detector's own grey values.

    Args:
        inspection: of the stack.
        detector: whose slice.
        z: the slice.
        side: its longest side at most, pixels.

    Raises:
        StackError: the slice cannot be read again.
    """
    plane = inspection.images.detectors[detector].plane(z)
    small = reduced(plane, max(-(-max(plane.shape) // side), 1))
    low, high = _range(inspection, detector)
    stretched: npt.NDArray[np.uint8] = (255 * np.clip((small - low) / (high - low), 0, 1)).astype(np.uint8)
    return stretched


def _range(inspection: Inspection, detector: str) -> tuple[float, float]:
    """Grey values between which nearly all pixels of the median slice lie: the same for all slices."""
    below = np.cumsum(np.median(inspection.table.histograms[detector], axis=0))
    below /= max(below[-1], 1e-12)
    step = (int(np.iinfo(inspection.dtype).max) + 1) / BINS
    low, high = (int(np.searchsorted(below, share)) for share in (0.005, 0.995))
    return low * step, (high + 1) * step


def _draw_slice(axes: Axes, inspection: Inspection, z: int, findings: Sequence[Finding]) -> None:
    detectors = inspection.table.detectors
    detector = next((each.detectors[-1] for each in findings if each.detectors), detectors[0])
    axes.imshow(thumbnail(inspection, detector, z), cmap="gray", vmin=0, vmax=255)
    title = f"{z} {detector}" if len(detectors) > 1 else str(z)
    if findings:
        title += f"\n{findings[0].kind}"
        axes.set_axis_on()
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(edgecolor=ODD, linewidth=3)
    axes.set_title(title, fontsize=7, color=ODD if findings else "black", parse_math=False)


def _draw_measures(grid: npt.NDArray[Any], inspection: Inspection) -> None:
    table = inspection.table
    first, *others = grid.ravel()
    step = (int(np.iinfo(inspection.dtype).max) + 1) / BINS
    lines: list[Line2D] = []
    for number, detector in enumerate(table.detectors):
        shares = table.histograms[detector]
        low, middle, high = np.quantile(shares, (0.05, 0.5, 0.95), axis=0)
        greys = (np.arange(BINS) + 0.5) * step
        first.fill_between(greys, low, high, color=f"C{number}", alpha=0.3, linewidth=0)
        lines += first.plot(greys, middle, color=f"C{number}")
    first.set_title("histogram: median slice, and 90 % of slices", fontsize=8)
    for text in first.legend(lines, table.detectors, fontsize=7).get_texts():
        text.set_parse_math(False)
    for axes, measure in zip(others, _CURVES, strict=True):
        if all(np.isnan(table.values[detector][measure]).all() for detector in table.detectors):
            axes.set_axis_off()
            continue
        for number, detector in enumerate(table.detectors):
            values = MEASURES[measure].scale * table.values[detector][measure]
            axes.plot(values, ".-", color=f"C{number}", markersize=3, linewidth=0.8)
            odd = sorted({z for each in inspection.findings if each.concerns(detector, measure) for z in each.slices})
            axes.plot(odd, values[odd], "o", color=ODD, fillstyle="none")
        unit = f", {MEASURES[measure].unit}" if MEASURES[measure].unit else ""
        axes.set_title(f"{MEASURES[measure].text}{unit}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("z", fontsize=7)
    first.tick_params(labelsize=7)


def _by_slice(findings: Sequence[Finding]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    for finding in findings:
        for z in finding.slices:
            found.setdefault(z, []).append(finding)
    return found
