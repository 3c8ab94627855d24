"""The measures by name: a measure is a module and a line here."""

from collections.abc import Mapping, Sequence

from monai_app.errors import ConfigError
from monai_app.quantify.measures import (
    chords,
    components,
    correction,
    correlation,
    fraction,
    representativity,
    surface,
    thickness,
)
from monai_app.quantify.quantity import Measure

MEASURES: Mapping[str, Measure] = {
    "fraction": fraction.measure,
    "correction": correction.measure,
    "representativity": representativity.measure,
    "surface": surface.measure,
    "components": components.measure,
    "correlation": correlation.measure,
    "chords": chords.measure,
    "thickness": thickness.measure,
}
"""What is measured unless measures are chosen."""


def chosen_measures(names: Sequence[str] | None) -> Mapping[str, Measure]:
    """Return measures by their names; None stands for all.

    Raises:
        ConfigError: there is no such measure.
    """
    for name in names or ():
        if name not in MEASURES:
            raise ConfigError(f"measure {name!r} is unknown; choose of {', '.join(MEASURES)} (--measure)")
    return MEASURES if names is None else {name: MEASURES[name] for name in names}
