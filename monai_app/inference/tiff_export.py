"""Finished label images as TIFFs."""

import json
from collections import Counter
from pathlib import Path

import tifffile

from monai_app.errors import ConfigError, StackError
from monai_app.files import atomic_directory, check_directory_target
from monai_app.io.writers.tiff import colours
from monai_app.names import check_file_name
from monai_app.stack import Stack
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.places import check_outside_stores

TIFF_RECORD = "labels.json"
"""File of an exported TIFF folder that says which labels these are."""

_CENTIMETRE = 1e7
"""In nm; the largest unit of resolution that a TIFF may name."""


def check_export(folder: str, *, overwrite: bool, stack: str | None = None) -> None:
    """Refuse a target of :func:`export_tiff` before the long work that comes first.

    Raises:
        ConfigError: the folder lies in a stack's store, or slices of ``stack`` have names that files cannot have.
        TargetExistsError: the folder exists and may not be replaced.
    """
    if stack is not None:
        _file_names(Stack.open(stack))
    check_outside_stores(Path(folder))
    check_directory_target(Path(folder), TIFF_RECORD, overwrite=overwrite)


def export_tiff(stack: str, name: str, folder: str, *, overwrite: bool = False) -> Path:
    """Write a finished label image as one TIFF per slice, named like the slices of the stack.

    Args:
        stack: path of the stack.
        name: the label image's name in the store.
        folder: target folder; it appears whole or not at all.
        overwrite: replace an existing folder.

    Returns:
        The folder, with files (rows, columns) uint8, values 1..K, with the colours of the phases and the size of a
        pixel, and a record of where they come from.

    Raises:
        ConfigError: the stack's slices have names that files cannot have.
        StackError: there is no such label image, or it was replaced while it was read.
        TargetExistsError: the folder exists.
    """
    source, target = Stack.open(stack), Path(folder)
    names = _file_names(source)
    with atomic_directory(target, TIFF_RECORD, overwrite=overwrite) as partial:
        record = {"stack": str(source.path), "identity": source.identity, "labels": name}
        (partial / TIFF_RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
        source.label_attributes(name)  # there is such a label image
        made, table = finished_as(source.path, name), colours(read_phases(source.path, name))
        for z, file_name in enumerate(names):
            tifffile.imwrite(
                partial / file_name,
                source.read_labels(name, z),
                compression="zlib",
                photometric="palette",
                colormap=table,
                resolution=(_CENTIMETRE / source.voxel_nm[2], _CENTIMETRE / source.voxel_nm[1]),
                resolutionunit="CENTIMETER",
            )
        source.reopened()
        if finished_as(source.path, name) != made:
            raise StackError(f"label image {name!r} of {source.path} was replaced while it was read; write it again")
    return target


def _file_names(stack: Stack) -> list[str]:
    """The files of all slices, named as they are called in the store."""
    names = [f"{check_file_name(name, f'{stack.path}: slice')}.tif" for name in stack.slice_names]
    (name, times), *_ = Counter(map(str.casefold, names)).most_common(1)
    if times > 1:
        raise ConfigError(f"{stack.path}: {times} slices would have the file {name!r}; ingest the stack again")
    return names
