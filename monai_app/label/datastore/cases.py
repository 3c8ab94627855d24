"""Cases: a slice to annotate with its neighbours, exported as a volume file on first use.

A client downloads the file, labels it and saves a label map; `Cases.import_labels` brings that into the store.
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
"""MONAI Label keeps labels in a folder of this name beside the cases."""

_OURS = re.compile(r".+_z\d{4,}(\.nii\.gz|\.nii|\.nrrd)|\.[0-9a-f]{16}\.cases|cases\.json")


@dataclass(frozen=True)
class Case:
    """A slice to annotate.

    Attributes:
        id: its file's name without the suffix; letters, digits, ``_`` and ``-``.
        z: the slice.
        slices: every slice in the file.
    """

    id: str
    z: int
    slices: range


class Imported(NamedTuple):
    """What a saved label did to the annotations: z of the slices that it set or replaced, and that it took back."""

    set: tuple[int, ...]
    removed: tuple[int, ...]


class Cases:
    """The cases of a stack, and their volume files: removed when the stack or their form is another.

    Args:
        settings: the stack, its slices to annotate and to test, and how many slices a file has. Its layout: "paired",
            one volume a detector, the first detector's is the case's file, the others' lie in folders named by the
            detector beside it; or "channels", one NIfTI file with the detectors as the fourth axis.
        folder: where the files are made.

    Raises:
        ConfigError: suffix and layout that do not go together, or a detector whose folder would be that of the labels.
        AnnotationError: the stack has no phases.
        StackError: there is no such stack, or another one in its place, or it lacks a slice that is asked for.
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
        """The stack with its annotations of now.

        Raises:
            StackError: it is gone, or another one was ingested in its place.
        """
        return self._opened.reopened()

    def grid(self, case: Case) -> Grid:
        """Where the voxels of a case lie: cases lie at their places in the stack."""
        z, y, x = (size / 1000 for size in self._opened.voxel_nm)
        return Grid((len(case.slices), *self._opened.shape[1:]), (z, y, x), (case.slices.start * z, 0.0, 0.0))

    def path(self, case: Case) -> Path:
        """The file of a case, whether it is there or not."""
        return self.folder / f"{case.id}{self.suffix}"

    def image(self, case: Case) -> Path:
        """The file of a case, exported if it does not exist; another process that exports it is waited for.

        Pixels keep the stack's type. The case's file is made last: where it is, its partners are.

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
        """Remove the cases of another stack or form, and stamp the folder for those that come now."""
        for path in [*self.folder.glob("*"), *self.folder.glob("*/*")]:  # cases first: where one is, its partners are
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
        """Write the annotations of a case's slices as a label volume on the case's grid; 0 is unlabelled.

        Raises:
            StackError: the stack was replaced, or cannot be read.
        """
        stack, grid = self.stack, self.grid(case)
        labels = np.zeros(grid.shape, np.uint8)
        for z in stack.roles.keys() & case.slices:
            labels[case.slices.index(z)] = stack.read_annotation(z)
        write_volume(path, labels, grid)

    def import_labels(self, case: Case, path: Path, label_info: Any = None) -> Imported:
        """Bring a label map that a client saved for a case into the store.

        The slices on which it labels any pixel are set. Those that this case had set before and that are blank now are
        taken back: they are unlabelled then, also where they were ingested with an annotation or another case had set
        one, because what was painted over is kept nowhere. Other slices stay as they are. What the case had set is
        looked up while nobody else annotates.

        Args:
            case: the case.
            path: the label map.
            label_info: the client's segments, see `segment_names`, for files that do not name their own segments as a
                ``.seg.nrrd`` does; None: values are those of phases.

        Raises:
            AnnotationError: the file cannot be read, does not lie on the case's grid, holds values without a meaning,
                or labels nothing.
        """
        grid = self.grid(case)
        # Programs may save more than the case (its surroundings padded), but not without limit.
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
                    f"the label of case {case.id} labels no pixel, and nothing was labelled in it before; label some "
                    "and save it again"
                )
            done = Imported(changed, removed)
            return Revision({**{z: planes[z] for z in changed}, **dict.fromkeys(removed)}, roles)

        revise(self.stack, decide, source=case.id)
        return done

    def remove_labels(self, case: Case) -> None:
        """Take the annotations of a case back (see `owned_slices`); its slices are unlabelled then."""
        revise(self.stack, lambda stack: Revision(dict.fromkeys(owned_slices(stack, case))))

    def role(self, stack: Stack, z: int) -> Role:
        """What labels of a slice are for."""
        return "test" if z in self.test_slices else stack.roles.get(z, "train")

    def labelled_ids(self) -> set[str]:
        """The ids of the cases that have annotated slices (see `owned_slices`)."""
        stack = self.stack
        return {case.id for case in self if owned_slices(stack, case)}


def owned_slices(stack: Stack, case: Case) -> tuple[int, ...]:
    """The annotated slices that count as a case's: its own, and those whose annotation was saved with it."""
    return tuple(z for z in case.slices if z in stack.roles and (z == case.z or stack.annotated_by(z) == case.id))


def id_prefix(name: str) -> str:
    """A sample's name as ids of cases begin: no dots, since MONAI Label takes all that follows one as the suffix.

    Example:
        >>> id_prefix("cement, run 2.1")
        'cement_run_2_1'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "stack"


def _check_form(stack: Stack, settings: Settings) -> None:
    if settings.layout == "channels" and settings.suffix == ".nrrd":
        raise ConfigError("suffix '.nrrd' does not go with layout 'channels'; choose .nii.gz or .nii")
    if settings.layout == "paired" and _RESERVED in (name.casefold() for name in stack.detectors):
        raise ConfigError(
            f"detector {_RESERVED!r} would be exported to the folder of the labels; use layout 'channels', or ingest "
            "with another name"
        )
    if not stack.phases:
        raise AnnotationError(
            f"{stack.path.name} has no phases to label with; list 'phases' in its description and ingest it again"
        )
