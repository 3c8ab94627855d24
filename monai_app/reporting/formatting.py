"""Formatting of numbers for readers."""

import math
from collections.abc import Sequence

MISSING = "–"
"""Placeholder for unknown or undefined values."""

_LEAST, _MOST = 1e-4, 1e7
"""Between these, no power of ten is written."""


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with a few significant digits and thousands separators.

    Example:
        >>> [number(each) for each in (0.034567, 12.0, 48612.4, 3.2e-7, None)]
        ['0.0346', '12.0', '48,600', '3.20 × 10⁻⁷', '–']
    """
    if value is None or math.isnan(value):
        return MISSING
    if value == 0:
        return "0"
    if not _LEAST <= abs(value) < _MOST:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(decimals, 0)}f}"


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fixed(value: float | None, decimals: int = 3) -> str:
    """Format a score with a fixed number of decimals."""
    return MISSING if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def percent(value: float | None, decimals: int = 1) -> str:
    """Format a share in percent.

    Example:
        >>> percent(0.1234)
        '12.3 %'
    """
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.{decimals}f} %"


def count(value: int) -> str:
    """Format a count with thousands separators."""
    return f"{value:,}"


def length(nm: float) -> str:
    """Format a length in nm, or in micrometres from 1000 nm on.

    Example:
        >>> length(20), length(10240)
        ('20 nm', '10.2 µm')
    """
    return f"{nm:g} nm" if nm < 1000 else f"{number(nm / 1000)} µm"


def slices(zs: Sequence[int]) -> str:
    """Format slice numbers, with ranges for consecutive ones.

    Example:
        >>> slices([1, 2, 3, 7])
        '1 to 3, 7'
    """
    runs: list[list[int]] = []
    for z in zs:
        if runs and z == runs[-1][1] + 1:
            runs[-1][1] = z
        else:
            runs.append([z, z])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


def listed(names: Sequence[str]) -> str:
    """Format names as a list in a sentence.

    Example:
        >>> listed(["ICE", "TLD", "SE"])
        'ICE, TLD and SE'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def times(numbers: Sequence[float]) -> str:
    """Format numbers with multiplication signs between them."""
    return " × ".join(f"{each:,g}" for each in numbers)
