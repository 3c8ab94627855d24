"""Label planes of other programs, and the slices of a stack to which they belong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from monai_app.domain.numbering import find_pattern, read_number
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, AppError, Faults, StackError
from monai_app.io import Extent, Grid, Source
from monai_app.io.base import Plane
from monai_app.io.grid import first_voxel
from monai_app.io.registry import stem
from monai_app.progress import counted
from monai_app.stack.annotations.found import Found
from monai_app.stack.annotations.meaning import Meaning
from monai_app.stack.ingestion.annotations import Labels, by_file, check_colours, check_shape, plane_name
from monai_app.stack.ingestion.slice_index import SliceIndex
from monai_app.stack.store import Stack


@dataclass(frozen=True)
class LabelPlanes:
    """The label planes of a file or folder, placed in a stack; pixels are read on demand.

    Args:
        stack: the stack.
        source: the planes.
        planes: z -> plane of ``source``.
        meaning: the phases of their values.
        corner: row and column of a slice at which the planes start.
        chosen: whether each belongs to a slice that the user chose, so it must have labels.
    """

    stack: Stack
    source: Source
    planes: Mapping[int, int]
    meaning: Meaning
    corner: tuple[int, int] = (0, 0)
    chosen: bool = True

    @classmethod
    def place(cls, stack: Stack, source: Source, slices: Sequence[int | str], meaning: Meaning) -> "LabelPlanes":
        """Find the slices of label planes, and check their sizes and colours.

        Args:
            stack: the stack.
            source: a folder with one file per slice, named like the slice, or a file.
            slices: the slice of every plane of a file, as z or name. Without any, a volume with the positions of its
                voxels is placed by them; plane = z if there are as many planes as slices; a single plane belongs to
                the slice in the file's name.
            meaning: the phases of the values.

        Raises:
            StackError: a file cannot be read.
            AnnotationError: a plane belongs to no slice or to several, or has the wrong size.
        """
        chosen = _chosen(stack, source, slices)
        extent = None if source.is_folder else source.files[0].extent
        if chosen is None and extent is not None:
            return cls._by_place(stack, source, extent, meaning)
        faults = Faults()
        for file in source.files:
            with faults.noted():
                check_shape(file, stack.shape[1:])
        planes = _of_stack(stack, source) if chosen is None else chosen
        faults.check()
        if not meaning.colours:
            check_colours(source, tuple(planes.values()))
        return cls(stack, source, planes, meaning, chosen=len(source) != stack.shape[0])

    @classmethod
    def _by_place(cls, stack: Stack, source: Source, extent: Extent, meaning: Meaning) -> "LabelPlanes":
        """Place a volume, which may be larger or smaller than the stack, by its geometry."""
        z, y, x = (length / 1000 for length in stack.voxel_nm)
        try:
            first, row, column = first_voxel(extent, Grid(stack.shape, (z, y, x)))
        except AnnotationError as error:
            raise AnnotationError(f"{source.path}: {error}; or give the slices of its planes (--slice)") from None
        planes = {first + plane: plane for plane in range(len(source))}
        return cls(stack, source, planes, meaning, (row, column), chosen=False)

    def read(self) -> Iterator[tuple[int, Labels]]:
        """Read all planes, one after the other: z, and labels (rows, columns), 0 unlabelled.

        Planes outside the stack are skipped.

        Raises:
            AnnotationError: values have no phase, labels lie outside the stack, or the plane of a chosen slice has no
                labels; the message lists all planes.
            StackError: a file cannot be read.
        """
        faults, places = Faults(), {plane: z for z, plane in self.planes.items()}
        found, unclear = Found(self.stack.phases), list[str]()
        for plane, pixels in enumerate(self.source.planes()):
            name = plane_name(self.source, plane)
            with faults.noted(), _named(name):
                labels = self._labels(places[plane], plane, pixels, found)
                if labels is None:
                    unclear.append(name)
                    continue
                if self.chosen and not labels.any():
                    raise AnnotationError("it has no labelled pixel; label some, or leave it out")
                yield places[plane], labels
        with faults.noted():
            found.check(unclear)
        faults.check()

    def _labels(self, z: int, plane: int, pixels: Plane, found: Found) -> Labels | None:
        file, index = (self.source.files[plane], 0) if self.source.is_folder else (self.source.files[0], plane)
        meant = self.meaning.labels(file, index, pixels, found)
        if meant is None:
            return None
        labels = self._within(z, meant)
        outside = not 0 <= z < self.stack.shape[0]
        inside = None if outside else self.stack.inside(z, Rect.whole(labels.shape))
        return labels if inside is None else labels * inside

    def _within(self, z: int, labels: Labels) -> Labels:
        """The part of a plane that lies in the stack."""
        placed = np.zeros(self.stack.shape[1:], np.uint8)
        if self.corner == (0, 0) and labels.shape == placed.shape and 0 <= z < self.stack.shape[0]:
            return labels
        take, put = zip(*map(_overlap, self.corner, labels.shape, placed.shape), strict=True)
        inside = labels[take] if 0 <= z < self.stack.shape[0] else labels[:0]
        lost = int(np.count_nonzero(labels)) - int(np.count_nonzero(inside))
        if lost:
            raise AnnotationError(
                f"{lost} labelled pixels are outside the stack: by its geometry the plane is slice {z} and starts at "
                f"row {self.corner[0]}, column {self.corner[1]}; are they labels of another stack? Otherwise give the "
                "slices (--slice)"
            )
        if inside.size:
            placed[put] = inside
        return placed


def slice_index(stack: Stack, *, by_name: bool = False) -> SliceIndex:
    """Return the index of the slices of a stack by z, by name and by the number in the name.

    Args:
        stack: the stack.
        by_name: a number alone does not identify a slice, only the name or the text before the number.
    """
    numbers = tuple(Decimal(str(number)) for number in stack.slice_numbers)
    try:
        pattern = find_pattern(stack.slice_names)
    except StackError:
        pattern = None
    if pattern is None or tuple(read_number(name, pattern) for name in stack.slice_names) != numbers:
        pattern, by_name = None, True
    names = Source(stack.path, stack.slice_names, (), pattern, numbers)
    return SliceIndex({"": names}, by_name=by_name)


def resolve(stack: Stack, slices: Sequence[int | str], option: str = "--slice") -> list[int]:
    """Return the z of slices given as z or by name; digits without a leading zero are z.

    Args:
        stack: the stack.
        slices: the slices.
        option: the option for messages.

    Raises:
        AnnotationError: a slice does not exist, or is given twice.
    """
    index, found = slice_index(stack), list[int]()
    for entry in slices:
        text = str(entry)
        z = index.resolve(int(text) if text.isdecimal() and str(int(text)) == text else text, option)
        if z in found:
            raise AnnotationError(f"{option}: slice {z} ({text!r}) is given twice; give every slice once")
        found.append(z)
    return found


def _chosen(stack: Stack, source: Source, slices: Sequence[int | str]) -> dict[int, int] | None:
    """Return the planes by the given slices; None without any."""
    if not slices:
        return None
    if source.is_folder:
        raise AnnotationError(
            f"--slice applies to a file, but {source.path} is a folder, whose files are named by slice; leave it out, "
            "or give one file"
        )
    zs = resolve(stack, slices)
    if len(zs) != len(source):
        raise AnnotationError(
            f"{source.path} has {counted(len(source), 'plane')} but --slice is given {counted(len(zs), 'time')}; give "
            "the slice of every plane, in order (--slice 3 --slice 8)"
        )
    return {z: plane for plane, z in enumerate(zs)}


def _of_stack(stack: Stack, source: Source) -> dict[int, int]:
    """Return the planes of a folder by name, and those of a file by name or by their number."""
    if source.is_folder:
        faults = Faults()
        planes = by_file(source, slice_index(stack), faults)
        faults.check()
        return planes
    if len(source) == stack.shape[0]:
        return {z: z for z in range(len(source))}
    if len(source) == 1:
        (z,) = slice_index(stack, by_name=True).match([stem(source.path)])
        if z is not None:
            return {z: 0}
        raise AnnotationError(
            f"{source.path}: its name does not identify its slice (slices are named {stack.slice_names[0]} to "
            f"{stack.slice_names[-1]}); give it (--slice N), or name the file like the slice"
        )
    raise AnnotationError(
        f"{source.path} has {counted(len(source), 'plane')} and the stack {counted(stack.shape[0], 'slice')}; give "
        "the slice of every plane, in order (--slice 3 --slice 8)"
    )


def _overlap(begin: int, length: int, extent: int) -> tuple[slice, slice]:
    """Return which part of an axis of labels lies in the stack, and where."""
    start, stop = max(begin, 0), max(begin, 0, min(begin + length, extent))
    return slice(start - begin, stop - begin), slice(start, stop)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Name the file or plane in errors of the body."""
    try:
        yield
    except AppError as error:
        raise type(error)(f"{name}: {error}") from None
