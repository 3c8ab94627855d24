"""The artefacts that a study adds to its test slices, and their strengths."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from monai_app.domain.validation import Items, Strict


@dataclass(frozen=True, order=True)
class Condition:
    """One artefact of one strength."""

    artefact: str
    strength: float

    def __str__(self) -> str:
        """The condition for people."""
        return f"{readable(self.artefact)} {self.strength:g}"


def readable(artefact: str) -> str:
    """An artefact's name for people."""
    return artefact.replace("_", " ")


UNCHANGED = Condition("unchanged", 0)
"""The images as they were recorded."""


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(one >= other for one, other in pairwise(values)):
        raise ValueError("is not in ascending order, or contains a strength twice; sort them, and give each once")
    return values


def _no_change(neutral: float) -> AfterValidator:
    def check(value: float) -> float:
        if value == neutral:
            raise ValueError("has no effect, and unchanged images are measured anyway; leave it out")
        return value

    return AfterValidator(check)


_Share = Annotated[float, Field(gt=0, le=1)]
_Shares = Annotated[Items[_Share], AfterValidator(_ascending)]
_Pixel = Annotated[float, Field(ge=1, le=100, multiple_of=1)]
_Pixels = Annotated[Items[_Pixel], AfterValidator(_ascending)]
_Factors = Annotated[Items[Annotated[float, Field(gt=0, le=10), _no_change(1)]], AfterValidator(_ascending)]
_Offsets = Annotated[Items[Annotated[float, Field(ge=-1, le=1), _no_change(0)]], AfterValidator(_ascending)]


class Robustness(Strict):
    """Strengths of the artefacts that are added to the test slices of trained models, one at a time."""

    curtaining: _Shares = ()
    """Standard deviations of curtains, as shares of the grey range (1st to 99th percentile) of each image."""
    shading: _Shares = ()
    """Shares of the signal lost in the darkest corner."""
    noise: _Shares = ()
    """Standard deviations of added Poisson noise, as shares of the grey range."""
    drift: _Pixels = ()
    """Whole pixels by which each neighbouring slice is displaced; fractions would be interpolated, without noise."""
    detector_shift: _Pixels = ()
    """Whole pixels by which the images of all detectors but the first are displaced."""
    gain: _Factors = ()
    """Factors by which the grey values of all detectors are multiplied."""
    offset: _Offsets = ()
    """Shares of the grey range that are added to the grey values of all detectors."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every artefact with every strength."""
        return tuple(Condition(name, strength) for name, strengths in self for strength in strengths)

    @property
    def greatest(self) -> Iterator[Condition]:
        """The conditions that are the farthest from unchanged images, on either side of them."""
        for name, strengths in self:
            neutral = NEUTRAL.get(name, 0)
            sides = [strength for strength in strengths if strength < neutral][:1]
            sides += [strength for strength in strengths if strength > neutral][-1:]
            yield from (Condition(name, strength) for strength in sides)


NEUTRAL = {"gain": 1.0}
"""Strength that changes nothing, where it is not 0."""

UNITS = {
    "curtaining": "sd, share of the grey range",
    "shading": "share of the signal lost in the corner",
    "noise": "sd, share of the grey range",
    "drift": "pixels between slices",
    "detector_shift": "pixels between detectors",
    "gain": "factor",
    "offset": "share of the grey range",
}
"""What strengths are measured in."""
