"""Where images come from: a folder with one TIFF a slice, or one multi-page TIFF."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from natsort import natsorted, ns

from monai_app.errors import StackError
from monai_app.io.tiff import Plane, TiffHeader, check_alone, inspect, read_planes

_SUFFIX = re.compile(r"(\.ome)?\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """The slices of one detector, or label planes, in order; only headers have been read.

    Args:
        path: the folder or the multi-page file.
        names: the file stem of every slice; ``<stem>_0000``, ``<stem>_0001``, ... for the pages of one file.
        headers: one header a slice for a folder, a single one for a multi-page file.
    """

    path: Path
    names: tuple[str, ...]
    headers: tuple[TiffHeader, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_folder(self) -> bool:
        """Whether every slice is a file of its own."""
        return self.path.is_dir()

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the first slice, and after `check_uniform` of all."""
        return self.headers[0].shape

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """Data type of the first slice, and after `check_uniform` of all."""
        return self.headers[0].dtype

    def planes(self) -> Iterator[Plane]:
        """Read all slices in order, one at a time: (rows, columns).

        Raises:
            StackError: a file cannot be decoded.
        """
        for header in self.headers:
            yield from read_planes(header)

    def plane(self, index: int) -> Plane:
        """Read one slice: (rows, columns).

        Raises:
            StackError: the file cannot be decoded.
        """
        if self.is_folder:
            return next(read_planes(self.headers[index]))
        return next(read_planes(self.headers[0], [index]))


def stem(path: Path) -> str:
    """The name of a TIFF file without ``.tif``, ``.tiff``, ``.ome.tif`` or ``.ome.tiff``."""
    return _SUFFIX.sub("", path.name) if is_tiff(path) else path.stem


def is_tiff(path: Path) -> bool:
    """Whether a file is named like a TIFF file and is not hidden."""
    return path.suffix.lower() in (".tif", ".tiff") and not path.name.startswith(".")


def natural_order(paths: list[Path]) -> list[Path]:
    """Sort files by name with numbers by value: ``slice_2.tif`` before ``slice_10.tif``."""
    return list(natsorted(paths, key=lambda path: (stem(path), path.name), alg=ns.IGNORECASE))


def last_number(name: str) -> int | None:
    """The last number in a name: 12 for ``"run3_slice_0012"``; None without any digit.

    Example:
        >>> last_number("run3_slice_0012")
        12
    """
    numbers = re.findall(r"[0-9]+", name)
    return int(numbers[-1]) if numbers else None


def open_source(path: Path, *, labels: bool = False) -> Source:
    """Find the slices of a folder or of a multi-page TIFF, and check the headers.

    Args:
        path: the folder or the file.
        labels: the files hold label values (see `tiff.inspect`).

    Raises:
        StackError: there is no TIFF, a file cannot be used (see `tiff.inspect`), a file in a folder holds several
            slices, or two files in a folder have the same stem.
    """
    if path.is_dir():
        return _open_folder(path, labels)
    if not path.is_file():
        raise StackError(f"{path} does not exist; give a folder of TIFFs or one multi-page TIFF")
    header = inspect(path, labels=labels)
    check_alone(header)
    digits = max(4, len(str(header.planes - 1)))
    names = tuple(f"{stem(path)}_{index:0{digits}d}" for index in range(header.planes))
    return Source(path, names, (header,))


def _open_folder(path: Path, labels: bool) -> Source:
    files = natural_order([file for file in path.iterdir() if is_tiff(file) and file.is_file()])
    if not files:
        raise StackError(f"{path} holds no TIFF file (.tif, .tiff); give a folder with one TIFF a slice")
    names = tuple(stem(file) for file in files)
    for first, second in pairwise(files):
        if stem(first) == stem(second):
            raise StackError(
                f"{first} and {second.name} have the same stem and would be one slice twice; remove one of them"
            )
    headers = tuple(inspect(file, labels=labels) for file in files)
    for header in headers:
        if header.planes > 1:
            raise StackError(
                f"{header.path} holds {header.planes} planes, and in a folder every file is one slice; split it, or "
                "give the file itself instead of the folder"
            )
    return Source(path, names, headers)


