"""The values and colours that occur in label planes, and the message for those that have no phase."""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.errors import AnnotationError, Faults
from monai_app.io.base import Plane, PlaneFile
from monai_app.io.formats.painted import shown
from monai_app.progress import counted

NOTHING = "unlabelled"
"""Name of unlabelled pixels in options."""

_SHOWN = 6
"""Maximum number of values or colours that a message lists."""


@dataclass
class _Kind:
    """The values, or the colours, of all planes."""

    table: dict[int, int] = field(default_factory=dict)  # value -> phase, or 0
    used: set[int] = field(default_factory=set)  # values of the table that occur
    unknown: Counter[int] = field(default_factory=Counter)  # value without a phase -> pixels
    segments: dict[int, str] = field(default_factory=dict)  # names of values in the files


class Found:
    """The values and colours that occur in label planes; those without a phase are reported for all planes together.

    Args:
        phases: the phases of the stack.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.phases = phases
        self._values, self._colours = _Kind(), _Kind()

    def add(
        self, file: PlaneFile, pixels: Plane, known: npt.NDArray[np.bool_], table: Mapping[int, int], *, colours: bool
    ) -> None:
        """Record a plane.

        Args:
            file: its file.
            pixels: (rows, columns), its values, or numbers of its colours (see `colour_numbers`).
            known: (rows, columns), where they have a phase.
            table: value -> phase, or 0 for unlabelled.
            colours: whether they are colours.
        """
        kind = self._colours if colours else self._values
        kind.table.update(table)
        kind.segments.update(file.segments)
        kind.used.update(value for value in table.keys() - kind.used if (pixels == value).any())
        if not known.all():
            values, counts = np.unique(pixels[~known], return_counts=True)
            kind.unknown.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def check(self, planes: Sequence[str]) -> None:
        """Check that every value and colour has a phase.

        Args:
            planes: names of the planes in which one has none.

        Raises:
            AnnotationError: naming all that have none.
        """
        where = f"{planes[0]} and {len(planes) - 1} more" if len(planes) > 1 else "".join(planes)
        faults = Faults()
        for kind, describe in ((self._colours, self._unknown_colours), (self._values, self._unknown_values)):
            if kind.unknown:
                with faults.noted():
                    raise AnnotationError(f"{where}: {describe(kind)}")
        faults.check()

    def _unknown_colours(self, kind: _Kind) -> str:
        ordered = [value for value, _ in kind.unknown.most_common()]
        rule = self._rule(kind, "colour", [shown(number) for number in ordered], shown)
        remedies = list[str]()
        if len(ordered) > _SHOWN or min(ordered) < 0:
            remedies.append(
                "if edges are soft (anti-aliased, scaled or saved as JPEG), paint with a hard pencil and save as PNG"
            )
        if opaque := [number for number in ordered if number >= 0]:
            given = zip(self._proposed(kind), opaque if len(ordered) <= _SHOWN else opaque[:1], strict=False)
            options = (f"--colour {shlex.quote(f'{name}={shown(number)}')}" for name, number in given)
            remedies.append(f"give each, e.g. {' '.join(options)}")
        return f"{rule}; {'; otherwise '.join(remedies)}"

    def _unknown_values(self, kind: _Kind) -> str:
        ordered = [value for value, _ in kind.unknown.most_common()]
        names = [
            f"{value} (segment {kind.segments[value]!r})" if value in kind.segments else str(value) for value in ordered
        ]
        rule = self._rule(kind, "value", names, str)
        known = {value: self._name(kind.table[value]) for value in kind.used}
        if kind.table.get(0) == UNLABELLED:
            known.pop(0, None)  # is so by default
        mapping = known | dict(zip(ordered[:_SHOWN], self._proposed(kind), strict=False))
        entries = [f"{value}={name}" for value, name in sorted(mapping.items())]
        option = shlex.quote(",".join([*entries, "..."] if len(ordered) > _SHOWN else entries))
        return f"{rule}; use only these, or give all, e.g. --mapping {option}"

    def _rule(self, kind: _Kind, what: str, names: Sequence[str], text: Callable[[int], str]) -> str:
        """Say which values have no phase, and those of the phases."""
        listed = list(names[:_SHOWN]) + ([f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])
        together = " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))
        phases = (
            " ".join([phase.name, *(text(value) for value, of in kind.table.items() if of == phase.value)])
            for phase in self.phases
        )
        return (
            f"{what}{'s' * (len(names) > 1)} {together} ({counted(kind.unknown.total(), 'pixel')}) "
            f"{'belong' if len(names) > 1 else 'belongs'} to no phase ({', '.join(phases)})"
        )

    def _proposed(self, kind: _Kind) -> list[str]:
        """Names for values without one: those of phases that do not occur, then unlabelled."""
        used = {kind.table[value] for value in kind.used}
        return [phase.name for phase in self.phases if phase.value not in used][:_SHOWN] + [NOTHING] * _SHOWN

    def _name(self, value: int) -> str:
        return self.phases[value - 1].name if value else NOTHING
