"""The appearance of a slice in numbers, and which of them lie outside the range of a model's training slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

Appearance = Mapping[str, Mapping[str, float]]
"""Values of a slice by detector and name of the `Measure`, without those that cannot be measured."""

Ranges = Mapping[str, Mapping[str, tuple[float, float]]]
"""Minimum and maximum over several slices, by detector and name of the `Measure`."""


@dataclass(frozen=True)
class Measure:
    """A quantity measured in a slice of one detector.

    Args:
        text: its name.
        share: relative tolerance beyond the nearer end of the range of other slices; a slice differs if it exceeds this
        and ``margin``.
        margin: absolute tolerance, in the unit of the measure.
        scale: factor for display.
        form: format of the displayed number.
        unit: displayed after the number.
        lower: whether low values count, too.
    """

    text: str
    share: float = 0.0
    margin: float = 0.0
    scale: float = 1.0
    form: str = ".1f"
    unit: str = ""
    lower: bool = True

    def outside(self, value: float, least: float, greatest: float) -> bool:
        """Whether a value lies outside a range, including the tolerance."""
        low, high = (max(self.share * abs(end), self.margin) for end in (least, greatest))
        return value > greatest + high or (self.lower and value < least - low)

    def show(self, *values: float) -> str:
        """Format one value, or the range of several."""
        shown = dict.fromkeys(f"{value * self.scale:{self.form}}" for value in (min(values), max(values)))
        return " to ".join(shown) + self.unit


MEASURES = {
    # Training varies gain and offset by up to 0.15 (augmentation::gain and offset).
    "brightness": Measure("brightness", share=0.15),
    # The thresholds of `monai-app inspect`, see inspection/judging/rules.py.
    "noise": Measure("noise", share=0.3, margin=0.5),
    "sharpness": Measure("sharpness", share=0.25, form=".3f"),
    "curtaining": Measure("curtaining", margin=0.03, scale=100, unit=" %", lower=False),
    "offset_y": Measure("offset in y", margin=2.0, unit=" px"),
    "offset_x": Measure("offset in x", margin=2.0, unit=" px"),
}
"""Measures by name. The offset of a detector is relative to the model's first one."""


class Unlike(NamedTuple):
    """One way in which a slice differs from others.

    Attributes:
        z: the slice.
        detector: in which detector.
        measure: by which measure.
        value: of the slice.
        least: minimum of the others.
        greatest: maximum of the others.
    """

    z: int
    detector: str
    measure: str
    value: float
    least: float
    greatest: float


def ranges_of(slices: Sequence[Appearance]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the minimum and maximum over slices."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for each in slices:
        for detector, values in each.items():
            own = found.setdefault(detector, {})
            for name, value in values.items():
                least, greatest = own.get(name, (value, value))
                own[name] = (min(least, value), max(greatest, value))
    return found


def joined(ranges: Sequence[Ranges]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the common ranges of several stacks."""
    ends = [
        {d: {n: pair[end] for n, pair in own.items()} for d, own in each.items()} for each in ranges for end in (0, 1)
    ]
    return ranges_of(ends)


def unlike(z: int, appearance: Appearance, known: Ranges) -> list[Unlike]:
    """Return how a slice lies outside the ranges of others by more than the tolerance of each `Measure`."""
    return [
        Unlike(z, detector, name, value, *known[detector][name])
        for detector, values in appearance.items()
        for name, value in values.items()
        if name in known.get(detector, {}) and MEASURES[name].outside(value, *known[detector][name])
    ]


def lines_of(found: Sequence[Unlike]) -> list[str]:
    """Describe slices that differ from the training slices: one line per measure and run of consecutive slices.

    Example:
        >>> lines_of([Unlike(z, "TLD", "noise", 9 + z / 100, 4.2, 4.6) for z in (41, 42)])
        ['slices 41 to 42: noise of TLD 9.4, training slices 4.2 to 4.6']
        >>> lines_of([Unlike(7, "ICE", "curtaining", 0.2, 0.01, 0.02)])
        ['slice 7: curtaining of ICE 20.0 %, training slices 1.0 to 2.0 %']
    """
    ordered = sorted(found, key=lambda each: (each.detector, each.measure, each.z))
    runs = groupby(enumerate(ordered), lambda pair: (pair[1].detector, pair[1].measure, pair[1].z - pair[0]))
    return [_line([each for _, each in run]) for _, run in runs]


def _line(run: Sequence[Unlike]) -> str:
    first, last = run[0], run[-1]
    place = f"slice {first.z}" if len(run) == 1 else f"slices {first.z} to {last.z}"
    measure = MEASURES[first.measure]
    values, known = measure.show(*(each.value for each in run)), measure.show(first.least, first.greatest)
    return f"{place}: {measure.text} of {first.detector} {values}, training slices {known}"
