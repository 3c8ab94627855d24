"""The phases that values or colours stand for in label planes of other programs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.errors import AnnotationError, ConfigError
from monai_app.io.base import Plane, PlaneFile
from monai_app.io.formats.painted import TRANSPARENT, number_of, shown
from monai_app.stack.ingestion.annotations import Labels, look_up

NOTHING = "unlabelled"
"""Name of unlabelled pixels in options."""

_SHOWN = 6
"""Maximum number of values or colours that a message lists."""


@dataclass(frozen=True)
class Meaning:
    """The phases of the values or colours of label files, as the user gives them.

    Args:
        values: value -> phase, or 0 for unlabelled; empty without a mapping.
        colours: number of a colour (see `colour_numbers`) -> phase, or 0 for unlabelled.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, phases: Sequence[Phase], mapping: str | None, colours: Sequence[str]) -> "Meaning":
        """Read the options of the command line.

        Args:
            phases: the phases of the stack.
            mapping: ``"1=pore,2=hydrate,255=unlabelled"``; None for nothing.
            colours: ``"pore=#20304f"`` each.

        Raises:
            ConfigError: wrong syntax, an unknown phase, two phases for one value, or both mapping and colours.
        """
        if mapping is not None and colours:
            raise ConfigError("--mapping is for values and --colour for colours; give only one of them")
        values: dict[int, int] = {}
        for entry in re.split(r",(?=\s*-?\d+\s*=)", mapping) if mapping is not None else ():
            found = re.fullmatch(r"\s*(-?\d{1,18})\s*=\s*(.*?)\s*", entry)
            if found is None:
                raise ConfigError(f"--mapping {entry!r}: write the value, '=' and the phase, such as 1=pore,2=hydrate")
            _add(values, int(found[1]), _phase(phases, found[2], "--mapping"), f"--mapping {entry.strip()}")
        numbers: dict[int, int] = {}
        for entry in colours:
            found = re.fullmatch(r"\s*(.*?)\s*=\s*#([0-9a-fA-F]{6})\s*", entry)
            if found is None:
                raise ConfigError(f"--colour {entry!r}: write the phase, '=' and #rrggbb, such as 'pore=#20304f'")
            _add(numbers, int(found[2], 16), _phase(phases, found[1], "--colour"), f"--colour {entry.strip()}")
        return cls(values, numbers)

    def labels(self, file: PlaneFile, plane: int, pixels: Plane, phases: Sequence[Phase]) -> Labels:
        """Return the phases of a label plane: (rows, columns), 0 unlabelled.

        Args:
            file: its file.
            plane: its index in the file.
            pixels: (rows, columns), its values.
            phases: the phases of the stack.

        Raises:
            ConfigError: values were given for a file with colours, or the other way round.
            AnnotationError: a value has no phase, or two.
        """
        table = self._table(file, plane, pixels, phases)
        labels, known = look_up(pixels, table)
        if not known.all():
            raise AnnotationError(_unknown(file, pixels[~known], table, phases))
        return labels

    def _table(self, file: PlaneFile, plane: int, pixels: Plane, phases: Sequence[Phase]) -> dict[int, int]:
        """Value -> phase, or 0."""
        if file.painted:
            if self.values:
                raise ConfigError("it is a colour image, but --mapping is for values; give --colour instead")
            return {TRANSPARENT: UNLABELLED, **_own_colours(phases, self.colours)}
        colours = file.colours(plane)
        if self.colours:
            if colours is None:
                raise ConfigError("it has values without colours, but --colour is for colours; give --mapping instead")
            return _by_colour(colours, pixels, _own_colours(phases, self.colours))
        named = _by_name(file, phases)
        if self.values:
            _check_names(file, self.values, named, phases)
            return {0: UNLABELLED, **self.values}
        if file.segments:
            return {0: UNLABELLED, **named}
        _check_colours(colours, pixels, phases)
        return {0: UNLABELLED, **{phase.value: phase.value for phase in phases}}


def _add(table: dict[int, int], value: int, phase: int, given: str) -> None:
    if table.setdefault(value, phase) != phase:
        raise ConfigError(f"{given}: it already has another phase; give one phase for each")


def _phase(phases: Sequence[Phase], name: str, option: str) -> int:
    for phase in phases:
        if phase.name.casefold() == name.casefold():
            return phase.value
    if name.casefold() == NOTHING:
        return UNLABELLED
    known = ", ".join(phase.name for phase in phases)
    raise ConfigError(f"{option}: {name!r} is not a phase; give one of {known}, or {NOTHING}")


