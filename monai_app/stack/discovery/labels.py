"""Contents of label files: values, their frequency, and the slices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from monai_app.errors import AnnotationError, StackError
from monai_app.io.opening import open_planes
from monai_app.progress import counted
from monai_app.stack.discovery.units import Unit
from monai_app.stack.ingestion.slice_index import SliceIndex

_MOST_VALUES = 64
"""Values of labels; more are a picture."""

_SHOWN = 12
"""Slices that are listed."""


@dataclass(frozen=True)
class LabelFacts:
    """The contents of label planes.

    Args:
        unit: where they are.
        counts: value -> pixels, of all planes.
        slices: z of the planes that hold more than one value or another one than 0, ascending.
        names: value -> what the files call it.
        problems: what is not clear, in a sentence each.
    """

    unit: Unit
    counts: Mapping[int, int]
    slices: tuple[int, ...]
    names: Mapping[int, str]
    problems: tuple[str, ...] = ()

    @property
    def shares(self) -> str:
        """Values and how often they are, for people: ``"0 (97.2 %), 1 (2.8 %)"``."""
        total = sum(self.counts.values())
        return ", ".join(f"{value} ({100 * count / total:.3g} %)" for value, count in self.counts.items())

    @property
    def facts(self) -> str:
        """Slices and values, for people."""
        shown = ", ".join(map(str, self.slices[:_SHOWN])) + (", ..." if len(self.slices) > _SHOWN else "")
        return f"{len(self.slices)} labelled slices (z {shown or 'unknown'}); values {self.shares}"


def look_at_labels(unit: Unit, index: SliceIndex) -> LabelFacts:
    """Read label planes.

    Args:
        unit: where they are.
        index: the slices of the stack.

    Raises:
        StackError: they cannot be read, or hold too many values for labels.
    """
    source = open_planes(unit.entry.source, unit.entry.request(labels=True))
    counts: dict[int, int] = {}
    held: list[bool] = []
    for plane in source.planes():
        values, times = np.unique(plane, return_counts=True)
        for value, count in zip(values.tolist(), times.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + count
        held.append(bool(values.any()) or len(values) > 1)
        if len(counts) > _MOST_VALUES:
            raise StackError(f"{source.path} contains more than {_MOST_VALUES} values, so it does not contain labels")
    names = {value: name for file in source.files for value, name in file.segments.items()}
    facts = LabelFacts(replace(unit, source=source), dict(sorted(counts.items())), (), names)
    if source.is_folder:
        return _of_files(facts, index, held)
    if len(source) == len(index):
        return replace(facts, slices=tuple(z for z, any_ in enumerate(held) if any_))
    planes, slices = counted(len(source), "plane"), counted(len(index), "slice")
    problem = f"{source.path.name} has {planes} and the stack {slices}: which slices are they?"
    return replace(facts, problems=(f"{problem} Give the z of every plane in 'slices'.",))


def _of_files(facts: LabelFacts, index: SliceIndex, held: list[bool]) -> LabelFacts:
    source = facts.unit.source
    try:
        matched = index.match(source.names, source.keys)
    except AnnotationError as error:
        return replace(facts, problems=(str(error),))
    strange = [file.path.name for file, z in zip(source.files, matched, strict=True) if z is None]
    found = sorted({z for z, any_ in zip(matched, held, strict=True) if z is not None and any_})
    problems = () if not strange else (f"Which slice does {strange[0]} belong to? Name label files like the images.",)
    return replace(facts, slices=tuple(found), problems=problems)
