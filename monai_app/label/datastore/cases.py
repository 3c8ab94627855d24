"""Cases: a slice to annotate with its neighbours, exported as a volume file on first use.

A client downloads the file, labels it and saves a label map, which `Cases.import_labels` writes to the store.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monai_app import files
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.io import Grid, on_grid, partner_path, read_volume, write_volume
from monai_app.label.datastore.segments import segment_names
from monai_app.label.datastore.volumes import is_kept
from monai_app.label.settings import Settings
from monai_app.stack import Revision, Role, Stack, revise, to_phases

_RESERVED = "labels"
"""MONAI Label keeps labels in a folder of this name next to the cases."""

_OURS = re.compile(r".+_z\d{4,}(\.nii\.gz|\.nii|\.nrrd)|\.[0-9a-f]{16}\.cases|cases\.json")


@dataclass(frozen=True)
class Case:
    """A slice to annotate.

    Attributes:
        id: its file name without suffix; letters, digits, ``_`` and ``-``.
        z: the slice.
        slices: every slice in the file.
    """

    id: str
    z: int
    slices: range


class Imported(NamedTuple):
    """Effect of a saved label on the annotations: z of the slices that it set or replaced, and that it removed."""

    set: tuple[int, ...]
    removed: tuple[int, ...]


class Cases:
    """The cases of a stack and their volume files, which are removed when the stack or their format changes.

    Args:
        settings: the stack, its slices to annotate and to test, the number of slices per file and the layout: "paired"
        is one volume per detector (the first detector's is the case's file, the others are in folders named by
        detector); "channels" is one NIfTI file with the detectors as the fourth axis. folder: folder of the files.

    Raises:
        ConfigError: suffix and layout are incompatible, or a detector's folder would be that of the labels.
        AnnotationError: the stack has no phases.
        StackError: the stack does not exist, was replaced, or lacks a requested slice.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._opened = stack = Stack.open(settings.stack, ingested=settings.ingested)
        _check_form(stack, settings)
        self.folder, self.suffix, self._layout = folder.absolute(), settings.suffix, settings.layout
        form = [settings.thickness, settings.suffix, settings.layout]
        decisive = json.dumps([stack.ingested, stack.name, stack.detectors, stack.voxel_nm, form])
        self._stamp = self.folder / f".{sha256(decisive.encode()).hexdigest()[:16]}.cases"
        for z in (*settings.slices, *settings.test_slices):
            stack.check_slice(z)
        self.test_slices = frozenset(settings.test_slices)
        prefix, reach, count = id_prefix(stack.name), settings.thickness // 2, stack.shape[0]
        cases = (
            Case(f"{prefix}_z{z:04d}", z, range(max(z - reach, 0), min(z + reach + 1, count)))
            for z in sorted(set(settings.slices)) or range(count)
        )
        self.by_id = {case.id: case for case in cases}

    def __iter__(self) -> Iterator[Case]:
        return iter(self.by_id.values())

    @property
    def stack(self) -> Stack:
        """The stack with its current annotations.

        Raises:
            StackError: it no longer exists or was replaced.
        """
        return self._opened.reopened()

    def grid(self, case: Case) -> Grid:
        """Return the grid of a case's voxels, which is at its place in the stack."""
        z, y, x = (size / 1000 for size in self._opened.voxel_nm)
        return Grid((len(case.slices), *self._opened.shape[1:]), (z, y, x), (case.slices.start * z, 0.0, 0.0))

    def path(self, case: Case) -> Path:
        """Return the path of a case's file, which need not exist."""
        return self.folder / f"{case.id}{self.suffix}"

    def image(self, case: Case) -> Path:
        """Return the file of a case, exporting it if it does not exist, or waiting for another process that exports it.

        Pixels keep the stack's type. The case's file is written last: if it exists, so do its partners.

        Raises:
            StackError: the stack was replaced, or cannot be read.
        """
        stack, path = self.stack, self.path(case)
        if not (self._stamp.is_file() and is_kept(path)):
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.lock(self.folder / ".cases.lock"):
                if not self._stamp.is_file():
                    self._remove_others()
                if not is_kept(path):
                    self._export(stack, case, path)
        return path

    def _remove_others(self) -> None:
        """Remove the cases of another stack or format, and mark the folder for the new ones."""
        for path in [
            *self.folder.glob("*"),
            *self.folder.glob("*/*"),
        ]:  # cases first: if one exists, so do its partners
            if _OURS.fullmatch(path.name) and not path.parent.is_symlink():
                path.unlink()
        self._stamp.touch()

    def _export(self, stack: Stack, case: Case, path: Path) -> None:
        pixels = np.stack([stack.read_slab(z, stack.detectors, 1) for z in case.slices])  # z, detector, y, x
        if self._layout == "channels":
            write_volume(path, np.moveaxis(pixels, 1, 3), self.grid(case))
            return
        for number, detector in reversed([*enumerate(stack.detectors)]):
            write_volume(partner_path(path, detector) if number else path, pixels[:, number], self.grid(case))

    def export_labels(self, case: Case, path: Path) -> None:
        """Write the annotations of a case's slices to a label volume on the case's grid; 0 is unlabelled.

        Raises:
            StackError: the stack was replaced, or cannot be read.
        """
        stack, grid = self.stack, self.grid(case)
        labels = np.zeros(grid.shape, np.uint8)
        for z in stack.roles.keys() & case.slices:
            labels[case.slices.index(z)] = stack.read_annotation(z)
        write_volume(path, labels, grid)

    def import_labels(self, case: Case, path: Path, label_info: Any = None) -> Imported:
        """Write a label map that a client saved for a case to the store.

        Slices with any labelled pixel are set. Slices that this case had set before and that are blank now become
        unlabelled, even if they were ingested with an annotation or set by another case, because overwritten labels are
        not kept. Other slices are unchanged. What the case had set is read while annotations are locked.

        Args:
            case: the case.
            path: the label map.
            label_info: the client's segments, see `segment_names`, for files that do not name segments themselves as
            ``.seg.nrrd`` does; None means that values are phases.

        Raises:
            AnnotationError: the file cannot be read, is not on the case's grid, contains values without a meaning, or
            labels nothing.
        """
        grid = self.grid(case)
        # Programs may save more than the case (padding around it), but within a limit.
        most = 4 * math.prod(grid.shape) + 1_000_000
        try:
            volume = read_volume(path, max_voxels=most)
            placed = on_grid(volume, grid)
        except StackError as error:
            raise AnnotationError(str(error)) from None
        phases = self.stack.phases
        known = {phase.name.casefold() for phase in phases}.intersection(map(str.casefold, volume.segments.values()))
        labels = to_phases(placed, phases, volume.segments if known else segment_names(label_info))
        planes = {z: plane for z, plane in zip(case.slices, labels, strict=True) if plane.any()}
        done = Imported((), ())

        def decide(stack: Stack) -> Revision:
            nonlocal done
            roles = {z: self.role(stack, z) for z in planes}
            known = {z: stack.read_annotation(z) for z, role in roles.items() if stack.roles.get(z) == role}
            changed = tuple(z for z in planes if z not in known or not np.array_equal(known[z], planes[z]))
            removed = tuple(z for z in case.slices if z not in planes and stack.annotated_by(z) == case.id)
            if not planes and not removed:
                raise AnnotationError(
                    f"the label of case {case.id} has no labelled pixel, nor had it before; label some and save it "
                    "again"
                )
            done = Imported(changed, removed)
            return Revision({**{z: planes[z] for z in changed}, **dict.fromkeys(removed)}, roles)

        revise(self.stack, decide, source=case.id)
        return done

    def remove_labels(self, case: Case) -> None:
        """Remove the annotations of a case's slices (see `owned_slices`)."""
        revise(self.stack, lambda stack: Revision(dict.fromkeys(owned_slices(stack, case))))

    def role(self, stack: Stack, z: int) -> Role:
        """Return the role of a slice's labels."""
        return "test" if z in self.test_slices else stack.roles.get(z, "train")

    def labelled_ids(self) -> set[str]:
        """Return the ids of the cases with annotated slices (see `owned_slices`)."""
        stack = self.stack
        return {case.id for case in self if owned_slices(stack, case)}


def owned_slices(stack: Stack, case: Case) -> tuple[int, ...]:
    """Return the annotated slices that belong to a case: its own, and those whose annotation was saved with it."""
    return tuple(z for z in case.slices if z in stack.roles and (z == case.z or stack.annotated_by(z) == case.id))


def id_prefix(name: str) -> str:
    """Return the prefix of case ids: a sample's name without dots, after which MONAI Label expects a suffix.

    Example:
        >>> id_prefix("cement, run 2.1")
        'cement_run_2_1'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "stack"


def _check_form(stack: Stack, settings: Settings) -> None:
    if settings.layout == "channels" and settings.suffix == ".nrrd":
        raise ConfigError("format '.nrrd' does not support layout 'channels'; choose .nii.gz or .nii")
    if settings.layout == "paired" and _RESERVED in (name.casefold() for name in stack.detectors):
        raise ConfigError(
            f"detector {_RESERVED!r} would be exported to the folder of the labels; use layout 'channels', or ingest "
            "with another name"
        )
    if not stack.phases:
        raise AnnotationError(
            f"{stack.path.name} has no phases to label with; list 'phases' in its description and ingest it again"
        )
