"""Annotations that come after the ingestion, and stores whose annotations stand still.

The annotations, the lists of annotated slices, the identity and the record of edits lie in one folder,
``labels/annotation``. An edit makes it again beside the old one, with links to the files that stay, and the two change
names in one step: whoever opens the store finds the old state or the new one, whole.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app import files
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, ConfigError, StackError, TargetExistsError
from monai_app.stack.annotations.history import Role, State
from monai_app.stack.label_images.registry import LabelImage, create_labels, register
from monai_app.stack.metadata import read_metadata
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import write_own
from monai_app.stack.ngff.pyramid import halve_labels
from monai_app.stack.store import Stack

Labels = npt.NDArray[np.integer]
"""Label values of any integer type: napari has them in 32 bits."""

_Plane = npt.NDArray[np.uint8]

_SUFFIX = ".ome.zarr"


@dataclass(frozen=True)
class Revision:
    """What becomes of annotations.

    Args:
        labels: z -> (rows, columns), 0 unlabelled, 1..K the phases; None, or labels of no pixel, removes the
            annotation. Pixels outside the pictures of an aligned stack become 0. Without any the store stays as it is.
            Each is looked up once, one after the other, so a mapping may read them when it is asked.
        role: what the slices are for, all of them or z by z (else "train"); a slice that was for the other
            one is so no longer.
        sources: z -> who annotates, where it is not the one who revises.
    """

    labels: Mapping[int, Labels | None]
    role: Role | Mapping[int, Role] = "train"
    sources: Mapping[int, str] = field(default_factory=dict)


def annotate(
    stack: Stack, labels: Mapping[int, Labels | None], *, role: Role | Mapping[int, Role] = "train", source: str = ""
) -> Stack:
    """Set, replace or remove the annotations of slices.

    The store gets another identity, which follows from the ingested one and the edits; annotations equal to the
    ingested ones give the ingested identity. Another process that annotates the same store is waited for. A kill at any
    moment leaves the annotations as they were or as they become.

    Args:
        stack: the stack; what other processes annotated since it was opened stays.
        labels: see `Revision`.
        role: see `Revision`.
        source: who annotates, recorded with the slices.

    Returns:
        The stack, opened again.

    Raises:
        AnnotationError: the stack has no phases, there is no such slice, or labels have another shape, type or values.
        StackError: the store is damaged or was replaced, or the disk cannot write; the annotations are as before.
    """
    return revise(stack, lambda _: Revision(labels, role), source=source)


def revise(stack: Stack, decide: Callable[[Stack], Revision], *, source: str = "") -> Stack:
    """Change annotations based on their current state, with other writers locked out.

    Args:
        stack: the stack.
        decide: says what becomes of the annotations of the stack that it is given, as they are now. No other thread or
            process annotates between the two, so it is to be quick.
        source: who annotates, recorded with the slices.

    Returns:
        The stack, opened again.

    Raises:
        AppError: see `annotate`, and whatever ``decide`` raises; the annotations are as before.
    """
    try:
        with suppress(_UnchangedError):
            _write(stack, decide, source)
    except OSError as error:
        raise StackError(
            f"the annotations of {stack.path} cannot be written ({error}); free some space or allow writing there, and "
            "annotate again"
        ) from error
    return stack.reopened()


class _UnchangedError(Exception):
    """Nothing is to be changed, so what was begun is left."""


def _write(stack: Stack, decide: Callable[[Stack], Revision], source: str) -> None:
    target = stack.path / layout.LABELS / layout.ANNOTATION
    image = LabelImage(stack.path, layout.ANNOTATION, stack.shape, stack.voxel_nm, stack.phases, {})
    with files.transaction(target, None, lambda: None, lambda: register(image)) as partial:
        current = stack.reopened()
        revision = decide(current)
        if not revision.labels:
            if target.is_dir():
                register(image)  # a process that was killed right behind its edit did not, or left the list locked
            raise _UnchangedError
        roles = _roles(revision)
        record = read_metadata(stack.path).record
        levels = _copy_levels(image, partial)
        for z in sorted(revision.labels):
            plane = checked_labels(current, z, revision.labels[z])
            now = None if plane is None else State.of(roles[z], plane)
            by = revision.sources.get(z, source)
            record = record.edited(z, now, _current_state(current, z), by)
            if plane is None:
                layout.clear_slice(levels, (z,))
            else:
                layout.write_slice(levels, (z,), plane, halve_labels)
        write_own(partial, record.to_json())


def snapshot(stack: Stack, target: Path | str, *, overwrite: bool = False) -> Stack:
    """Create a snapshot: a store of the same image with frozen annotations.

    It has annotations and metadata of its own and links to the arrays of the image, so it is made in no time, and is
    of use as long as the stack is there. Label images are left out.

    Args:
        stack: the stack.
        target: the store to make, ``<name>.ome.zarr``.
        overwrite: replace an existing snapshot, once the new one is complete.

    Raises:
        ConfigError: the target's name does not end in .ome.zarr.
        TargetExistsError: the target exists and may not be replaced.
        BusyError: another process makes it.
        StackError: another stack was ingested in its place.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100  # links stay links
    if not target.name.endswith(_SUFFIX):
        raise ConfigError(f"snapshot {target} does not end in {_SUFFIX}; name it, for example, {target.stem}{_SUFFIX}")
    target.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another process makes {target}; wait for it or choose another target"
    with files.transaction(target, busy, lambda: _check_target(target, overwrite)) as partial:
        partial.mkdir()
        shutil.copyfile(stack.path / "zarr.json", partial / "zarr.json")
        for level in sorted(path for path in stack.path.iterdir() if path.name.isdecimal()):
            (partial / level.name).symlink_to(level.resolve(), target_is_directory=True)
        _copy_annotations(stack.path / layout.LABELS, partial / layout.LABELS)
        stack.reopened()  # what was copied is still of this stack
    return Stack.open(target)


