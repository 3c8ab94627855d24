"""Cases: a slice to annotate with its neighbours, exported as a volume file on first use.

A client downloads the file, labels it and saves a label map; `Cases.import_labels` brings that into the store.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.io import Grid, Labels, on_grid, read_volume, write_volume
from monai_app.label.datastore.case_files import Case, CaseFiles, Layout, id_prefix
from monai_app.label.datastore.segments import to_phases
from monai_app.stack import Revision, Role, Stack, revise


@dataclass(frozen=True)
class Imported:
    """What a saved label did to the annotations.

    Args:
        set: z of the slices whose annotation it set or replaced.
        removed: z of the slices whose annotation it took back.
        kept: z of the slices that it labels as they were.
    """

    set: tuple[int, ...]
    removed: tuple[int, ...]
    kept: tuple[int, ...]


class Cases:
    """The cases of a stack.

    Args:
        stack: path of the stack store.
        folder: where the volume files are made.
        thickness: odd number of slices in a file; at the ends of the stack those that are there.
        suffix: .nii.gz, .nii or .nrrd.
        layout: "paired": one volume a detector, the first detector's is the case's file, the others' lie in folders
            named by the detector beside it. "channels": one NIfTI file with the detectors as the fourth axis.
        slices: z of the slices to annotate; every slice where None.
        test_slices: z of the slices whose annotations test; those that the store has for testing stay so too.
        ingested: the identity at the ingestion that the stack must have; None takes any.

    Raises:
        ConfigError: a value that breaks its rule, or a detector whose folder would be that of the labels.
        AnnotationError: the stack has no phases.
        StackError: there is no such stack, or another one in its place.
    """

    def __init__(
        self,
        stack: Path | str,
        folder: Path | str,
        *,
        thickness: int = 3,
        suffix: str = ".nii.gz",
        layout: Layout = "paired",
        slices: Iterable[int] | None = None,
        test_slices: Iterable[int] = (),
        ingested: str | None = None,
    ) -> None:
        self._opened = Stack.open(stack, ingested=ingested)
        self.suffix, self.thickness = suffix, thickness
        self.files = CaseFiles(self._opened, folder, thickness=thickness, suffix=suffix, layout=layout)
        chosen = range(self._opened.shape[0]) if slices is None else _checked_slices(self._opened, slices, "slices")
        self.test_slices = frozenset(_checked_slices(self._opened, test_slices, "test_slices"))
        self._cases = {case.id: case for case in (self._case(z) for z in chosen)}

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases.values())

    def __len__(self) -> int:
        return len(self._cases)

    @property
    def stack(self) -> Stack:
        """The stack with its annotations of now.

        Raises:
            StackError: it is gone, or another one was ingested in its place.
        """
        return self._opened.reopened()

    @property
    def ingested(self) -> str:
        """The identity of the stack at its ingestion."""
        return self._opened.ingested

    def case(self, name: str) -> Case:
        """The case of an id.

        Raises:
            ConfigError: there is none.
        """
        if name not in self._cases:
            ids = list(self._cases)
            raise ConfigError(f"case {name!r} isn't there; there are {len(ids)}, {ids[0]} to {ids[-1]}: choose one")
        return self._cases[name]

    def grid(self, case: Case) -> Grid:
        """Where the voxels of a case lie: cases lie at their places in the stack."""
        z, y, x = (size / 1000 for size in self._opened.voxel_nm)
        return Grid((len(case.slices), *self._opened.shape[1:]), (z, y, x), (case.first * z, 0.0, 0.0))

    def image(self, case: Case) -> Path:
        """The file of a case, exported if it isn't there; another process that exports it is waited for.

        Raises:
            StackError: the stack was replaced, or cannot be read.
        """
        return self.files.image(self.stack, case, self.grid(case))

    def export_labels(self, case: Case, path: Path) -> None:
        """Write the store's annotations of a case's slices as a label volume on the case's grid; 0 is unlabelled.

        Args:
            case: the case.
            path: ends in .nii.gz, .nii or .nrrd.

        Raises:
            StackError: another suffix, or the store cannot be read.
        """
        stack, grid = self.stack, self.grid(case)
        labels = np.zeros(grid.shape, np.uint8)
        for z in _annotated(stack).intersection(case.slices):
            labels[z - case.first] = stack.read_annotation(z)
        write_volume(path, labels, grid)

    def import_labels(
        self,
        case: Case,
        path: Path,
        label_info: Sequence[Mapping[str, Any]] | None = None,
        *,
        role: Role | None = None,
    ) -> Imported:
        """Bring a label map that a client saved for a case into the store.

        The slices on which it labels any pixel are set. Those that this case had set before and that are blank now are
        taken back: they are unlabelled then, also where they were ingested with an annotation or another case had set
        one, because what was painted over is kept nowhere. Other slices stay as they are. What the case had set is
        looked up while nobody else annotates.

        Args:
            case: the case.
            path: ends in .nii.gz, .nii or .nrrd.
            label_info: the client's segments (see `segments.to_phases`); None: values are those of phases.
            role: what the slices are for; by the test slices where None.

        Raises:
            AnnotationError: the file cannot be read, does not lie on the case's grid, holds values without a meaning,
                or labels nothing.
        """
        labels = to_phases(_read_labels(path, self.grid(case)), self.stack.phases, label_info)
        planes = {z: labels[z - case.first] for z in case.slices if labels[z - case.first].any()}
        done = Imported((), (), ())

        def decide(stack: Stack) -> Revision:
            nonlocal done
            roles: dict[int, Role] = {z: role or self._role(stack, z) for z in planes}
            done = _compared(stack, case, planes, roles)
            return Revision({**{z: planes[z] for z in done.set}, **dict.fromkeys(done.removed)}, roles)

        revise(self.stack, decide, source=case.id)
        return done

    def remove_labels(self, case: Case) -> None:
        """Take the annotations of a case back (see `owned_slices`); its slices are unlabelled then."""
        revise(self.stack, lambda stack: Revision(dict.fromkeys(_owned_slices(stack, case))))

    def _case(self, z: int) -> Case:
        reach, last = self.thickness // 2, self._opened.shape[0] - 1
        return Case(f"{id_prefix(self._opened.name)}_z{z:04d}", z, max(z - reach, 0), min(z + reach, last))

    def find(self, name: str) -> Case | None:
        """The case of an id, or None where there is none."""
        return self._cases.get(name)

    def role(self, z: int) -> Role:
        """What labels of a slice are for."""
        return self._role(self.stack, z)

    def owned_slices(self, case: Case) -> tuple[int, ...]:
        """The annotated slices that count as this case's: its own, and those whose annotation was saved with it."""
        return _owned_slices(self.stack, case)

    def labelled_ids(self) -> set[str]:
        """The ids of the cases that have annotated slices of their own (see `owned_slices`)."""
        stack = self.stack
        slices = _annotated(stack)
        setters = ((self.find(_set_by(stack, z) or ""), z) for z in slices)
        saved_with = {case.id for case, z in setters if case is not None and z in case.slices}
        return saved_with | {case.id for case in self if case.z in slices}

    def _role(self, stack: Stack, z: int) -> Role:
        return "test" if z in self.test_slices or z in stack.test_slices else "train"


