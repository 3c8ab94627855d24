"""The voxel size of a sample from its description and files, which must agree."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from monai_app.domain.numbering import step_of
from monai_app.errors import StackError
from monai_app.io.base import PlaneFile
from monai_app.io.recorded import OTHER_SIZE, Recorded, Size
from monai_app.io.sources import Source
from monai_app.stack.ingestion.description import Voxel, VoxelDescription

_UNEVEN = 0.5
"""By which part of the mean a distance of two slices may differ before it is reported: stages are read coarsely."""

_FEWEST = 3
"""Minimum number of slices for a distance from stage positions: two may differ by chance."""

_ACCEPT = "correct the wrong one, or confirm voxel_nm in the description: 'accept: [voxel_size]'"


def find_voxel_size(
    detectors: Mapping[str, Source],
    given: VoxelDescription,
    accepted: Collection[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Voxel:
    """Return the voxel size of a sample, per axis from the description, otherwise from the files.

    Args:
        detectors: the images, which agree in slices and shape.
        given: the values in the description.
        accepted: findings that are not errors, as `voxel_size` where files say another size than the description.
        report: called with what was found, line by line.

    Raises:
        StackError: files contradict the description or each other, or the size along an axis is unknown.
    """
    lengths = {axis: length for axis, length in given if length is not None}
    found = sizes_in_files(detectors, given, accepted, report)
    missing = [axis for axis in "zyx" if axis not in lengths and axis not in found]
    if missing:
        raise StackError(
            f"no file contains the voxel size along {', '.join(missing)} with a reliable unit"
            f"{uncertain_size(detectors)}; add it to the description, in nm: "
            f"'voxel_nm: {{{', '.join(f'{axis}: ...' for axis in missing)}}}'"
        )
    for axis, (length, where) in found.items():
        if axis not in lengths:
            report(f"voxel size along {axis}: {length:.6g} nm ({where})")
    return Voxel(**{axis: lengths[axis] if axis in lengths else found[axis][0] for axis in "zyx"})


def sizes_in_files(
    detectors: Mapping[str, Source],
    given: VoxelDescription,
    accepted: Collection[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, tuple[float, str]]:
    """Axis -> the size of a voxel along it in nm and where that stands, for the axes that files contain.

    Args:
        detectors: the images.
        given: the values in the description.
        accepted: as `find_voxel_size`.
        report: likewise.

    Raises:
        StackError: files contradict the description or each other.
    """
    lengths = {axis: length for axis, length in given if length is not None}
    found: dict[str, tuple[float, str]] = {}
    for where, size in _recorded(detectors, given, accepted, report):
        for axis, length in zip("zyx", size, strict=True):
            first, place = found.setdefault(axis, (length, where)) if length is not None else (0.0, "")
            if length is not None and axis not in lengths and not _same(length, first):
                raise StackError(
                    f"{where} says that voxels are {length:.6g} nm along {axis}, but {place} that they are {first:.6g} "
                    f"nm; leave out files of other samples, or give the right one in the description: 'voxel_nm: "
                    f"{{{axis}: ...}}' with 'accept: [voxel_size]'"
                )
    return {axis: (length, where) for axis, (length, where) in found.items() if where}


def slice_positions(source: Source) -> tuple[float, ...] | None:
    """Where the stage was at every slice, in nm from the first one; None if it does not tell the slices apart."""
    stage = [file.recorded.stage_nm for file in source.files]
    known = [z for z in stage if z is not None]
    if not source.is_folder or len(known) < max(_FEWEST, len(stage)):
        return None
    steps = np.diff(known)
    if not ((steps > 0).all() or (steps < 0).all()):
        return None
    return tuple(round(abs(z - known[0]), 3) for z in known)


def _recorded(
    detectors: Mapping[str, Source],
    given: VoxelDescription,
    accepted: Collection[str],
    report: Callable[[str], None],
) -> list[tuple[str, Size]]:
    """What every file says in nm, and the stage's positions say, after a comparison with the description."""
    lengths = (given.z, given.y, given.x)
    sizes = list[tuple[str, Size]]()
    conflict = ""
    for name, source in detectors.items():
        parts = [(file, file.recorded) for file in source.files]
        parts += [(source.files[0], stage) for stage in _by_stage(name, source, report)]
        for file, recorded in parts:
            factors = [factor for factor in recorded.factors if _fits(recorded.size, factor, lengths)]
            if not factors:
                conflict = conflict or _conflict(file, recorded, lengths)
            elif len(factors) == 1:
                sizes.append((f"{file.path} ({recorded.origin})", replace(recorded, factors=(factors[0],)).voxel_nm))
    if conflict and "voxel_size" not in accepted:
        raise StackError(f"{conflict}; {_ACCEPT}")
    if conflict:
        report(f"accepted: {conflict}")
    return sizes


def _by_stage(name: str, source: Source, report: Callable[[str], None]) -> list[Recorded]:
    """The distance of slices by the stage; uneven distances are reported."""
    positions = slice_positions(source)
    if positions is None:
        return []
    numbers = [float(number / step_of(source.numbers)) for number in source.numbers] or list(range(len(positions)))
    mean = positions[-1] / (numbers[-1] - numbers[0])
    each = [
        (b - a) / (after - before)
        for (a, b), (before, after) in zip(pairwise(positions), pairwise(numbers), strict=True)
    ]
    if max(abs(step - mean) for step in each) > _UNEVEN * mean:
        report(
            f"{name}: according to the stage, slices are {min(each):.6g} to {max(each):.6g} nm apart, {mean:.6g} nm "
            "on average"
        )
    return [Recorded((mean, None, None), origin="stage positions")]


def _fits(size: Size, factor: float, lengths: Size) -> bool:
    pairs = [(a, b) for a, b in zip(size, lengths, strict=True) if a is not None and b is not None]
    return all(_same(a * factor, b) for a, b in pairs)


def _same(one: float, other: float) -> bool:
    return abs(one / other - 1) <= OTHER_SIZE


def _conflict(file: PlaneFile, recorded: Recorded, lengths: Size) -> str:
    axes = [axis for axis, *both in zip("zyx", recorded.size, lengths, strict=True) if None not in both]
    certain = len(recorded.factors) == 1
    here = recorded.voxel_nm if certain else recorded.size
    shown = [_numbers(size, axes) for size in (here, lengths)]
    return (
        f"{file.path}: its voxels are {shown[0]}{' nm' if certain else ''} ({', '.join(axes)}; {recorded.origin}) and "
        f"voxel_nm is {shown[1]}"
    )


def _numbers(size: Size, axes: Sequence[str]) -> str:
    return " x ".join(f"{length:.6g}" for axis, length in zip("zyx", size, strict=True) if axis in axes)


def uncertain_size(detectors: Mapping[str, Source]) -> str:
    """What a file says without a unit that is certain, in brackets; empty if none does."""
    for source in detectors.values():
        recorded = source.files[0].recorded
        if len(recorded.factors) > 1 and any(recorded.size):
            axes = [axis for axis, length in zip("zyx", recorded.size, strict=True) if length is not None]
            return (
                f" ({source.files[0].path} says {_numbers(recorded.size, axes)} along {', '.join(axes)}; "
                f"{recorded.origin})"
            )
    return ""
