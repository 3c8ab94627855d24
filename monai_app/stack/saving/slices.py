"""Labels, annotations and maps as a folder with one image a slice."""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.files import atomic_directory, check_directory_target
from monai_app.io.writers.png import write_slice_png
from monai_app.io.writers.tiff import write_slice_tiff
from monai_app.names import check_file_name
from monai_app.progress import Progress, silent
from monai_app.stack.places import check_outside_stores
from monai_app.stack.saving.source import Source
from monai_app.stack.store import Stack

RECORD = "labels.json"
"""File of the folder that says which labels these are."""

Form = Literal["tif", "png"]

_WRITERS = {"tif": write_slice_tiff, "png": write_slice_png}


def check_folder(stack: Stack | None, folder: Path, *, overwrite: bool) -> None:
    """Refuse a target of `save_slices` before the long work that comes first.

    Raises:
        ConfigError: the folder lies in a stack's store, or slices of ``stack`` have names that files cannot have.
        TargetExistsError: the folder exists and may not be replaced.
    """
    if stack is not None:
        _stems(stack)
    check_outside_stores(folder)
    check_directory_target(folder, RECORD, overwrite=overwrite)


def save_slices(
    stack: Stack,
    folder: Path,
    labels: str,
    *,
    map: str | None = None,
    phase: str | None = None,
    region: Region | None = None,
    form: Form = "tif",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a label image, the annotations, or a map as one image a slice, named like the slices of the stack.

    Args:
        stack: the stack.
        folder: target folder, written atomically.
        labels: the label image's name, of which the slices that were segmented are written; or ``annotation``, of which
            the annotated slices are.
        map: as `save`, as the phase.
        phase: likewise.
        region: the part to write; None for all. Slices that were not segmented have no file; a warning names those of a
            region.
        form: suffix and format of the images.
        overwrite: replace an existing folder.
        progress: called for every slice.

    Returns:
        The folder, with files (rows, columns) uint8, values 0 and 1..K with the colours of the phases, or 0..255 of a
        map, with the size of a voxel, and a record of where they come from.

    Raises:
        ConfigError: the folder lies in a stack's store, a phase is missing or unknown, or the stack's slices have names
            that files cannot have.
        StackError: there is no such label image, map or annotation, none in the region, or it was replaced while it was
            read.
        TargetExistsError: the folder exists.
    """
    names = _stems(stack)
    check_outside_stores(folder)
    source = Source.open(stack, labels, map, phase)
    part = region or Region.whole(stack.shape)
    zs = source.held_in(part.z)
    if region is not None:
        source.warn_of_absent(region.z, "without a file")
    with atomic_directory(folder, RECORD, overwrite=overwrite) as partial:
        (partial / RECORD).write_text(json.dumps(_record(source, part), indent=2) + "\n", encoding="utf8")
        progress(0, len(zs))
        for done, z in enumerate(zs, 1):
            plane = source.read(z, part.rect)
            _WRITERS[form](partial / f"{names[z]}.{form}", plane, source.phases, stack.voxel_nm)
            progress(done, len(zs))
        source.check_unreplaced()
    return folder


def _record(source: Source, region: Region) -> dict[str, object]:
    stack, phases = source.stack, source.phases or ()
    return {
        "stack": str(stack.path),
        "identity": stack.identity,
        "labels": source.labels,
        "content": source.title,
        "region": region.to_json(),
        "phases": {phase.value: {"name": phase.name, "rgb": phase.rgb} for phase in phases},
    }


def _stems(stack: Stack) -> list[str]:
    """The files of all slices without suffix, named as they are called in the store."""
    names = [check_file_name(name, f"{stack.path}: slice") for name in stack.slice_names]
    (name, times), *_ = Counter(map(str.casefold, names)).most_common(1)
    if times > 1:
        raise ConfigError(f"{stack.path}: {times} slices would have the file {name!r}; ingest the stack again")
    return names
