"""Phases: the material classes of a sample, each with a value, a name and a colour."""

import re
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema

from monai_app.domain.validation import Byte, Strict, Text
from monai_app.errors import ConfigError

UNLABELLED = 0
"""The value of unlabelled pixels, which is never the value of a phase."""

MAX_PHASES = 255
"""Annotations and label images are stored as uint8, and 0 is reserved."""


def _from_hex(colour: Any) -> Any:
    """Convert ``"#rrggbb"`` to red, green and blue; keep three numbers as they are."""
    if isinstance(colour, list | tuple):
        return colour
    if not isinstance(colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise ValueError(
            'is not of the form "#rrggbb"; write six hexadecimal digits in quotes, such as "#20304f" (unquoted, '
            "YAML takes # for a comment)"
        )
    return tuple(bytes.fromhex(colour[1:]))


_Value = Annotated[int, Field(ge=1, le=MAX_PHASES, json_schema_extra={"remedy": "number the phases 1, 2, 3, ..."})]
_Rgb = Annotated[
    tuple[Byte, Byte, Byte],
    Field(strict=False),
    BeforeValidator(_from_hex),
    WithJsonSchema({"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "examples": ["#56b4e9"]}),  # as people write it
]


class Phase(Strict):
    """A material class.

    ``sample.yaml`` and stores of earlier versions have ``colour: "#rrggbb"`` for ``rgb`` (red, green, blue, 0..255).

    Example:
        >>> Phase(value=1, name="pore", rgb=(32, 48, 79)).colour
        '#20304f'
        >>> Phase.model_validate({"value": 1, "name": "pore", "colour": "#20304f"}).rgb
        (32, 48, 79)
    """

    value: _Value
    """Its value in annotations and label images; 0 means unlabelled."""
    name: Text
    """Its name."""
    rgb: _Rgb = Field(validation_alias=AliasChoices("colour", "rgb"))
    """Its colour in pictures."""

    @property
    def colour(self) -> str:
        """The colour as ``"#rrggbb"``."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    def sample_entry(self) -> dict[str, Any]:
        """Return the phase in the form of ``sample.yaml``."""
        return {"value": self.value, "name": self.name, "colour": self.colour}


def check_phases(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """Return phases, after checking that they are numbered 1..K without gaps, in this order, and have different names.

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
                f"phase name {phase.name!r} occurs twice (case is ignored); give every phase its own name"
            )
        seen.add(phase.name.casefold())
    return phases
