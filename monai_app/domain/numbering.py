"""Slice numbers: their place in file names, and missing slices.

A pattern says where the number stands: in ``run*_slice_{}_T2``, ``{}`` is the number and ``*`` any text. Numbers may
have decimals, as depths have.
"""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import gcd

from monai_app.errors import StackError

PLACE = "{}"
"""Where the number stands in a pattern."""

_NUMBER = "[0-9]+(?:[.,][0-9]+)?"


def find_pattern(names: Sequence[str]) -> str | None:
    """Find the place of the slice number in names.

    It is the only number that differs between names or, of several, the only one that counts slices: no value occurs
    twice, and some are 1 apart.

    Returns:
        The pattern; None if no name contains a number, or a single name contains several.

    Raises:
        StackError: several numbers may be meant.

    Example:
        >>> find_pattern(["slice_0001_T2", "slice_0002_T2", "slice_0002_T2 - Copy"])
        'slice_{}*'
    """
    parts = [re.split(f"({_NUMBER})", name) for name in names]
    kinds = Counter(_texts(part) for part in parts)
    usual = max(kinds, key=lambda texts: (len(texts) > 1, kinds[texts]), default=())
    alike = [part for part in parts if _texts(part) == usual]
    columns = [[_value(text) for text in column] for column in zip(*(part[1::2] for part in alike), strict=True)]
    if not columns or (len(names) == 1 and len(columns) > 1):
        return None
    differing = {place for place, column in enumerate(columns) if len(set(column)) > 1}
    places = {place for place in differing if _counts(columns[place])} if len(differing) > 1 else differing
    if differing and len(places) != 1:
        first, second = ("".join(part) for part in alike[:2])
        raise StackError(
            f"names such as {first!r} and {second!r} differ in several numbers, and it is unclear which is "
            "the slice number; name it in the description, as in 'numbers: {pattern: \"slice_{}_run*\"}', or rename "
            "the files"
        )
    place = min(places, default=len(columns) - 1)
    before = [*zip(*alike, strict=True)][: 2 * place + 1]
    return "".join(re.sub("[{}]", "*", texts[0]) if _same(texts) else "*" for texts in before) + PLACE + "*"


def read_number(name: str, pattern: str) -> Decimal | None:
    """Read the number in a name; None if it does not match the pattern.

    Example:
        >>> read_number("slice_0012_T2", "slice_{}_T*"), read_number("z0.05um", "z{}um")
        (Decimal('12'), Decimal('0.05'))
    """
    before, _, after = (_text(part) for part in pattern.partition(PLACE))
    found = re.fullmatch(f"{before}(?<![0-9])({_NUMBER})(?![0-9]){after}", name, re.IGNORECASE | re.DOTALL)
    return _value(found[1]) if found else None


def numbers_within(name: str, pattern: str) -> set[Decimal]:
    """Read the numbers that follow the pattern's prefix anywhere in a name; none if the prefix has no letter.

    Example:
        >>> numbers_within("labels of slice_0012, v2", "slice_{}*")
        {Decimal('12')}
    """
    before = pattern.partition(PLACE)[0]
    if not re.search("[^\\W\\d_]", before):
        return set()
    return {_value(found) for found in re.findall(f"(?<![^\\W_]){_text(before)}({_NUMBER})", name, re.IGNORECASE)}


def step_of(numbers: Sequence[Decimal]) -> Decimal:
    """Return the largest common step of the numbers of neighbouring slices; 1 for a single slice.

    Example:
        >>> step_of([Decimal("0.05"), Decimal("0.1"), Decimal("0.25")])
        Decimal('0.05')
    """
    unit = min((number.as_tuple().exponent for number in numbers), default=0)
    scale = Decimal(10) ** min(int(unit), 0)
    return gcd(*(int((after - before) / scale) for before, after in pairwise(numbers))) * scale or Decimal(1)


def gaps_of(numbers: Sequence[Decimal]) -> tuple[int, ...]:
    """Return the slices that follow a gap, counted from 0.

    Example:
        >>> gaps_of([Decimal(number) for number in (4, 5, 8, 9)])
        (2,)
    """
    step = step_of(numbers)
    return tuple(z for z, (before, after) in enumerate(pairwise(numbers), 1) if after - before > step)


def _texts(part: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.casefold() for text in part[::2])


def _same(texts: Sequence[str]) -> bool:
    return len({text.casefold() for text in texts}) == 1


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def _counts(column: Sequence[Decimal]) -> bool:
    return len(set(column)) == len(column) and any(b - a == 1 for a, b in pairwise(sorted(column)))


def _text(pattern: str) -> str:
    """Return a regular expression for the text around the number."""
    return ".*?".join(map(re.escape, re.split(r"\*+", pattern)))
