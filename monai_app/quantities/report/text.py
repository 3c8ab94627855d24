"""The results as text for a terminal."""

from collections.abc import Iterator

from monai_app.quantities.quantification import Quantification
from monai_app.quantities.quantity import Quantity


def text_lines(found: Quantification) -> Iterator[str]:
    """Return a line per quantity with a column per phase; ``*`` marks unreliable numbers, and notes follow."""
    rows = text_rows(found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from reasons(found)
    if {"corrected_fraction", "material_fraction"} <= found.quantities.keys():
        yield "material_fraction: its interval covers sampling error only, not errors of the labels"


def text_rows(found: Quantification) -> list[list[str]]:
    """The cells of a table with a row a quantity and a column a phase, below a row of titles."""
    names = [phase.name for phase in found.labels.phases]
    rows = [["", "unit", *names]]
    for name, of in found.quantities.items():
        unit = next(iter(of.values())).unit
        rows.append([name, "" if unit == "1" else unit, *(_shown(of.get(phase)) for phase in names)])
    return rows


def reasons(found: Quantification) -> Iterator[str]:
    """Return one line per reason with the quantities and phases that it makes unreliable."""
    reasons: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for name, of in found.quantities.items():
        for reason in dict.fromkeys(each.unreliable for each in of.values() if each.unreliable):
            phases = tuple(phase for phase, each in of.items() if each.unreliable == reason)
            reasons.setdefault(reason, {}).setdefault(phases, []).append(name)
    for reason, places in reasons.items():
        where = [f"{', '.join(names)} of {', '.join(phases)}" for phases, names in places.items()]
        yield f"* {'; '.join(where)}: {reason}"


def _shown(number: Quantity | None) -> str:
    if number is None:
        return ""
    value = "-" if number.value is None else f"{number.value:.4g}"
    interval = "" if number.interval is None else " ({:.4g} to {:.4g})".format(*number.interval)
    return f"{value}{interval}{'*' if number.unreliable else ''}"
