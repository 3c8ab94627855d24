"""The slices of one detector, or label planes: a folder with one file per slice, or one file with all slices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.numbering import find_pattern, read_number
from monai_app.errors import StackError
from monai_app.io.base import Plane, PlaneFile
from monai_app.io.grey import GreyMapping, exact, value_range
from monai_app.io.registry import open_text


@dataclass(frozen=True)
class Source:
    """The slices of one detector, or label planes, in order; only headers have been read.

    Args:
        path: the folder or the file.
        names: the file stem of every slice; ``<stem>_0000``, ``<stem>_0001``, ... for the slices of one file.
        files: one a slice for a folder, else a single one.
        pattern: where the names hold the slice's number (see `domain/numbering.py`); None if nobody looked yet, or they
            hold none.
        numbers: these numbers, ascending; none if there is no pattern.
        is_folder: whether every slice is a separate file.
        grey: how the stored values become grey values; None if they are taken as they are stored.
        chosen_by: the pattern of file names by which the files of a folder were chosen.
    """

    path: Path
    names: tuple[str, ...]
    files: tuple[PlaneFile, ...]
    pattern: str | None = None
    numbers: tuple[Decimal, ...] = ()
    is_folder: bool = False
    grey: GreyMapping | None = None
    chosen_by: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names without what they were chosen by: images of other detectors, and labels, have the same."""
        if not self.is_folder or self.chosen_by is None:
            return self.names
        keys = tuple(open_text(file.path, self.chosen_by) for file in self.files)
        return keys if len({key.casefold() for key in keys}) == len(keys) else self.names

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the first slice, and after `check_uniform` of all."""
        return self.files[0].shape

    @property
    def bar(self) -> int:
        """Rows below the first picture that the microscope added, and that are left out."""
        return self.files[0].bar

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """Data type of the first slice as it is read, and after `check_uniform` of all."""
        return self.files[0].dtype if self.grey is None else self.grey.dtype

    def planes(self) -> Iterator[Plane]:
        """Read all slices in order, one at a time: (rows, columns).

        Raises:
            StackError: a file cannot be decoded.
        """
        for file in self.files:
            for plane in self._read(file):
                yield self._grey(file, plane)

    def plane(self, index: int) -> Plane:
        """Read one slice: (rows, columns).

        Raises:
            StackError: the file cannot be decoded.
        """
        file, indices = (self.files[index], None) if self.is_folder else (self.files[0], range(index, index + 1))
        return self._grey(file, next(self._read(file, indices)))

    def _read(self, file: PlaneFile, indices: range | None = None) -> Iterator[npt.NDArray[Any]]:
        return file.planes(indices, fractions=self.grey is not None)

    def _grey(self, file: PlaneFile, plane: npt.NDArray[Any]) -> Plane:
        if self.grey is None:
            return plane
        try:
            return self.grey.apply(plane)
        except StackError as error:
            low, high = value_range(plane for each in self.files for plane in self._read(each))
            remedy = f"all of {self.path} lies in from: [{exact(low)}, {exact(high)}]: give a range that holds it"
            raise StackError(f"{file.path}: {error}; {remedy}") from None

    def numbered(self, pattern: str | None = None) -> "Source":
        """Put the files of a folder in the order of the numbers in their names.

        Args:
            pattern: where the names hold the number; found where None. Names without any number stay in natural order.

        Raises:
            StackError: a name does not fit the pattern, several patterns may be meant, or a number occurs twice.
        """
        if not self.is_folder:
            return self  # its planes are counted
        try:
            pattern = pattern or find_pattern(self.names)
        except StackError as error:
            raise StackError(f"{self.path}: {error}") from None
        if pattern is None:
            return self
        numbers = [self._number(index, pattern) for index in range(len(self))]
        order = sorted(range(len(self)), key=lambda index: numbers[index])
        for one, other in pairwise(order):
            if numbers[one] == numbers[other]:
                raise StackError(
                    f"{self.files[one].path} and {self.files[other].path.name} are both slice {numbers[one]} by "
                    f"{pattern!r}; remove the one that is a copy, or give the place of the number in the description: "
                    "'numbers: {pattern: ...}'"
                )
        names, files = tuple(self.names[index] for index in order), tuple(self.files[index] for index in order)
        return replace(self, names=names, files=files, pattern=pattern, numbers=tuple(sorted(numbers)))

    def _number(self, index: int, pattern: str) -> Decimal:
        number = read_number(self.names[index], pattern)
        if number is None:
            raise StackError(
                f"{self.files[index].path} does not fit {pattern!r}, by which slices are numbered; rename or "
                "remove it, or give the place of the number in the description: 'numbers: {pattern: ...}'"
            )
        return number