def check_uniform(source: Source) -> None:
    """Check that all slices of a detector have one shape and one bit depth.

    Raises:
        StackError: naming the first file that differs from the first slice.
    """
    first = source.headers[0]
    for header in source.headers:
        if header.shape != first.shape:
            raise StackError(
                f"{header.path} has {_size(header)} pixels and {first.path.name} has {_size(first)}, and all slices "
                "must have one shape; crop them alike or remove the odd one"
            )
        if header.dtype != first.dtype:
            raise StackError(
                f"{header.path} is {_bits(header)} and {first.path.name} is {_bits(first)}, and all slices must have "
                "one bit depth; convert them alike"
            )


def check_agreement(detectors: Mapping[str, Source]) -> None:
    """Check that all detectors have the same slices, shape and bit depth.

    Raises:
        StackError: naming the detectors and the slices or files that differ.
    """
    for source in detectors.values():
        check_uniform(source)
    (name, first), *others = detectors.items()
    for other_name, other in others:
        pair = f"detectors {name} and {other_name}"
        odd = _unpaired(first, other)
        if len(first) != len(other):
            raise StackError(
                f"{pair} have {len(first)} and {len(other)} slices{odd}, and every slice needs an image of each; add "
                "the missing ones or remove the extra ones"
            )
        if crossed := _crossed(first, other):
            raise StackError(
                f"{pair}: {crossed[0]} and {crossed[1].name} stand at the same place in natural order and have "
                "different numbers; name the files of both detectors alike"
            )
        if odd:
            raise StackError(
                f"{pair} have different slices{odd}; add the missing ones or remove the extra ones, or number the "
                "files of both alike"
            )
        if first.shape != other.shape or first.dtype != other.dtype:
            raise StackError(
                f"{pair} differ: {_size(first.headers[0])} pixels, {_bits(first.headers[0])}, and "
                f"{_size(other.headers[0])} pixels, {_bits(other.headers[0])}; they must have one shape and one bit "
                "depth: crop or convert them alike"
            )


def _unpaired(first: Source, other: Source) -> str:
    """Name files whose slice number the other detector lacks; empty where numbers say nothing."""
    numbers = [_by_number(source) for source in (first, other)]
    if not numbers[0].keys() & numbers[1].keys():
        return ""
    odd = [numbers[0][n] for n in sorted(numbers[0].keys() - numbers[1].keys())]
    odd += [numbers[1][n] for n in sorted(numbers[1].keys() - numbers[0].keys())]
    if not odd:
        return ""
    shown = ", ".join(str(path) for path in odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
    return f" (without a partner: {shown})"


def _crossed(first: Source, other: Source) -> tuple[Path, Path] | None:
    """The first pair of files that the order of names puts together and their numbers do not."""
    numbers = [_by_number(source) for source in (first, other)]
    if numbers[0].keys() != numbers[1].keys():
        return None
    pairs = zip(numbers[0].items(), numbers[1].items(), strict=True)
    return next(((a, b) for (m, a), (n, b) in pairs if m != n), None)


def _by_number(source: Source) -> dict[int, Path]:
    """Slice number -> file of a folder whose files all have different numbers; else empty."""
    if not source.is_folder:
        return {}
    numbers = {
        number: header.path
        for name, header in zip(source.names, source.headers, strict=True)
        if (number := last_number(name)) is not None
    }
    return numbers if len(numbers) == len(source) else {}


def _size(header: TiffHeader) -> str:
    return f"{header.shape[0]} x {header.shape[1]}"


def _bits(header: TiffHeader) -> str:
    return f"{8 * header.dtype.itemsize}-bit"