def _own_colours(phases: Sequence[Phase], given: Mapping[int, int]) -> dict[int, int]:
    """Return the colours of the phases; colours that are given replace those of their phases."""
    own: dict[int, int] = {}
    for phase in phases:
        if phase.value in given.values():
            continue
        number = number_of(phase.rgb)
        if number in own:
            raise AnnotationError(
                f"phases {phases[own[number] - 1].name!r} and {phase.name!r} have the same colour, {phase.colour}; "
                "give the colours in which they are painted (--colour)"
            )
        own[number] = phase.value
    return own | dict(given)


def _by_colour(table: npt.NDArray[np.uint16], pixels: Plane, known: Mapping[int, int]) -> dict[int, int]:
    """Return the phases of the indices into a colour table."""
    numbers = _numbers(table)
    found = {index: known.get(numbers[index]) for index in np.unique(pixels).tolist()}
    unknown = [shown(numbers[index]) for index, phase in found.items() if phase is None]
    if unknown:
        raise AnnotationError(
            f"its colour table contains {', '.join(unknown[:_SHOWN])}, which is not the colour of a phase; give its "
            f"phase, such as --colour '{NOTHING}={unknown[0]}', or the phases of the values (--mapping)"
        )
    return {index: phase for index, phase in found.items() if phase is not None}


def _numbers(table: npt.NDArray[np.uint16]) -> list[int]:
    return [number_of((red, green, blue)) for red, green, blue in (table >> 8).T.tolist()]


def _by_name(file: PlaneFile, phases: Sequence[Phase]) -> dict[int, int]:
    """Return the values that have the name of a phase in the file."""
    known = {phase.name.casefold(): phase.value for phase in phases}
    names = {value: name.strip().casefold() for value, name in file.segments.items()}
    return {value: known[name] for value, name in names.items() if name in known}


def _check_names(file: PlaneFile, given: Mapping[int, int], named: Mapping[int, int], phases: Sequence[Phase]) -> None:
    for value, phase in named.items():
        if given.get(value, phase) != phase:
            other = NOTHING if not given[value] else phases[given[value] - 1].name
            raise AnnotationError(
                f"value {value} is named {file.segments[value]!r} in the file, but {other!r} in --mapping; correct the "
                "one that is wrong"
            )


def _check_colours(table: npt.NDArray[np.uint16] | None, pixels: Plane, phases: Sequence[Phase]) -> None:
    """Check that no phase has the colour of another one in the file, whose values then are not those of the phases."""
    if table is None:
        return
    own, numbers = {number_of(phase.rgb): phase for phase in phases}, _numbers(table)
    for phase in phases[: len(numbers) - 1]:
        other = own.get(numbers[phase.value])
        if other is not None and other.rgb != phase.rgb and (pixels == phase.value).any():
            raise AnnotationError(
                f"its value {phase.value} is that of phase {phase.name!r}, but has the colour of {other.name!r}; use "
                f"the values (--mapping {phase.value}={phase.name}) or the colours (--colour "
                f"'{other.name}={other.colour}')"
            )


def _unknown(
    file: PlaneFile, unknown: npt.NDArray[np.integer], table: Mapping[int, int], phases: Sequence[Phase]
) -> str:
    """Return the message for pixels whose values or colours have no phase."""
    values, counts = np.unique(unknown, return_counts=True)
    ordered = values[np.argsort(-counts)].tolist()
    name = shown if file.painted else lambda value: _named(file, value)
    found = ", ".join(map(name, ordered[:_SHOWN]))
    rest = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    pixels = f"{unknown.size} pixel{'s' if unknown.size > 1 else ''}"
    if not file.painted:
        listed = ", ".join(f"{phase.value} {phase.name}" for phase in phases)
        return (
            f"{found}{rest} ({pixels}) is not a phase; the phases are {listed}: give its phase (--mapping "
            f"{ordered[0]}={phases[0].name} or {ordered[0]}={NOTHING}), or use only these values"
        )
    known = ", ".join(shown(number) for number in table if number >= 0)
    example = next((number for number in ordered if number >= 0), 0)
    return (
        f"colour {found}{rest} ({pixels}) is not that of a phase; the colours of the phases are {known}. If edges are "
        "soft (anti-aliased, scaled or saved as JPEG), paint with a hard pencil and save as PNG; otherwise give the "
        f"phase of the colour (--colour '{phases[0].name}={shown(example)}' or '{NOTHING}={shown(example)}')"
    )


def _named(file: PlaneFile, value: int) -> str:
    return f"segment {file.segments[value]!r} (value {value})" if value in file.segments else f"value {value}"
