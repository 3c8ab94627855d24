"""Labels, annotations and maps of a stack as image files of other programs."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect, Region
from monai_app.errors import ConfigError, StackError
from monai_app.files import atomic_file, check_file_target
from monai_app.io import Grid
from monai_app.io.writers.content import Content
from monai_app.io.writers.registry import Writer, writer_of
from monai_app.progress import Progress, silent
from monai_app.stack.label_images.arrays import LABELS, ResultArrays
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.ngff import layout
from monai_app.stack.places import check_outside_stores
from monai_app.stack.store import Stack

_log = logging.getLogger(__name__)

_Plane = npt.NDArray[np.uint8]


def save(
    stack: Stack,
    target: Path,
    labels: str,
    *,
    map: str | None = None,
    phase: str | None = None,
    region: Region | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a finished label image, the annotations, or a map as one file of another program, slice by slice.

    The first voxel of the stack is centred at 0; a region keeps its place. Values are uint8: 0 and the phases 1..K, or
    0..255 for 0..1 of a map.

    Args:
        stack: the stack.
        target: the file; its suffix says the format (`monai_app.io.writers.registry.WRITERS`).
        labels: the label image's name, or ``annotation``, which is 0 in slices that nobody annotated.
        map: of the maps beside the label image the one to write, such as ``"confidence"``; None for the labels.
        phase: whose map, by name, where every phase has its own, as in ``"probability"``.
        region: the part to write; None for all.
        overwrite: replace an existing file.
        progress: called for every slice.

    Returns:
        The file.

    Raises:
        ConfigError: the target lies in a store, or a phase is missing, unknown, or given for what has none.
        StackError: another suffix, a format that cannot hold it, no such label image or map, or it was replaced
            meanwhile.
        TargetExistsError: the file exists.
    """
    target = target.absolute()
    writer = _checked_writer(stack, target, labels, map)
    check_outside_stores(target)
    check_file_target(target, overwrite=overwrite)
    region = Region.whole(stack.shape) if region is None else region
    made = made_as(stack, labels)
    content = _content(stack, labels, map, phase, region, progress)
    _tell_of_gaps(stack, region)
    with atomic_file(target) as partial:
        writer.write(partial, content)
        if made_as(stack.reopened(), labels) != made:
            raise StackError(f"labels {labels!r} of {stack.path} were replaced while they were read; save them again")
    return target


def _checked_writer(stack: Stack, target: Path, labels: str, map: str | None) -> Writer:
    if target.name.casefold().endswith(".zarr"):
        raise ConfigError(
            f"{target}: labels are in the store as OME-Zarr already, {stack.path / layout.LABELS / labels}; copy that "
            "folder, or choose another format"
        )
    writer = writer_of(target)
    if writer.labels and map is not None:
        raise ConfigError(f"{target}: a {writer.name} holds labels, not a map ({map}); choose another suffix")
    return writer


def made_as(stack: Stack, labels: str) -> Any:
    """What changes when the annotations, or a finished label image, are replaced.

    Raises:
        StackError: there is no such label image.
    """
    if labels == layout.ANNOTATION:
        return stack.identity
    stack.label_attributes(labels)  # there is such a label image
    return finished_as(stack.path, labels)


def _content(
    stack: Stack, labels: str, map: str | None, phase: str | None, region: Region, progress: Progress
) -> Content:
    annotation = labels == layout.ANNOTATION
    phases = stack.phases if annotation else read_phases(stack.path, labels)
    if map is None and phase is not None:
        raise ConfigError(
            f"phase {phase!r} says whose map is meant, and no map is asked for; name one (--map), or leave it out"
        )
    read: Callable[[int], _Plane]
    if annotation:
        if map is not None:
            raise ConfigError(f"annotations have no map {map!r}; leave it out, or name a label image")
        read, title = _annotation_reader(stack, region.rect), f"annotations of {stack.name}"
    elif map is None:
        read, title = lambda z: stack.read_labels(labels, z, region.rect), f"labels {labels} of {stack.name}"
    else:
        number = _number_of(stack, labels, map, phase, phases)
        what = map if phase is None else f"{map} of {phase}"
        read = lambda z: stack.read_map(labels, map, z, region.rect, number)  # noqa: E731
        title = f"{what}, 0..255 for 0..1, labels {labels} of {stack.name}"
    um = tuple(length / 1000 for length in stack.voxel_nm)
    first = tuple(span.start * step for span, step in zip((region.z, region.y, region.x), um, strict=True))
    grid = Grid(region.shape, (um[0], um[1], um[2]), (first[0], first[1], first[2]))
    return Content(
        region.shape,
        np.dtype(np.uint8),
        _planes(read, region.z.range, progress),
        grid.affine,
        phases=phases if map is None else None,
        slice_names=tuple(stack.slice_names[region.z.index]),
        title=title,
    )


def _planes(read: Callable[[int], _Plane], zs: range, progress: Progress) -> Iterator[_Plane]:
    progress(0, len(zs))
    for done, z in enumerate(zs, 1):
        yield read(z)
        progress(done, len(zs))


def _annotation_reader(stack: Stack, rect: Rect) -> Callable[[int], _Plane]:
    if not stack.roles:
        raise StackError(f"{stack.path} has no annotations; name a label image (--labels NAME)")
    empty = np.zeros(rect.shape, np.uint8)
    return lambda z: stack.read_annotation(z, rect) if z in stack.roles else empty


def _number_of(stack: Stack, labels: str, map: str, phase: str | None, phases: tuple[Phase, ...]) -> int | None:
    """The number of the phase whose map is meant; None where a map is one for all phases."""
    levels = ResultArrays.open(stack.path / layout.LABELS / labels).levels
    maps = {name: arrays[0].ndim > len(stack.shape) for name, arrays in levels.items() if name != LABELS}
    if map not in maps:
        raise StackError(
            f"label image {labels!r} of {stack.path.name} has no map {map!r}, it has {', '.join(maps) or 'none'}; "
            "segment again and ask for it (--confidence, --probability)"
        )
    names = [each.name for each in phases]
    if maps[map] and phase not in names:
        wrong = "is needed" if phase is None else f"{phase!r} is unknown"
        raise ConfigError(f"{map} is stored for every phase, and which one {wrong}; give --phase {'|'.join(names)}")
    if not maps[map] and phase is not None:
        raise ConfigError(f"{map} is one map for all phases; leave phase {phase!r} out")
    return names.index(str(phase)) if maps[map] else None


_SHOWN = 12


def _tell_of_gaps(stack: Stack, region: Region) -> None:
    gaps = [stack.slice_names[z] for z in stack.gaps if region.z.start < z < region.z.stop]
    if gaps:
        _log.warning(
            "slices are missing, or another series begins, before %s: the file has all one after the other, %g nm "
            "apart, so what lies behind is too near",
            ", ".join(gaps[:_SHOWN]) + (f" and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else ""),
            stack.voxel_nm[0],
        )
