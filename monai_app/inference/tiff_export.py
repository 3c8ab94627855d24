"""Finished label images as TIFFs."""

import json
from pathlib import Path

import tifffile

from monai_app.errors import StackError
from monai_app.files import atomic_directory, check_directory_target
from monai_app.stack import Stack
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.places import check_outside_stores

TIFF_RECORD = "labels.json"
"""File of an exported TIFF folder that says which labels these are."""


def check_export(folder: str, *, overwrite: bool) -> None:
    """Refuse a target of :func:`export_tiff` before the long work that comes first.

    Raises:
        ConfigError: the folder lies in a stack's store.
        TargetExistsError: the folder exists and may not be replaced.
    """
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
        The folder, with files (rows, columns) uint8, values 1..K, and a record of where they come from.

    Raises:
        StackError: there is no such label image, or it was replaced while it was read.
        TargetExistsError: the folder exists.
    """
    source, target = Stack.open(stack), Path(folder)
    with atomic_directory(target, TIFF_RECORD, overwrite=overwrite) as partial:
        record = {"stack": str(source.path), "identity": source.identity, "labels": name}
        (partial / TIFF_RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
        made = finished_as(source.path, name)
        for z, slice_name in enumerate(source.slice_names):
            tifffile.imwrite(partial / f"{slice_name}.tif", source.read_labels(name, z), compression="zlib")
        source.reopened()
        if finished_as(source.path, name) != made:
            raise StackError(f"label image {name!r} of {source.path} was replaced while it was read; write it again")
    return target
