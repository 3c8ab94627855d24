"""Where images come from: a folder with one file a slice, or one file with all slices, in any format."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
from natsort import natsorted, ns

from monai_app.domain.numbering import find_pattern, read_number
from monai_app.errors import StackError
from monai_app.io import registry
from monai_app.io.base import Plane, PlaneFile
from monai_app.io.registry import find_format, format_of, stem, suffixes


@dataclass(frozen=True)
class Source:
    """The slices of one detector, or label planes, in order; only headers have been read.

    Args:
        path: the folder or the file.
        names: the file stem of every slice; ``<stem>_0000``, ``<stem>_0001``, ... for the slices of one file.
        files: one a slice for a folder, else a single one.
        pattern: where the names hold the slice's number (see `domain/numbering.py`); None where nobody looked yet, or
            they hold none.
        numbers: these numbers, ascending; none where there is no pattern.
    """

    path: Path
    names: tuple[str, ...]
    files: tuple[PlaneFile, ...]
    pattern: str | None = None
    numbers: tuple[Decimal, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_folder(self) -> bool:
        """Whether every slice is a file of its own."""
        return self.path.is_dir()

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
        """Data type of the first slice, and after `check_uniform` of all."""
        return self.files[0].dtype

    def planes(self) -> Iterator[Plane]:
        """Read all slices in order, one at a time: (rows, columns).

        Raises:
            StackError: a file cannot be decoded.
        """
        for file in self.files:
            yield from file.planes()

    def plane(self, index: int) -> Plane:
        """Read one slice: (rows, columns).

        Raises:
            StackError: the file cannot be decoded.
        """
        if self.is_folder:
            return next(self.files[index].planes())
        return next(self.files[0].planes(range(index, index + 1)))

    def numbered(self, pattern: str | None = None) -> "Source":
        """Put the files of a folder in the order of the numbers in their names.

        Args:
            pattern: where the names hold the number; found where None. Names without any number stay in natural order.

        Raises:
            StackError: a name does not fit the pattern, several patterns may be meant, or a number occurs twice.
        """
        if not self.is_folder:
            return self
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
                    f"{pattern!r}; remove the one that is a copy, or say in the description where the number stands: "
                    "'numbers: {pattern: ...}'"
                )
        names, files = tuple(self.names[index] for index in order), tuple(self.files[index] for index in order)
        return Source(self.path, names, files, pattern, tuple(sorted(numbers)))

    def _number(self, index: int, pattern: str) -> Decimal:
        number = read_number(self.names[index], pattern)
        if number is None:
            raise StackError(
                f"{self.files[index].path} does not fit {pattern!r}, by which slices are numbered; rename or "
                "remove it, or say in the description where the number stands: 'numbers: {pattern: ...}'"
            )
        return number


def natural_order(paths: list[Path]) -> list[Path]:
    """Sort files by name with numbers by value: ``slice_2.tif`` before ``slice_10.tif``."""
    return list(natsorted(paths, key=lambda path: (stem(path), path.name), alg=ns.IGNORECASE))


def open_planes(path: Path, *, labels: bool = False) -> Source:
    """Find the slices of a folder or of a file, and check the headers.

    Args:
        path: the folder or the file.
        labels: the files hold label values (see `base.check_type`).

    Raises:
        StackError: there is no image, its format is not known, a file cannot be used, a file in a folder holds several
            slices, or two files in a folder have the same stem.
    """
    if path.is_dir():
        return _open_folder(path, labels)
    if not path.is_file():
        raise StackError(f"{path} does not exist; give a folder with one file a slice, or one file with all slices")
    file = format_of(path).open(path, labels)
    file.check_alone()
    digits = max(4, len(str(file.count - 1)))
    return Source(path, tuple(f"{stem(path)}_{index:0{digits}d}" for index in range(file.count)), (file,))


def _open_folder(path: Path, labels: bool) -> Source:
    """Open the files of a folder that have the first format of which there are any."""
    listed = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    formats = {entry: form for entry in listed if (form := find_format(entry))}
    for entry in formats:
        if entry.is_symlink() and not entry.exists():
            raise StackError(
                f"{entry} is a link to {entry.readlink()}, which does not exist; restore that or remove it"
            )
        if not entry.is_file():
            kind = "a folder" if entry.is_dir() else "no file"
            raise StackError(f"{entry} is {kind} and called like an image; put the image in its place, or rename it")
    if not formats:
        raise StackError(f"{path} holds no image file ({suffixes()}); give a folder with one file a slice")
    form = min(formats.values(), key=registry.FORMATS.index)
    paths = natural_order([file for file, other in formats.items() if other is form])
    for first, second in pairwise(paths):
        if stem(first) == stem(second):
            raise StackError(
                f"{first} and {second.name} have the same stem and would be one slice twice; remove one of them"
            )
    files = tuple(form.open(file, labels) for file in paths)
    for file in files:
        if file.count > 1:
            raise StackError(
                f"{file.path} holds {file.count} planes, and in a folder every file is one slice; split it, or give "
                "the file itself instead of the folder"
            )
    return Source(path, tuple(stem(file) for file in paths), files)
