"""Annotations: which label plane belongs to which slice, and what its values mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.errors import AnnotationError, Faults
from monai_app.io.base import Plane, PlaneFile, size
from monai_app.io.opening import open_planes
from monai_app.io.sources import Source
from monai_app.names import listed
from monai_app.progress import counted
from monai_app.stack.ingestion.description import AnnotationDescription, SampleDescription
from monai_app.stack.ingestion.slice_index import SliceIndex

Labels = npt.NDArray[np.uint8]
"""Label values: 0 unlabelled, 1..K the phases; (rows, columns)."""


@dataclass(frozen=True)
class Annotations:
    """The annotated slices of a sample, found and checked; the pixels are read on demand.

    Args:
        train: z of the slices to train on, ascending.
        test: z of the slices to test on, ascending.
        source: the label planes; None if nothing is annotated.
        planes: z -> index of the plane in ``source``, for the slices of ``train`` and ``test``.
        values: value in the source -> value of the phase, or 0 for unlabelled.
        rest_unlabelled: values that are not in ``values`` are unlabelled.
        rows: rows of a slice; labels that were painted over the microscope's data bar below them are left out.
    """

    train: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    source: Source | None = None
    planes: Mapping[int, int] = field(default_factory=dict)
    values: Mapping[int, int] = field(default_factory=dict)
    rest_unlabelled: bool = False
    rows: int | None = None

    @property
    def slices(self) -> tuple[int, ...]:
        """Every annotated z, ascending."""
        return tuple(sorted((*self.train, *self.test)))

    def read(self, z: int) -> Labels:
        """The annotation of a slice: (rows, columns), 0 unlabelled, 1..K the phases.

        Raises:
            StackError: the file cannot be decoded.
            AnnotationError: the slice is not annotated, or a value has no meaning.
        """
        if self.source is None or z not in self.planes:
            raise AnnotationError(f"slice {z} is not annotated; the annotated slices are {listed(self.slices)}")
        index = self.planes[z]
        try:
            return map_values(self.source.plane(index)[: self.rows], self.values, self.rest_unlabelled)
        except AnnotationError as error:
            raise AnnotationError(f"{plane_name(self.source, index)}: {error}") from None


def map_values(source: Plane, values: Mapping[int, int], rest_unlabelled: bool = False) -> Labels:
    """Turn the values of a label plane into phases.

    Args:
        source: (rows, columns), any integer type.
        values: value in ``source`` -> value of the phase, or 0 for unlabelled.
        rest_unlabelled: values that are not named are unlabelled instead of an error.

    Returns:
        (rows, columns), uint8.

    Raises:
        AnnotationError: naming the values without a meaning.

    Example:
        >>> map_values(np.array([[0, 7, 255]]), {0: 1, 7: 2, 255: 0}).tolist()
        [[1, 2, 0]]
    """
    labels, known = look_up(source, values)
    if not rest_unlabelled and not known.all():
        strange = [int(value) for value in np.unique(source[~known])]
        shown = ", ".join(map(str, strange[:8])) + (f" and {len(strange) - 8} more" if len(strange) > 8 else "")
        raise AnnotationError(
            f"value {shown} is neither in 'mapping' nor in 'unlabelled' ({counted(int((~known).sum()), 'pixel')}); "
            "add it, or set 'rest_unlabelled: true' to leave such pixels unlabelled"
        )
    return labels


def look_up(source: Plane, values: Mapping[int, int]) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """The phases of the values of a label plane, and where they have one: (rows, columns) each; see `map_values`."""
    labels = np.zeros(source.shape, np.uint8)
    known = np.zeros(source.shape, np.bool_)
    for value, phase in values.items():
        found = source == value
        labels[found] = phase
        known |= found
    return labels, known


def open_labels(description: SampleDescription) -> Source | None:
    """Open the label planes and check their headers; None if nothing is annotated.

    Raises:
        StackError: a label file that is unreadable, truncated or no integer image.
    """
    entry = description.annotations
    return None if entry is None else open_planes(entry.source.source, entry.source.request(labels=True))


def find_annotations(
    description: SampleDescription, source: Source | None, index: SliceIndex, shape: tuple[int, int], bar: int = 0
) -> Annotations:
    """Find the label plane of every annotated slice and check slices, split and what the values mean.

    Args:
        description: the sample.
        source: the label planes, see `open_labels`.
        index: the slices of the stack.
        shape: (rows, columns) of the stack.
        bar: rows of the microscope's data bar below the slices; annotations may cover them too.

    Raises:
        AnnotationError: an annotation for a slice that does not exist, a listed slice without annotation, an annotated
            slice that is not listed, a test slice that also trains, an annotation of another shape; all of these.
    """
    entry = description.annotations
    if entry is None or source is None:
        return Annotations()
    faults = Faults()
    train, test = (_listed(entries, index, where, faults) for entries, where in _lists(entry))
    listed = dict.fromkeys((*train, *test))
    if not faults:
        with faults.noted():
            _check_apart(train, test)
    with faults.noted():
        _check_slices(source, entry)
    planes = by_file(source, index, faults) if source.is_folder else _by_page(source, entry, index, faults)
    if not faults:
        _check_listed(planes, listed, source, entry, faults)
    chosen = {z: planes[z] for z in listed if z in planes}
    files = [source.files[plane] for plane in chosen.values()] if source.is_folder else source.files
    for file in files if entry.unused == "ignore" else source.files:
        with faults.noted():
            check_shape(file, shape, bar)
        with faults.noted():
            _check_names(file, entry, description.phases)
    faults.check()
    check_colours(source, tuple(chosen.values()))
    return Annotations(train, test, source, chosen, _values(description, entry), entry.rest_unlabelled, shape[0])


def _values(description: SampleDescription, entry: AnnotationDescription) -> dict[int, int]:
    by_name = {phase.name: phase.value for phase in description.phases}
    phases = {value: by_name[name] for value, name in entry.mapping.items()}
    return phases | dict.fromkeys(entry.unlabelled, UNLABELLED)


def _lists(entry: AnnotationDescription) -> tuple[tuple[Sequence[int | str], str], ...]:
    return (entry.train, "train"), (entry.test, "test")


def _listed(entries: Sequence[int | str], index: SliceIndex, where: str, faults: Faults) -> tuple[int, ...]:
    found: list[int] = []
    for entry in entries:
        with faults.noted():
            for z in index.resolve_all(entry, f"annotations: {where}"):
                if z in found:
                    raise AnnotationError(f"annotations: {where}: slice {z} ({entry!r}) is listed twice; list it once")
                found.append(z)
    return tuple(sorted(found))


def _check_apart(train: Sequence[int], test: Sequence[int]) -> None:
    if both := sorted(set(train) & set(test)):
        raise AnnotationError(f"slice {both[0]} is listed in both 'train' and 'test'; remove it from one of them")


def _check_slices(source: Source, entry: AnnotationDescription) -> None:
    if source.is_folder and entry.slices is not None:
        raise AnnotationError(
            f"annotations: 'slices' applies to a file with several planes, but {source.path} is a folder, whose files "
            "are named by slice; remove 'slices'"
        )


def by_file(source: Source, index: SliceIndex, faults: Faults) -> dict[int, int]:
    """The slices of the label files of a folder: z -> plane; what fits no slice, or one that has a file, is noted."""
    planes: dict[int, int] = {}
    matched: Sequence[int | None] = ()
    with faults.noted():
        matched = index.match(source.names, source.keys)
    for plane, (z, file) in enumerate(zip(matched, source.files, strict=False)):
        with faults.noted():
            if z is None:
                raise AnnotationError(
                    f"{file.path} is an annotation for a slice that does not exist: no image has its stem or its "
                    "number; rename it after its slice or remove it"
                )
            if z in planes:
                raise AnnotationError(
                    f"{file.path} and {source.files[planes[z]].path.name} are both annotations of slice {z}; remove one"
                )
            planes[z] = plane
    return planes


def _by_page(source: Source, entry: AnnotationDescription, index: SliceIndex, faults: Faults) -> dict[int, int]:
    slices: Sequence[int] = range(len(index)) if entry.slices is None else entry.slices
    with faults.noted():
        if len(slices) != len(source):
            pages = counted(len(source), "page")
            raise AnnotationError(
                f"{source.path} has {pages} and the stack has {counted(len(index), 'slice')}, so page = z is "
                "impossible; add 'slices: [z, z, ...]' with the slice of every page"
                if entry.slices is None
                else f"annotations: 'slices' names {counted(len(slices), 'slice')} but {source.path} has {pages}; "
                "give one z per page"
            )
        return {index.check(z, "annotations: slices"): plane for plane, z in enumerate(slices)}
    return {}


def _check_listed(
    planes: Mapping[int, int], listed: Iterable[int], source: Source, entry: AnnotationDescription, faults: Faults
) -> None:
    """Check that every listed slice is annotated, and that every label file of a folder is of a listed slice."""
    for z in listed:
        with faults.noted():
            if z not in planes:
                raise AnnotationError(
                    f"slice {z} is listed in 'train' or 'test' but {source.path} has no annotation of it; add the "
                    "annotation or remove the slice from the list"
                )
    for z in planes if source.is_folder and entry.unused == "refuse" else ():
        with faults.noted():
            if z not in listed:
                raise AnnotationError(
                    f"{source.files[planes[z]].path} annotates slice {z}, which is listed in neither 'train' nor "
                    "'test'; list it in one of them, remove the file, or ignore such files: 'unused: ignore'"
                )


def check_shape(file: PlaneFile, shape: tuple[int, int], bar: int = 0) -> None:
    """Check that label planes have the size of a slice, with the microscope's data bar below it or without.

    Raises:
        AnnotationError: they have another one.
    """
    if file.shape not in (shape, (shape[0] + bar, shape[1])):
        raise AnnotationError(
            f"{file.path} has {size(file.shape)} pixels but the slices have {size(shape)}; export annotations in the "
            "size of the images"
        )


def _check_names(file: PlaneFile, entry: AnnotationDescription, phases: Sequence[Phase]) -> None:
    """Check that a file gives no value the name of another phase than the description does."""
    known = {phase.name.casefold(): phase.name for phase in phases}
    for value, name in file.segments.items():
        phase_value = known.get(name.strip().casefold())
        if phase_value is not None and entry.mapping.get(value, phase_value) != phase_value:
            raise AnnotationError(
                f"{file.path} says that value {value} is {name!r} and 'mapping' that it is "
                f"{entry.mapping[value]!r}; correct the one that is wrong"
            )


def check_colours(source: Source, planes: Sequence[int]) -> None:
    """Check that an index means one colour in all label files: programs may give every file its own colour table.

    Raises:
        AnnotationError: it means several.
    """
    tables = {plane: _table(source, plane) for plane in planes}
    if len({table.tobytes() for table in tables.values() if table is not None}) < 2:
        return
    seen: dict[int, tuple[list[int], int]] = {}
    for plane, table in tables.items():
        if table is None:
            continue
        for value in np.unique(source.plane(plane)).tolist():
            colour = table[:, value].tolist()
            known, first = seen.setdefault(value, (colour, plane))
            if known != colour:
                raise AnnotationError(
                    f"{plane_name(source, plane)} and {plane_name(source, first)} show value {value} in different "
                    "colours, so its meaning is ambiguous; save the labels as plain numbers, or with the same colour "
                    "table"
                )


def _table(source: Source, plane: int) -> npt.NDArray[np.uint16] | None:
    return source.files[plane].colours(0) if source.is_folder else source.files[0].colours(plane)


def plane_name(source: Source, index: int) -> str:
    """What a plane is called in messages: its file, or the file and the page."""
    if source.is_folder:
        return str(source.files[index].path)
    return f"{source.path}, page {index}" if len(source) > 1 else str(source.path)
