"""What was measured, as text for a terminal."""

from collections.abc import Iterator

from monai_app.quantify.quantification import Quantification
from monai_app.quantify.quantity import Quantity


def text_lines(found: Quantification) -> Iterator[str]:
    """A line a quantity with a column a phase; ``*`` marks what is unreliable, the reasons follow."""
    names = [phase.name for phase in found.labels.phases]
    rows = [["", "unit", *names]]
    reasons: dict[str, None] = {}
    for name, of in found.quantities.items():
        unit = next(iter(of.values())).unit
        rows.append([name, "" if unit == "1" else unit, *(_shown(of.get(phase)) for phase in names)])
        reasons |= {f"* {name} of {phase}: {each.unreliable}": None for phase, each in of.items() if each.unreliable}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from reasons


def _shown(number: Quantity | None) -> str:
    if number is None:
        return ""
    value = "-" if number.value is None else f"{number.value:.4g}"
    interval = "" if number.interval is None else " ({:.4g} to {:.4g})".format(*number.interval)
    return f"{value}{interval}{'*' if number.unreliable else ''}"
