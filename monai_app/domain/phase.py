"""Phases: the material classes of a sample, each with a value, a name and a colour."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monai_app.errors import ConfigError

UNLABELLED = 0
"""The value of pixels that nobody labelled; never the value of a phase."""

MAX_PHASES = 255
"""Annotations and label images are stored as uint8, with 0 taken."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Phase:
    """A material class.

    Args:
        value: its value in annotations and label images, 1..255.
        name: what people call it, e.g. ``"pore"``.
        colour: ``"#rrggbb"``.

    Raises:
        ConfigError: a value, name or colour that breaks its rule.

    Example:
        >>> Phase(1, "pore", "#20304f").rgb
        (32, 48, 79)
    """

    value: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 1 <= self.value <= MAX_PHASES:
            raise ConfigError(
                f"phase {self.name!r}: value {self.value!r} is not a whole number from 1 to {MAX_PHASES} "
                f"({UNLABELLED} means unlabelled); number the phases 1, 2, 3, ..."
            )
        if not isinstance(self.name, str) or not self.name.strip():
            raise ConfigError(f"phase {self.value}: name {self.name!r} is empty or no text; give every phase a name")
        if not isinstance(self.colour, str) or not _COLOUR.fullmatch(self.colour):
            raise ConfigError(
                f"phase {self.name!r}: colour {self.colour!r} is not of the form '#rrggbb'; "
                'write six hexadecimal digits in quotes, such as "#20304f" (unquoted, YAML takes # for a comment)'
            )

    @classmethod
    def from_rgb(cls, value: int, name: str, rgb: Sequence[int]) -> "Phase":
        """Make a phase from red, green and blue, 0..255 each: bundle configs can't hold the ``#`` of a colour."""
        red, green, blue = rgb
        return cls(value, name, f"#{red:02x}{green:02x}{blue:02x}")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0..255 each."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


def check_phases(phases: Sequence[Phase]) -> None:
    """Check that phases are numbered 1..K without gaps, in this order, and have different names.

    Raises:
        ConfigError: naming the first value or name that breaks the rule.
    """
    values = [phase.value for phase in phases]
    if values != list(range(1, len(phases) + 1)):
        raise ConfigError(
            f"phase values {values} are not 1..{len(phases)} in this order without gaps or repeats; renumber the phases"
        )
    seen: set[str] = set()
    for phase in phases:
        if phase.name.casefold() in seen:
            raise ConfigError(
                f"phase name {phase.name!r} occurs twice (case does not count); give every phase its own name"
            )
        seen.add(phase.name.casefold())
