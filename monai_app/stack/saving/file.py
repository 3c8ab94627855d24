"""Labels, annotations and maps of a stack as one image file of another program."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.files import atomic_file, check_file_target
from monai_app.io import Grid
from monai_app.io.writers.content import Content
from monai_app.io.writers.registry import Writer, writer_of
from monai_app.progress import Progress, silent
from monai_app.stack.ngff import layout
from monai_app.stack.places import check_outside_stores
from monai_app.stack.saving.source import Source
from monai_app.stack.store import Stack


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
        labels: the label image's name, or ``annotation``, which is 0 in slices without annotation.
        map: of the maps beside the label image the one to write, such as ``"confidence"``; None for the labels.
        phase: whose map, by name, where every phase has its own, as in ``"probability"``.
        region: the part to write; None for all. Of a label image slices before the first and behind the last that was
            segmented are left out; those between that were not segmented are 0, and a warning names them.
        overwrite: replace an existing file.
        progress: called for every slice.

    Returns:
        The file.

    Raises:
        ConfigError: the target lies in a store, or a phase is missing, unknown, or given for what has none.
        StackError: another suffix, a format that cannot hold it, no such label image or map, nothing of it in the
            region, or it was replaced meanwhile.
        TargetExistsError: the file exists.
    """
    target = target.absolute()
    writer = _checked_writer(stack, target, labels, map)
    check_outside_stores(target)
    check_file_target(target, overwrite=overwrite)
    source = Source.open(stack, labels, map, phase)
    part = region or Region.whole(stack.shape)
    part = replace(part, z=source.filled_span(part.z, "0 in the file; a folder has no file of them"))
    with atomic_file(target) as partial:
        writer.write(partial, _content(source, part, progress))
        source.check_unreplaced()
    return target


def _checked_writer(stack: Stack, target: Path, labels: str, map: str | None) -> Writer:
    if target.name.casefold().endswith(".zarr"):
        raise ConfigError(
            f"{target}: labels are already stored as OME-Zarr, {stack.path / layout.LABELS / labels}; copy that "
            "folder, or choose another format"
        )
    writer = writer_of(target)
    if writer.labels and map is not None:
        raise ConfigError(f"{target}: a {writer.name} contains labels, not a map ({map}); choose another suffix")
    return writer


def _content(source: Source, region: Region, progress: Progress) -> Content:
    um = tuple(length / 1000 for length in source.stack.voxel_nm)
    first = tuple(span.start * step for span, step in zip((region.z, region.y, region.x), um, strict=True))
    grid = Grid(region.shape, (um[0], um[1], um[2]), (first[0], first[1], first[2]))
    return Content(
        region.shape,
        np.dtype(np.uint8),
        _planes(source, region, progress),
        grid.affine,
        phases=source.phases,
        slice_names=tuple(source.stack.slice_names[region.z.index]),
        title=source.title,
    )


def _planes(source: Source, region: Region, progress: Progress) -> Iterator[npt.NDArray[np.uint8]]:
    progress(0, len(region.z))
    for done, z in enumerate(region.z.range, 1):
        yield source.read(z, region.rect)
        progress(done, len(region.z))
