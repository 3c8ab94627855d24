"""Labels and annotations as a folder with one image a slice."""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

from monai_app.errors import ConfigError, StackError
from monai_app.files import atomic_directory, check_directory_target
from monai_app.io.writers.png import write_label_png
from monai_app.io.writers.tiff import write_label_tiff
from monai_app.names import check_file_name
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.ngff.layout import ANNOTATION
from monai_app.stack.places import check_outside_stores
from monai_app.stack.saving import made_as
from monai_app.stack.store import Stack

RECORD = "labels.json"
"""File of the folder that says which labels these are."""

Form = Literal["tif", "png"]

_WRITERS = {"tif": write_label_tiff, "png": write_label_png}


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


def save_slices(stack: Stack, labels: str, folder: Path, *, form: Form = "tif", overwrite: bool = False) -> Path:
    """Write a finished label image, or the annotations, as one image a slice, named like the slices of the stack.

    Args:
        stack: the stack.
        labels: the label image's name, of which the slices that were segmented are written; or ``annotation``, of which
            the annotated slices are.
        folder: target folder; it appears whole or not at all.
        form: suffix and format of the images.
        overwrite: replace an existing folder.

    Returns:
        The folder, with files (rows, columns) uint8, values 0 and 1..K, with the colours of the phases and the size of
        a pixel, and a record of where they come from.

    Raises:
        ConfigError: the folder lies in a stack's store, or the stack's slices have names that files cannot have.
        StackError: there is no such label image and no annotation, or it was replaced while it was read.
        TargetExistsError: the folder exists.
    """
    names, annotation = _stems(stack), labels == ANNOTATION
    check_outside_stores(folder)
    made = made_as(stack, labels)
    zs = sorted(stack.roles) if annotation else stack.label_slices(labels)
    if not zs:
        raise StackError(f"{stack.path} has no annotations; name a label image, or annotate slices first")
    phases = stack.phases if annotation else read_phases(stack.path, labels)
    with atomic_directory(folder, RECORD, overwrite=overwrite) as partial:
        record = {"stack": str(stack.path), "identity": stack.identity, "labels": labels}
        (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
        for z in zs:
            plane = stack.read_annotation(z) if annotation else stack.read_labels(labels, z)
            _WRITERS[form](partial / f"{names[z]}.{form}", plane, phases, stack.voxel_nm[1:])
        if made_as(stack.reopened(), labels) != made:
            raise StackError(f"labels {labels!r} of {stack.path} were replaced while they were read; write them again")
    return folder


def _stems(stack: Stack) -> list[str]:
    """The files of all slices without suffix, named as they are called in the store."""
    names = [check_file_name(name, f"{stack.path}: slice") for name in stack.slice_names]
    (name, times), *_ = Counter(map(str.casefold, names)).most_common(1)
    if times > 1:
        raise ConfigError(f"{stack.path}: {times} slices would have the file {name!r}; ingest the stack again")
    return names
