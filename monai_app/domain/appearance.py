"""How a slice looks in numbers, and in which of them it lies outside what a model was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

Appearance = Mapping[str, Mapping[str, float]]
"""Of a slice, by detector and name of the `Measure`; what cannot be measured is left out."""

Ranges = Mapping[str, Mapping[str, tuple[float, float]]]
"""Least and greatest value of several slices, likewise."""


@dataclass(frozen=True)
class Measure:
    """Something that is measured in a slice of one detector.

    Args:
        text: what it is called.
        share: of the nearer end of the range of other slices; a slice is unlike them where it lies outside by more,
            and by more than ``margin`` too.
        margin: the same in the unit of the measure.
        scale: factor for showing it.
        form: of the number that is shown.
        unit: shown behind it.
        lower: whether lower values count too.
    """

    text: str
    share: float = 0.0
    margin: float = 0.0
    scale: float = 1.0
    form: str = ".1f"
    unit: str = ""
    lower: bool = True

    def outside(self, value: float, least: float, greatest: float) -> bool:
        """Whether a value lies outside a range, the tolerance added."""
        low, high = (max(self.share * abs(end), self.margin) for end in (least, greatest))
        return value > greatest + high or (self.lower and value < least - low)

    def show(self, *values: float) -> str:
        """Write one value, or the range of several."""
        shown = dict.fromkeys(f"{value * self.scale:{self.form}}" for value in (min(values), max(values)))
        return " to ".join(shown) + self.unit


MEASURES = {
    # Training varies gain and offset by up to 0.15 (augmentation::gain and offset).
    "brightness": Measure("brightness", share=0.15),
    # What `monai-app inspect` takes for odd, see inspection/judging/rules.py.
    "noise": Measure("noise", share=0.3, margin=0.5),
    "sharpness": Measure("sharpness", share=0.25, form=".3f"),
    "curtaining": Measure("curtaining", margin=0.03, scale=100, unit=" %", lower=False),
    "offset_y": Measure("offset in y", margin=2.0, unit=" px"),
    "offset_x": Measure("offset in x", margin=2.0, unit=" px"),
}
"""By name. The offset of a detector is that from the first one of the model."""


class Unlike(NamedTuple):
    """One way in which a slice is unlike others.

    Attributes:
        z: the slice.
        detector: in which detector.
        measure: by which measure.
        value: what it is.
        least: least value of the others.
        greatest: greatest.
    """

    z: int
    detector: str
    measure: str
    value: float
    least: float
    greatest: float


def ranges_of(slices: Sequence[Appearance]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return least and greatest of what was measured in slices."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for each in slices:
        for detector, values in each.items():
            own = found.setdefault(detector, {})
            for name, value in values.items():
                least, greatest = own.get(name, (value, value))
                own[name] = (min(least, value), max(greatest, value))
    return found


def joined(ranges: Sequence[Ranges]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the ranges of all slices of several stacks, from those of each."""
    ends = [
        {d: {n: pair[end] for n, pair in own.items()} for d, own in each.items()} for each in ranges for end in (0, 1)
    ]
    return ranges_of(ends)


def unlike(z: int, appearance: Appearance, known: Ranges) -> list[Unlike]:
    """Return in which ways a slice lies outside the ranges of others, by more than the tolerance of each `Measure`."""
    return [
        Unlike(z, detector, name, value, *known[detector][name])
        for detector, values in appearance.items()
        for name, value in values.items()
        if name in known.get(detector, {}) and MEASURES[name].outside(value, *known[detector][name])
    ]


def lines_of(found: Sequence[Unlike]) -> list[str]:
    """Tell of slices that are unlike the training slices, a line for consecutive ones and a measure.

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
