"""An index of the slices of a stack by position, name, and number in the name."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from monai_app.domain.numbering import find_pattern, gaps_of, numbers_within, read_number, step_of
from monai_app.errors import AnnotationError, StackError
from monai_app.io.sources import Source

_SHOWN = 5
"""Gaps that are named."""

_RANGE = re.compile(r"(-?\d{1,9})?:(-?\d{1,9})?(?::(-?\d{1,9})?)?")
"""start:stop or start:stop:step."""


class SliceIndex:
    """Finds a slice by what users call it.

    Args:
        detectors: the images, detector name -> source, numbered, which agree in their slices.
        pattern: where names hold the slice's number, if the description says so.
        by_name: label files belong to images by name alone, because the images have no order.

    Attributes:
        names: the file stem of every slice.
        numbers: the number of every slice, ascending.
    """

    def __init__(self, detectors: Mapping[str, Source], pattern: str | None = None, *, by_name: bool = False) -> None:
        # Where any detector is a folder, its file names are what users know; pages of one file are only counted.
        sources = [source for source in detectors.values() if source.is_folder] or list(detectors.values())
        numbered = next((source.numbers for source in sources if source.pattern), None)
        self.names = sources[0].names
        self.numbers = numbered or tuple(Decimal(z) for z in range(len(self.names)))
        self._by_name_alone = by_name
        self._pattern, self._patterns = pattern, {source.pattern for source in sources if source.pattern}
        self._places = {number: z for z, number in enumerate(self.numbers)}
        self._by_name: dict[str, set[int]] = {}
        self._by_key: dict[str, set[int]] = {}
        for source in sources:
            for z, (name, key) in enumerate(zip(source.names, source.keys, strict=True)):
                self._by_name.setdefault(name, set()).add(z)
                self._by_key.setdefault(key.casefold(), set()).add(z)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def gaps(self) -> tuple[int, ...]:
        """The slices before which others are missing, counted from 0."""
        return gaps_of(self.numbers)

    def missing(self, gaps: Sequence[int] | None = None) -> str:
        """The numbers that are missing, for people: ``"3 to 4, 9"``.

        Args:
            gaps: before which slices; all gaps if None.
        """
        step, parts = step_of(self.numbers), list[str]()
        gaps = self.gaps if gaps is None else gaps
        for z in gaps[:_SHOWN]:
            first, last = self.numbers[z - 1] + step, self.numbers[z] - step
            parts.append(str(first) if first == last else f"{first} to {last}")
        return ", ".join(parts) + (f" and {len(gaps) - _SHOWN} more gaps" if len(gaps) > _SHOWN else "")

    def check(self, z: int, where: str) -> int:
        """Give ``z`` if there is such a slice.

        Raises:
            AnnotationError: there is none.
        """
        if not 0 <= z < len(self):
            raise AnnotationError(
                f"{where}: slice {z} does not exist; the slices are 0 to {len(self) - 1}, counted from 0; correct it"
            )
        return z

    def resolve(self, entry: int | str, where: str) -> int:
        """The z of a slice given as z or as the file stem of one of its images.

        Raises:
            AnnotationError: there is no such slice, or several.
        """
        if isinstance(entry, int):
            return self.check(entry, where)
        found = self._by_name.get(entry)
        if found is None:
            raise AnnotationError(
                f"{where}: no image has the stem {entry!r}; the stems are {self.names[0]!r} to {self.names[-1]!r}, and "
                "z is written without quotes; correct it"
            )
        if len(found) > 1:
            raise AnnotationError(
                f"{where}: {entry!r} is the stem of slices {', '.join(map(str, sorted(found)))}, in different "
                "detectors; give z instead"
            )
        return min(found)

    def resolve_all(self, entry: int | str, where: str) -> list[int]:
        """The z of an entry of a list: a slice, as `resolve` has it, or a range of slices by Python's rules.

        Example: of 30 slices ``"0:30:10"`` are 0, 10 and 20, and ``"-2:"`` are 28 and 29.

        Raises:
            AnnotationError: there is no such slice, or none in the range.
        """
        if isinstance(entry, int) or entry in self._by_name or not (found := _RANGE.fullmatch(entry.strip())):
            return [self.resolve(entry, where)]
        start, stop, step = (int(part) if part else None for part in found.groups())
        chosen = sorted(range(len(self))[start:stop:step]) if step != 0 else []
        if not chosen:
            raise AnnotationError(
                f"{where}: range {entry!r} holds no slice; the slices are 0 to {len(self) - 1}, and start:stop:step "
                "counts as in Python; correct it"
            )
        return chosen

    def match(self, names: Sequence[str], keys: Sequence[str] = ()) -> list[int | None]:
        """The z of the slices to which label files belong; None if there is no such slice.

        A label file is that of the image with the same stem, or with the same text beside what both were chosen by.
        Else its number counts: where the pattern says, or after the text that stands before the number in the images'
        names, or, as in images, the one number that differs.

        Args:
            names: the stems of the files.
            keys: what their names have beside the text that they were chosen by; the names if there are none.

        Raises:
            AnnotationError: the number of a file is not clear.
        """
        numbers: dict[str, Decimal | None] = {}
        for name, key in zip(names, keys or names, strict=True):
            found = self._by_name.get(name) or self._by_key.get(key.casefold(), set())
            numbers[name] = self.numbers[min(found)] if len(found) == 1 else self._number(name)
        if self._by_name_alone:
            return [self._places.get(number) if (number := numbers[name]) is not None else None for name in names]
        rest = [name for name in names if numbers[name] is None]
        try:
            pattern = find_pattern(rest)
        except StackError as error:
            raise AnnotationError(str(error)) from None
        for name in rest:
            numbers[name] = read_number(name, pattern) if pattern else None
            if numbers[name] is None and any(map(str.isdecimal, name)):
                raise AnnotationError(
                    f"it is unclear which number in {name!r} is the slice number; name the file like the image of its "
                    "slice"
                )
        return [self._places.get(number) if (number := numbers[name]) is not None else None for name in names]

    def _number(self, name: str) -> Decimal | None:
        if self._pattern and (number := read_number(name, self._pattern)) is not None:
            return number
        found = set().union(*(numbers_within(name, pattern) for pattern in self._patterns))
        if len(found) > 1:
            raise AnnotationError(
                f"{name!r} names slices {', '.join(map(str, sorted(found)))}; name the file like the image of its slice"
            )
        return found.pop() if found else None
