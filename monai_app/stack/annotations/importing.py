"""Annotations from label images of other programs, and from label images of the store."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError
from monai_app.io import Request, open_planes
from monai_app.names import listed
from monai_app.progress import counted
from monai_app.stack.annotations.editing import Revision, check_phases, revise
from monai_app.stack.annotations.history import Role
from monai_app.stack.annotations.meaning import Meaning
from monai_app.stack.annotations.placing import LabelPlanes, resolve
from monai_app.stack.annotations.segments import to_phases
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.store import Stack

_Plane = npt.NDArray[np.uint8]


class Imported(NamedTuple):
    """The result of an import.

    Attributes:
        stack: the stack, opened again.
        set: z of the slices with a new or changed annotation.
        unchanged: z of the slices that already had this annotation.
    """

    stack: Stack
    set: tuple[int, ...]
    unchanged: tuple[int, ...]


def import_annotations(
    stack: Stack,
    path: Path,
    *,
    slices: Sequence[int | str] = (),
    role: Role | None = None,
    meaning: Meaning = Meaning(),  # noqa: B008  # it is frozen
    dataset: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Import the label images of another program as annotations.

    ``meaning`` gives the phases of the values, or else the names of segments in the file. Without both, values are
    those of the phases, unless the file shows one in the colour of another phase, and colours are those of the phases.
    0 is unlabelled by default. If there is a plane for every slice, planes without labels change nothing.

    Args:
        stack: the stack; annotations made since it was opened are kept.
        path: a folder with one file per slice, named like the slice, or a file, in any supported format.
        slices: the slice of every plane of a file, as z or name; `LabelPlanes.place` describes the default.
        role: the role of the slices; None keeps the role of annotated slices, and new ones are for training. A
            different role needs ``overwrite``.
        meaning: the phases of values and colours.
        dataset: the dataset of a file with several, see `Request`.
        merge: add to existing annotations: pixels that are unlabelled in the file keep their label.
        overwrite: replace existing annotations; with ``merge``, labels that differ from those of the file.

    Raises:
        StackError: the files cannot be read, or the stack was replaced.
        AnnotationError: the stack has no phases, a plane fits no slice, a value has no phase, or slices have other
            annotations that may not be replaced.
    """
    check_phases(stack)
    source = open_planes(path, Request(labels=True, painted=True, dataset=dataset))
    planes = LabelPlanes.place(stack, source, slices, meaning)
    return _set(
        stack, _Packed(stack.shape[1:], planes.read()), role, merge=merge, overwrite=overwrite, source=path.name
    )


def import_labels(
    stack: Stack,
    labels: str,
    slices: Sequence[int | str],
    *,
    role: Role | None = None,
    merge: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Copy slices of a finished label image into the annotations, to be corrected; phases are matched by name.

    Args:
        stack: the stack.
        labels: the label image's name.
        slices: z or names.
        role: see `import_annotations`.
        merge: see `import_annotations`.
        overwrite: see `import_annotations`.

    Raises:
        StackError: there is no finished label image of that name.
        AnnotationError: no slice is given, a slice does not exist, its labels have no phase of the stack, or slices
            have other annotations that may not be replaced.
    """
    check_phases(stack)
    stack.label_attributes(labels)  # there is such a label image
    if not slices:
        raise AnnotationError(f"no slice of labels {labels!r} is given; give those to annotate (--slice N)")
    names = {phase.value: phase.name for phase in read_phases(stack.path, labels)}
    planes = ((z, to_phases(stack.read_labels(labels, z), stack.phases, names)) for z in resolve(stack, slices))
    return _set(
        stack, _Packed(stack.shape[1:], planes), role, merge=merge, overwrite=overwrite, source=f"labels {labels}"
    )


class _Packed(Mapping[int, _Plane]):
    """Compressed planes of labels, without empty ones: those of a stack may not fit into memory."""

    def __init__(self, shape: tuple[int, ...], planes: Iterable[tuple[int, _Plane]]) -> None:
        self._shape = shape
        self._data = {z: _packed(plane) for z, plane in planes if plane.any()}

    def remove(self, zs: Iterable[int]) -> None:
        """Remove slices."""
        for z in zs:
            del self._data[z]

    def __setitem__(self, z: int, plane: _Plane) -> None:
        self._data[z] = _packed(plane)

    def __getitem__(self, z: int) -> _Plane:
        return np.frombuffer(zlib.decompress(self._data[z]), np.uint8).reshape(self._shape)

    def __iter__(self) -> Iterator[int]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def _packed(plane: _Plane) -> bytes:
    return zlib.compress(np.ascontiguousarray(plane).data, 1)


def _set(stack: Stack, planes: _Packed, role: Role | None, *, merge: bool, overwrite: bool, source: str) -> Imported:
    if not planes:
        raise AnnotationError(f"{source} has no labelled pixel; label some first")
    changed, same = list[int](), list[int]()

    def decide(current: Stack) -> Revision:
        roles = {z: role or current.roles.get(z, "train") for z in planes}
        for z in sorted(planes):
            before = current.roles.get(z)
            if merge and before is not None:
                planes[z] = _merged(current, z, planes[z], overwrite=overwrite, source=source)
            equal = before == roles[z] and np.array_equal(current.read_annotation(z), planes[z])
            (same if equal else changed).append(z)
        if not overwrite:
            _check_unreplaced(current, [z for z in changed if z in current.roles], roles, merge=merge)
        planes.remove(same)
        return Revision(planes, roles)

    revised = revise(stack, decide, source=source)
    return Imported(revised, tuple(changed), tuple(same))


def _check_unreplaced(current: Stack, zs: Sequence[int], roles: Mapping[int, Role], *, merge: bool) -> None:
    """Refuse to change existing annotations, or to add to those of slices with another role."""
    name = current.path.name
    if moved := [z for z in zs if roles[z] != current.roles[z]]:
        raise AnnotationError(
            f"slice {listed(moved)} of {name} has the role {current.roles[moved[0]]}, but --role is "
            f"{roles[moved[0]]}; leave it out, or change the role with --overwrite"
        )
    if zs and not merge:
        raise AnnotationError(
            f"slice {listed(zs)} of {name} already has a different annotation; merge (--merge), replace it "
            "(--overwrite), or leave it out"
        )


def _merged(current: Stack, z: int, plane: _Plane, *, overwrite: bool, source: str) -> _Plane:
    """Return the annotation of a slice, completed by the labels of a plane."""
    before = current.read_annotation(z)
    differing = int(np.count_nonzero((before > 0) & (plane > 0) & (before != plane)))
    if differing and not overwrite:
        raise AnnotationError(
            f"{source} and the annotation of slice {z} of {current.path.name} label "
            f"{counted(differing, 'pixel')} differently; keep the new labels with --overwrite, or make these "
            "pixels unlabelled"
        )
    return np.where(plane > 0, plane, before)