def _roles(revision: Revision) -> dict[int, Role]:
    role = revision.role
    roles = {z: role if isinstance(role, str) else role.get(z, "train") for z in revision.labels}
    for chosen in roles.values():
        if chosen not in ("train", "test"):
            raise AnnotationError(f"role {chosen!r} is neither 'train' nor 'test'; choose one")
    return roles


def _check_target(target: Path, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise TargetExistsError(f"{target} exists already; choose another target or remove it")
    if target.exists() and not (target / "0").is_symlink():
        raise TargetExistsError(
            f"{target} is not a snapshot (its image is not a link), so it stays; choose another target"
        )


def _copy_annotations(source: Path, target: Path) -> None:
    annotation = source / layout.ANNOTATION
    with files.lock(files.lock_path(annotation)):  # lock out other writers
        files.rollback(annotation)
        there = annotation.is_dir()
        layout.create_group(target, {"ome": layout.labels_metadata([layout.ANNOTATION] if there else [])})
        if there:
            shutil.copytree(annotation, target / layout.ANNOTATION)


def check_phases(stack: Stack) -> None:
    """Check that labels of a stack mean something.

    Raises:
        AnnotationError: it has no phases.
    """
    if not stack.phases:
        raise AnnotationError(
            f"{stack.path.name} has no phases, so labels mean nothing in it; list 'phases' in its description and "
            "ingest it again"
        )


def checked_labels(stack: Stack, z: int, plane: Labels | None) -> _Plane | None:
    """Return the labels of a slice as they are stored: uint8, 0 outside the pictures; None if they label nothing.

    Raises:
        AnnotationError: the stack has no phases, there is no such slice, or labels have another shape, type or values.
    """
    check_phases(stack)
    if not 0 <= z < stack.shape[0]:
        raise AnnotationError(f"slice {z} does not exist; {stack.path.name} has slices 0 to {stack.shape[0] - 1}")
    if plane is None:
        return None
    if plane.shape != stack.shape[1:] or plane.dtype.kind not in "ui":
        raise AnnotationError(
            f"the annotation of slice {z} is {plane.dtype} of shape {plane.shape} and must be integers of shape "
            f"{stack.shape[1:]} (rows, columns)"
        )
    if strange := [value for value in (plane.max(), plane.min()) if not 0 <= value <= len(stack.phases)]:
        raise AnnotationError(
            f"the annotation of slice {z} holds {strange[0]} and the phases of {stack.path.name} are 1 to "
            f"{len(stack.phases)}; label with these"
        )
    inside = stack.inside(z, Rect.whole(stack.shape))
    labels = plane.astype(np.uint8, copy=False) if inside is None else plane.astype(np.uint8) * inside
    return labels if labels.any() else None


def _current_state(stack: Stack, z: int) -> State | None:
    """The annotation that a slice was ingested with; None if it had none, or was edited and its record tells."""
    if z in stack.edits or z not in stack.roles:
        return None
    return State.of(stack.roles[z], stack.read_annotation(z))


def _copy_levels(image: LabelImage, partial: Path) -> tuple[layout.Level, ...]:
    """Copy the annotations' folder with all that is in it, and open the arrays of all levels."""
    if not image.target.is_dir():
        return create_labels(image, partial)
    # Chunks are never written in place, so files may have a name in both folders.
    shutil.copytree(image.target, partial, copy_function=files.link_or_copy)
    levels = sorted((path for path in partial.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    return tuple(layout.open_level(level, writable=True) for level in levels)
