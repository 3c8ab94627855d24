"""What was measured of a stack: one value a slice for every measure and detector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_app.inspection.measuring.slices import BINS

Values = npt.NDArray[np.float64]
"""One value a slice; NaN if there is none."""

_FULL = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""Highest grey values of detectors and of files."""


@dataclass(frozen=True)
class Measure:
    """Something that is measured.

    Args:
        name: the key in the table and in the JSON file.
        short: what it is called in a line.
        text: what it is.
        unit: its unit; empty for ratios.
        scale: factor for showing it.
        digits: decimals when it is shown.
    """

    name: str
    short: str
    text: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 2

    def show(self, value: float) -> str:
        """A value with its unit."""
        return f"{value * self.scale:.{self.digits}f}{' ' if self.unit else ''}{self.unit}"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("mean", "mean grey", "mean grey value", "", 1, 1),
        Measure("contrast", "contrast", "standard deviation of the grey values", "", 1, 1),
        Measure("highest", "highest grey", "highest grey value", "", 1, 0),
        Measure("clipped_low", "clipped", "share of pixels of value 0", "%", 100),
        Measure("clipped_high", "clipped", "share of pixels of the highest value that a pixel can have", "%", 100),
        Measure("noise", "noise", "standard deviation of the noise, grey values", "", 1, 1),
        Measure("focus", "focus", "sharpness (Vollath's F4 over the autocovariance)", "", 1, 3),
        Measure("curtaining", "curtains", "standard deviation of curtains over the mean grey value", "%", 100, 1),
        Measure("curtain_angle", "angle", "angle of the strongest curtains to the vertical", "degrees", 1, 1),
        Measure("curtain_angle_2", "second angle", "angle of the second strongest", "degrees", 1, 1),
        Measure("similarity", "correlation", "correlation with the next slice, shift allowed"),
        Measure("similarity_2", "correlation", "correlation with the slice after next"),
        Measure("shift_y", "shift y", "shift to the next slice, rows", "px", 1, 1),
        Measure("shift_x", "shift x", "shift to the next slice, columns", "px", 1, 1),
        Measure("agreement", "mutual information", "normalised mutual information with the first detector"),
        Measure("offset_y", "offset y", "offset from the first detector, rows", "px", 1, 1),
        Measure("offset_x", "offset x", "offset from the first detector, columns", "px", 1, 1),
        Measure("offset_fit", "edge correlation", "correlation of the edges of both at this offset"),
    )
}
"""All measures by name."""


@dataclass(frozen=True)
class Table:
    """Measures of all slices.

    Args:
        detectors: their names.
        slices: number of slices.
        gaps: slices before which others are missing.
        values: detector -> measure -> values.
        histograms: detector -> (slices, bins), shares of pixels.
        pixel: pixels of the stack that one of the images stands for, along a side.
    """

    detectors: Sequence[str]
    slices: int
    gaps: tuple[int, ...]
    values: Mapping[str, Mapping[str, Values]]
    histograms: Mapping[str, npt.NDArray[np.float32]]
    pixel: int = 1

    @classmethod
    def empty(cls, detectors: Sequence[str], slices: int, gaps: tuple[int, ...], pixel: int = 1) -> "Table":
        """A table in which nothing was measured yet."""
        values = {name: {measure: np.full(slices, np.nan) for measure in MEASURES} for name in detectors}
        histograms = {name: np.zeros((slices, BINS), np.float32) for name in detectors}
        return cls(tuple(detectors), slices, gaps, values, histograms, pixel)

    def set(self, detector: str, z: int, **measured: float) -> None:
        """Note measures of a slice."""
        for name, value in measured.items():
            self.values[detector][name][z] = value

    def leave_unclipped(self) -> None:
        """Take the highest value of a slice for clipped only where it is the highest that a pixel can have.

        That is known at the end: one less than a power of 2 from 8 to 16 bits, and the detector's highest value.
        """
        for values in self.values.values():
            full = np.nanmax(values["highest"])
            clipped = (values["highest"] == full) & (full in _FULL)
            values["clipped_high"][~clipped & ~np.isnan(values["highest"])] = 0

    def usual(self, detector: str, measure: str) -> float:
        """The median of a measure; NaN if there is none."""
        values = self.values[detector][measure]
        return float(np.median(values[~np.isnan(values)])) if not np.isnan(values).all() else float("nan")

    def series(self) -> npt.NDArray[np.intp]:
        """The number of the series without gaps that every slice is in."""
        return np.searchsorted(np.array(self.gaps), np.arange(self.slices), side="right")
