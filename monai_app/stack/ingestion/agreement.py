"""Whether the images of a sample belong together: slices, shapes, bit depths and places."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, size
from monai_app.io.grid import SAME_PLACE, Extent, apart
from monai_app.io.sources import Source

_NANOMETRES = {"unknown": (1.0, 1e3, 1e6), "nm": (1.0,), "micron": (1e3,), "mm": (1e6, 1e3)}
"""Unit that a file names -> factors to nanometres that its numbers may ask for."""

_OTHER_SIZE = 0.01
"""By which part of a voxel's size a file may differ from the description."""


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
    """Check that all detectors have the same slices, shape and bit depth, and are not the same.

    Slices belong together by their numbers; the slices of one file are counted.

    Args:
        detectors: the images, numbered.

    Raises:
        StackError: naming the detectors and the slices or files that differ.
    """
    for source in detectors.values():
        check_uniform(source)
    for (name, source), (other_name, other) in combinations(detectors.items(), 2):
        pair = f"detectors {name} and {other_name}"
        _check_different(pair, source, other)
        odd = _unpaired(source, other)
        if len(source) != len(other) or odd:
            raise StackError(
                f"{pair} have {len(source)} and {len(other)} slices{odd}, and every slice needs an image of each; add "
                "the missing ones or remove the extra ones, or leave one of the detectors out of the description, or "
                "number the files of both alike"
            )
        if source.shape != other.shape or source.dtype != other.dtype:
            raise StackError(
                f"{pair} differ: {size(source.files[0].shape)} pixels, {_bits(source.files[0])}, and "
                f"{size(other.files[0].shape)} pixels, {_bits(other.files[0])}; they must have one shape and one bit "
                "depth: crop or convert them alike"
            )


def _check_different(pair: str, source: Source, other: Source) -> None:
    files = {(stat.st_dev, stat.st_ino): file.path for file in source.files for stat in [file.path.stat()]}
    for file in other.files:
        stat = file.path.stat()
        if (same := files.get((stat.st_dev, stat.st_ino))) is not None:
            raise StackError(
                f"{pair} are twice the same: {same} and {file.path} are one file; give every detector images of its own"
            )


def _unpaired(source: Source, other: Source) -> str:
    """Name the files that the other detector has no slice for; empty where there are none, or nothing tells."""
    if not (source.is_folder and other.is_folder):
        return ""
    slices = _by_number(source), _by_number(other)
    odd = [files[key] for files, rest in (slices, slices[::-1]) for key in files if key not in rest]
    shown = ", ".join(str(path) for path in odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
    return f" (without a partner: {shown})" if odd else ""


def _by_number(source: Source) -> dict[Decimal | str, Path]:
    """Number, or where there is none name, of every slice -> file; a single image without any is that of the slice."""
    keys: Sequence[Decimal | str] = source.numbers or [name.casefold() for name in source.names]
    if len(source) == 1 and not any(map(str.isdecimal, source.names[0])):
        keys = [""]
    return {key: file.path for key, file in zip(keys, source.files, strict=True)}


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


def _bits(file: PlaneFile) -> str:
    return f"{8 * file.dtype.itemsize}-bit"
