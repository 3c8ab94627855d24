"""The measures by name; each has a module and a line here."""

from collections.abc import Mapping, Sequence

from monai_app.errors import ConfigError
from monai_app.quantities.labels import Labels
from monai_app.quantities.measures import (
    chords,
    components,
    correction,
    correlation,
    fraction,
    representativity,
    surface,
    thickness,
)
from monai_app.quantities.quantity import Measure

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
"""The default measures."""


def chosen_measures(names: Sequence[str] | None) -> Mapping[str, Measure]:
    """Return measures by their names; None stands for all.

    Raises:
        ConfigError: there is no such measure.
    """
    for name in names or ():
        if name not in MEASURES:
            raise ConfigError(f"measure {name!r} is unknown; choose one of {', '.join(MEASURES)} (--measure)")
    return MEASURES if names is None else {name: MEASURES[name] for name in names}


def tortuosity_measure(labels: Labels, phase: str) -> Measure:
    """Return the measure of a phase's tortuosity; see `tortuosity.tortuosity_of`.

    Raises:
        ConfigError: taufactor is not installed, there is no such phase, or there is too little memory.
    """
    try:
        from monai_app.quantities.measures.tortuosity import tortuosity_of
    except ImportError as error:
        raise ConfigError(
            f"tortuosity needs a package that is not installed ({error}); pip install 'monai-app[tortuosity]'"
        ) from error
    return tortuosity_of(labels, phase)
