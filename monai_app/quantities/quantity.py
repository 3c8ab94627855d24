"""The result of a measure: quantities of the phases, tables, and curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels

Cell = str | float | None
"""A cell of a table; None if it cannot be measured."""


@dataclass(frozen=True)
class Quantity:
    """A number of one phase.

    Args:
        value: the number; None if it cannot be measured.
        unit: its unit, ``"1"`` for a share or a count.
        interval: its 95 % confidence interval; None if unknown.
        unreliable: reasons why it is unreliable or missing.
    """

    value: float | None
    unit: str
    interval: tuple[float, float] | None = None
    unreliable: str | None = None


@dataclass(frozen=True)
class Table:
    """A table; columns name their unit where they have one, as ``"length_um"``."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Panel:
    """A part of a figure: a curve, or a bar, of every phase.

    Args:
        title: what is shown.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        curves: phase name -> the places and values.
        kind: how they are drawn.
        log_x: whether the horizontal axis is logarithmic.
    """

    title: str
    x: str
    y: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    kind: Literal["line", "step", "bar"] = "line"
    log_x: bool = False


@dataclass(frozen=True)
class Measured:
    """The result of a measure.

    Args:
        quantities: name of the quantity -> name of the phase -> the number.
        tables: name of the table, which is its file's -> the table.
        panels: of the measure's figure.
        settings: what determined the numbers besides the labels (JSON values), such as the connectivity.
    """

    quantities: Mapping[str, Mapping[str, Quantity]]
    tables: Mapping[str, Table] = field(default_factory=dict)
    panels: Sequence[Panel] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


Measure = Callable[[Labels, Progress], Measured]
"""A measure reads the labels block by block, and reports progress for every block."""
