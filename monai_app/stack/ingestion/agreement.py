"""Checks that the images of a sample are consistent: slices, shapes, bit depths and positions."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise
from pathlib import Path

from monai_app.errors import Faults, StackError
from monai_app.io.base import PlaneFile, size
from monai_app.io.grid import SAME_PLACE, apart
from monai_app.io.sources import Source


def check_uniform(source: Source) -> None:
    """Check that all slices of a detector have one shape and one bit depth.

    Raises:
        StackError: files differ from the first slice; the message names them.
    """
    first, faults = source.files[0], Faults()
    for file in source.files:
        with faults.noted():
            _check_like(file, first)
    faults.check()


def _check_like(file: PlaneFile, first: PlaneFile) -> None:
    if file.shape != first.shape:
        raise StackError(
            f"{file.path} has {size(file.shape)} pixels but {first.path.name} has {size(first.shape)}, and all slices "
            "must have the same shape; crop them or remove the odd one"
        )
    if file.dtype != first.dtype:
        raise StackError(
            f"{file.path} is {_bits(file)} but {first.path.name} is {_bits(first)}, and all slices must have the same "
            "bit depth; convert them"
        )
    if file.zero_is_white != first.zero_is_white:
        white, black = (file, first) if file.zero_is_white else (first, file)
        raise StackError(
            f"{white.path} says that 0 is white but {black.path.name} that it is black, and all slices must agree; "
            "save them in the same way"
        )


def check_agreement(detectors: Mapping[str, Source]) -> None:
    """Check that all detectors have the same slices, shape and bit depth, and are not the same.

    Slices belong together by their numbers; the slices of one file are counted.

    Args:
        detectors: the images, numbered.

    Raises:
        StackError: naming the detectors and the slices or files that differ, all of them.
    """
    faults = Faults()
    for source in detectors.values():
        with faults.noted():
            check_uniform(source)
    for (name, source), (other_name, other) in combinations(detectors.items(), 2):
        pair = f"detectors {name} and {other_name}"
        with faults.noted():
            _check_different(pair, source, other)
            _check_paired(pair, source, other)
        with faults.noted():
            _check_one_kind(pair, source, other)
    faults.check()


def _check_paired(pair: str, source: Source, other: Source) -> None:
    odd = _unpaired(source, other)
    if len(source) != len(other) or odd:
        raise StackError(
            f"{pair} have {len(source)} and {len(other)} slices{odd}, but every slice needs an image of each; add "
            "missing or remove extra images, remove one of the detectors from the description, or number the files "
            "of both in the same way"
        )


def _check_one_kind(pair: str, source: Source, other: Source) -> None:
    if source.shape != other.shape or source.dtype != other.dtype:
        raise StackError(
            f"{pair} differ: {size(source.files[0].shape)} pixels, {_bits(source.files[0])}, and "
            f"{size(other.files[0].shape)} pixels, {_bits(other.files[0])}; they must have the same shape and bit "
            "depth; crop or convert them"
        )


def _check_different(pair: str, source: Source, other: Source) -> None:
    files = {_what(file): file.path for file in source.files}
    for file in other.files:
        if (same := files.get(_what(file))) is not None:
            raise StackError(
                f"{pair} have the same images: {same} and {file.path} are the same file; give every detector its own "
                "images"
            )


def _what(file: PlaneFile) -> tuple[int, int, str]:
    """Return what identifies a file, or a part of one, regardless of its name."""
    stat = file.path.stat()
    return stat.st_dev, stat.st_ino, file.part


def _unpaired(source: Source, other: Source) -> str:
    """Name the files that the other detector has no slice for; empty if there are none, or nothing tells."""
    if not (source.is_folder and other.is_folder):
        return ""
    slices = _by_number(source), _by_number(other)
    odd = [files[key] for files, rest in (slices, slices[::-1]) for key in files if key not in rest]
    shown = ", ".join(str(path) for path in odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
    return f" (without a partner: {shown})" if odd else ""


def _by_number(source: Source) -> dict[Decimal | str, Path]:
    """Number, or if there is none name, of every slice -> file; a single image without any is that of the slice."""
    keys: Sequence[Decimal | str] = source.numbers or [key.casefold() for key in source.keys]
    if len(source) == 1 and not any(map(str.isdecimal, source.names[0])):
        keys = [""]
    return {key: file.path for key, file in zip(keys, source.files, strict=True)}


def check_places(detectors: Mapping[str, Source]) -> None:
    """Check that files that say where their voxels lie do not contradict each other.

    Args:
        detectors: the images, which agree in slices and shape.

    Raises:
        StackError: two detectors whose voxels do not lie upon each other.
    """
    placed = [(file, file.extent) for source in detectors.values() for file in source.files if file.extent is not None]
    for (first, near), (other, far) in pairwise([pair for pair in placed if pair[0].count > 1]):
        distance = apart(near.affine, far.affine, near.shape[::-1]) if near.unit == far.unit else 0
        if distance > SAME_PLACE:
            raise StackError(
                f"{other.path} lies {distance:.3g} voxels away from {first.path} at a corner, but the detectors of a "
                "sample must have the same voxels; write both with the same origin, spacing and directions"
            )


def _bits(file: PlaneFile) -> str:
    return f"{8 * file.dtype.itemsize}-bit"
