"""The phases that values or colours stand for in label planes of other programs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.errors import AnnotationError, ConfigError
from monai_app.io.base import Plane, PlaneFile
from monai_app.io.formats.painted import DTYPE, TRANSPARENT, number_of
from monai_app.stack.annotations.found import NOTHING, Found
from monai_app.stack.ingestion.annotations import Labels, look_up


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

    def labels(self, file: PlaneFile, plane: int, pixels: Plane, found: Found) -> Labels | None:
        """Return the phases of a label plane: (rows, columns), 0 unlabelled; None if a value has no phase.

        Args:
            file: its file.
            plane: its index in the file.
            pixels: (rows, columns), its values.
            found: records the values and colours that occur.

        Raises:
            ConfigError: values were given for a file with colours, or the other way round.
            AnnotationError: a value has two phases.
        """
        colours = file.colours(plane)
        if self.colours and not file.painted:
            if colours is None:
                raise ConfigError("it has values without colours, but --colour is for colours; give --mapping instead")
            pixels = np.asarray(_numbers(colours), DTYPE)[pixels]
        painted = file.painted or bool(self.colours)
        table = self._colours(found.phases) if painted else self._values(file, colours, pixels, found.phases)
        labels, known = look_up(pixels, table)
        found.add(file, pixels, known, table, colours=painted)
        return labels if known.all() else None

    def _colours(self, phases: Sequence[Phase]) -> dict[int, int]:
        """Number of a colour -> phase, or 0."""
        if self.values:
            raise ConfigError("it is a colour image, but --mapping is for values; give --colour instead")
        return {TRANSPARENT: UNLABELLED, **_own_colours(phases, self.colours)}

    def _values(
        self, file: PlaneFile, colours: npt.NDArray[np.uint16] | None, pixels: Plane, phases: Sequence[Phase]
    ) -> dict[int, int]:
        """Value -> phase, or 0."""
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
