"""What an alignment found, for people: lines, a table, and a figure of the drift."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monai_app.errors import ConfigError
from monai_app.files import atomic_file
from monai_app.progress import counted
from monai_app.stack.alignment.motion import lengths
from monai_app.stack.alignment.record import Alignment
from monai_app.stack.places import check_outside_stores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE, TABLE = "alignment.png", "alignment.csv"
"""Files of a report."""

_SHOWN = 20
"""Flagged slices that are named in a line."""

_COLUMNS = {"translation": ("y", "x"), "rigid": ("y", "x", "turn"), "affine": ("y", "x", "yy", "yx", "xy", "xx")}


def describe(alignment: Alignment, shape: tuple[int, int]) -> list[str]:
    """Say in lines what was found.

    Args:
        alignment: what was found.
        shape: (rows, columns) of a slice.
    """
    lines = []
    if alignment.slices:
        moved = lengths(np.array(alignment.slices), shape)
        measured = [value for value in alignment.residuals if value is not None]
        middle, worst = (float(f(measured)) if measured else np.nan for f in (np.median, np.max))
        step = kept_step(alignment)
        lines.append(
            f"slices: moved by {np.median(moved):.2f} px (median), {moved.max():.2f} px at most; their neighbours "
            f"agree to {middle:.2f} px (median), {worst:.2f} px at worst"
        )
        lines.append(
            f"slices: a mean step of y {step[0]:+.3f}, x {step[1]:+.3f} px a slice is "
            + ("undone with the rest" if alignment.keep == "nothing" else "kept, as structure that leans has one")
        )
    for z in alignment.flagged[:_SHOWN]:
        lines.append(f"warning: slice {z} does not match its neighbours and was placed between them; check it")
    if len(alignment.flagged) > _SHOWN:
        lines.append(f"warning: {len(alignment.flagged) - _SHOWN} more do not match their neighbours")
    for z in alignment.breaks[:_SHOWN]:
        lines.append(
            f"warning: slice {z} and those before it have nothing in common, so they were not aligned with each "
            "other; check it"
        )
    for name, place in alignment.detectors.items():
        y, x = place.transform[:2]
        lines.append(
            f"detectors: {name} was displaced by y {y:+.2f}, x {x:+.2f} px from {alignment.reference}; "
            f"in {counted(len(place.slices), 'slice')} they agree to {np.median(place.residuals):.2f} px (median), "
            f"{max(place.residuals):.2f} px at worst"
        )
    return lines


_TIED = 1e-4
"""Pixels of a step up to which it was not measured: slices that nothing compares are put upon each other."""


def kept_step(alignment: Alignment) -> np.ndarray:
    """The mean step from slice to slice that was measured and not undone, or of all that was measured: (y, x), px."""
    rest = np.array(alignment.measured)[:, :2]
    if alignment.keep == "nothing":
        steps = np.diff(rest, axis=0)
        steps = steps[np.abs(steps).max(axis=1) > _TIED]
        return np.asarray(steps.mean(axis=0) if len(steps) else np.zeros(2))
    # Series are centred each, so the step from one to the next is none.
    return np.asarray(np.median(np.diff(rest - np.array(alignment.slices)[:, :2], axis=0), axis=0))


def check_folder(folder: Path, target: Path) -> None:
    """Check that a report may be written to a folder, which need not exist yet.

    Args:
        folder: the report's.
        target: the store that is going to be written.

    Raises:
        ConfigError: it lies in a store, or is a file or lies below one.
    """
    above = [folder.absolute(), *folder.absolute().parents]
    check_outside_stores(folder.absolute() / TABLE)
    if target.absolute() in above:
        raise ConfigError(f"folder {folder} is inside {target}; choose a place outside it (--align-report)")
    there = next(path for path in above if path.exists())
    if not there.is_dir():
        raise ConfigError(f"folder {folder} cannot be created: {there} is a file; choose another one (--align-report)")


def write_report(alignment: Alignment, names: tuple[str, ...], folder: Path) -> None:
    """Write a table with a line for every slice, and a figure where slices were aligned or detectors compared.

    Args:
        alignment: what was found.
        names: of the slices.
        folder: is made where it is missing; files of an earlier report are replaced.

    Raises:
        StorageError: the disk is full or read-only.
    """
    with atomic_file(folder / TABLE) as temporary:
        temporary.write_text(table(alignment, names), encoding="utf8")
    with atomic_file(folder / FIGURE) as temporary:
        _draw(alignment, temporary)


def table(alignment: Alignment, names: tuple[str, ...]) -> str:
    """A line for every slice, as comma-separated values: what was measured and undone, residuals, flags; px."""
    columns = _COLUMNS[alignment.transform]
    places = {
        name: dict(zip(place.slices, place.residuals, strict=True)) for name, place in alignment.detectors.items()
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    slices = [*(f"measured_{name}" for name in columns), *(f"moved_{name}" for name in columns), "residual", "flagged"]
    writer.writerow(["z", "name", *(slices if alignment.slices else []), *(f"residual_{name}" for name in places)])
    for z, name in enumerate(names):
        row: list[object] = [z, name]
        if alignment.slices:
            residual = alignment.residuals[z]
            row += [*alignment.measured[z], *alignment.slices[z]]
            row += ["" if residual is None else residual, int(z in alignment.flagged)]
        writer.writerow([*row, *(found.get(z, "") for found in places.values())])
    return text.getvalue()


def _draw(alignment: Alignment, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and few ingestions need it
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = (2 if alignment.slices else 0) + bool(alignment.slices or alignment.detectors)
    figure = Figure(figsize=(9, 2.6 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    if alignment.slices:
        measured, moved = (np.array(numbers)[:, :2] for numbers in (alignment.measured, alignment.slices))
        for number, axis in enumerate("yx"):
            _draw_course(axes[number], axis, measured[:, number], (measured - moved)[:, number], alignment.flagged)
        axes[0].legend(loc="best", fontsize=8, ncols=3)
    _draw_residuals(axes[-1], alignment)
    axes[-1].set_xlabel("slice z")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, format="png")


def _draw_course(axes: "Axes", name: str, measured: np.ndarray, stays: np.ndarray, flagged: tuple[int, ...]) -> None:
    axes.plot(measured, color="#0072b2", marker=".", label="where slices lay")
    axes.plot(stays, color="#d55e00", linestyle="--", label="where they lie now")
    if flagged:
        axes.plot(list(flagged), measured[list(flagged)], "x", color="black", markersize=8, label="flagged")
    axes.set_ylabel(f"{name}, px")
    axes.grid(alpha=0.3)


def _draw_residuals(axes: "Axes", alignment: Alignment) -> None:
    if alignment.slices:
        residuals = np.array([np.nan if value is None else value for value in alignment.residuals])
        axes.plot(residuals, color="#0072b2", marker=".", linestyle="none", label="slices")
        axes.plot(list(alignment.flagged), residuals[list(alignment.flagged)], "x", color="black", markersize=8)
    for number, (name, place) in enumerate(alignment.detectors.items(), 1):
        label = f"{name} on {alignment.reference}"
        axes.plot(place.slices, place.residuals, marker="^", color=f"C{number}", linestyle="none", label=label)
    axes.set_ylabel("residual, px")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best", fontsize=8)
    axes.grid(alpha=0.3)
