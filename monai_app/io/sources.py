"""Where images come from: a folder with one file a slice, or one file with all slices, in any format."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from natsort import natsorted, ns

from monai_app.errors import StackError
from monai_app.io import registry
from monai_app.io.base import Plane, PlaneFile, size
from monai_app.io.grid import SAME_PLACE, Extent, apart
from monai_app.io.registry import find_format, format_of, stem, suffixes

_NANOMETRES = {"unknown": (1.0, 1e3, 1e6), "nm": (1.0,), "micron": (1e3,), "mm": (1e6, 1e3)}
"""Unit that a file names -> factors to nanometres that its numbers may ask for."""

_OTHER_SIZE = 0.01
"""By which part of a voxel's size a file may differ from the description."""


@dataclass(frozen=True)
class Source:
    """The slices of one detector, or label planes, in order; only headers have been read.

    Args:
        path: the folder or the file.
        names: the file stem of every slice; ``<stem>_0000``, ``<stem>_0001``, ... for the slices of one file.
        files: one a slice for a folder, else a single one.
    """

    path: Path
    names: tuple[str, ...]
    files: tuple[PlaneFile, ...]

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
    visible = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    formats = {file: form for file in visible if (form := find_format(file))}
    if not formats:
        raise StackError(f"{path} holds no image file ({suffixes()}); give a folder with one file a slice")
    form = min(formats.values(), key=registry.FORMATS.index)
    paths = natural_order([file for file in visible if formats.get(file) is form])
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


def check_uniform(source: Source) -> None:
    """Check that all slices of a detector have one shape and one bit depth.

    Raises:
        StackError: naming the first file that differs from the first slice.
    """
    first = source.files[0]
    for file in source.files:
        if file.shape != first.shape:
            raise StackError(
                f"{file.path} has {size(file.shape)} pixels and {first.path.name} has {size(first.shape)}, and all "
                "slices must have one shape; crop them alike or remove the odd one"
            )
        if file.dtype != first.dtype:
            raise StackError(
                f"{file.path} is {_bits(file)} and {first.path.name} is {_bits(first)}, and all slices must have "
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
        if len(first) != len(other) or odd:
            raise StackError(
                f"{pair} have {len(first)} and {len(other)} slices{odd}, and every slice needs an image of each; add "
                "the missing ones or remove the extra ones, or number the files of both alike"
            )
        if crossed := _crossed(first, other):
            raise StackError(
                f"{pair}: {crossed[0]} and {crossed[1].name} stand at the same place in natural order and have "
                "different numbers; name the files of both detectors alike"
            )
        if first.shape != other.shape or first.dtype != other.dtype:
            raise StackError(
                f"{pair} differ: {size(first.files[0].shape)} pixels, {_bits(first.files[0])}, and "
                f"{size(other.files[0].shape)} pixels, {_bits(other.files[0])}; they must have one shape and one bit "
                "depth: crop or convert them alike"
            )


def check_places(detectors: Mapping[str, Source], voxel_nm: tuple[float, float, float]) -> None:
    """Check that files that say where their voxels lie contradict neither the voxel size nor each other.

    Args:
        detectors: the images, which agree in slices and shape.
        voxel_nm: voxel size z, y, x in nm.

    Raises:
        StackError: another voxel size, or two detectors whose voxels do not lie upon each other.
    """
    placed = [(file, file.extent) for source in detectors.values() for file in source.files if file.extent is not None]
    for file, extent in placed:
        _check_voxel_size(file.path, extent, voxel_nm)
    for (first, near), (other, far) in pairwise([pair for pair in placed if pair[0].count > 1]):
        distance = apart(near.affine, far.affine, near.shape[::-1]) if near.unit == far.unit else 0
        if distance > SAME_PLACE:
            raise StackError(
                f"{other.path} lies {distance:.3g} voxels beside {first.path} at a corner: a sample's detectors see "
                "the same voxels; write both with the same origin, spacing and directions"
            )


def _check_voxel_size(path: Path, extent: Extent, voxel_nm: tuple[float, float, float]) -> None:
    """Check the size that a file gives, in any unit that its numbers may be in; a single slice has no distance in z.

    Voxels of 1 x 1 x 1 are what programs write that know no size.
    """
    found, wanted = np.linalg.norm(extent.affine[:3, :3], axis=0)[::-1], np.array(voxel_nm)
    first = 1 if extent.shape[0] == 1 else 0
    factors = _NANOMETRES.get(extent.unit, ())
    fits = [(np.abs(found * factor / wanted - 1) <= _OTHER_SIZE)[first:].all() for factor in factors]
    if factors and not any(fits) and (found != 1).any():
        here, given = (" x ".join(f"{length:.6g}" for length in lengths) for lengths in (found, wanted))
        raise StackError(
            f"{path}: its voxels are {here} (z, y, x; unit: {extent.unit}) and voxel_nm is {given}; correct the one "
            "that is wrong"
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
        number: file.path
        for name, file in zip(source.names, source.files, strict=True)
        if (number := last_number(name)) is not None
    }
    return numbers if len(numbers) == len(source) else {}


def _bits(file: PlaneFile) -> str:
    return f"{8 * file.dtype.itemsize}-bit"