def _checked_slices(stack: Stack, slices: Iterable[int], what: str) -> list[int]:
    chosen = sorted(set(slices))
    for z in chosen:
        if not 0 <= z < stack.shape[0]:
            raise ConfigError(f"{what}: slice {z} isn't there; {stack.path.name} has slices 0 to {stack.shape[0] - 1}")
    if what == "slices" and not chosen:
        raise ConfigError("slices: none is named, so there is nothing to annotate; name some or leave it out")
    return chosen


def _read_labels(path: Path, grid: Grid) -> Labels:
    # Programs may save more than the case (its surroundings padded), but not without limit.
    most = 4 * math.prod(grid.shape) + 1_000_000
    try:
        return on_grid(read_volume(path, max_voxels=most), grid)
    except StackError as error:
        raise AnnotationError(str(error)) from None


def _is(stack: Stack, z: int, role: Role, plane: Labels) -> bool:
    """Whether a slice has this annotation already."""
    has_role = z in (stack.train_slices if role == "train" else stack.test_slices)
    return has_role and np.array_equal(stack.read_annotation(z), plane)


def _compared(stack: Stack, case: Case, planes: Mapping[int, Labels], roles: Mapping[int, Role]) -> Imported:
    """What a label of a case is to do to the annotations that a stack has."""
    kept = tuple(z for z, plane in planes.items() if _is(stack, z, roles[z], plane))
    removed = tuple(z for z in case.slices if z not in planes and _set_by(stack, z) == case.id)
    if not planes and not removed:
        raise AnnotationError(
            f"the label of case {case.id} labels no pixel, and nothing was labelled in it before; label some and "
            "save it again"
        )
    return Imported(tuple(z for z in planes if z not in kept), removed, kept)


def _annotated(stack: Stack) -> set[int]:
    return {*stack.train_slices, *stack.test_slices}


def _owned_slices(stack: Stack, case: Case) -> tuple[int, ...]:
    slices = _annotated(stack)
    return tuple(z for z in case.slices if z in slices and (z == case.z or _set_by(stack, z) == case.id))


def _set_by(stack: Stack, z: int) -> str | None:
    """Who set the annotation that a slice has; None where it has none or was ingested with it."""
    edit = stack.edits.get(z)
    return None if edit is None or edit.now is None else edit.source
