"""Contents of groups of files: opened images of detectors, or labels."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request
from monai_app.io.opening import open_planes
from monai_app.io.registry import format_of, stem
from monai_app.io.sources import Source
from monai_app.names import is_printable
from monai_app.progress import counted
from monai_app.stack.discovery.naming import Group, choose, detector_name, is_label_name
from monai_app.stack.ingestion.source_description import SourceDescription

_FEW_VALUES = 16
"""Values of a picture that may be labels."""

_FEW_PIXELS = 256
"""Pixels of a picture of which the number of values says nothing."""

_MOST_PAGES = 8
"""Pages of every file of a folder that may be detectors."""


@dataclass(frozen=True)
class Unit:
    """Images of one detector, or labels.

    Args:
        entry: where they are, in the form of the description.
        source: the same, opened.
        name: its name in file names and metadata; empty if there is none.
        label_name: whether its name indicates labels.
        few_values: whether its first picture has few values, as labels have.
        inverted: whether 0 is stored as white.
    """

    entry: SourceDescription
    source: Source
    name: str
    label_name: bool = False
    few_values: bool = False
    inverted: bool = False

    @property
    def where(self) -> str:
        """The name of their folder or file, or the pattern of their files' names."""
        return self.entry.files or self.entry.source.name

    @property
    def facts(self) -> str:
        """Slices, pixels and type, for display."""
        (rows, columns), file = self.file.shape, self.file
        part = next(
            (f", {what} {n}" for what in ("channel", "page") if (n := getattr(self.entry, what)) is not None), ""
        )
        bar = f", below them a data bar of {counted(file.bar, 'row')}, which is removed" if file.bar else ""
        own = [name for name in self.recorded if name != self.name]
        called = f"; in its metadata the detector is {', '.join(own)}" if own else ""
        slices = counted(len(self.source), "slice")
        return f"{slices} of {rows} x {columns} pixels, {file.dtype} ({self.where}{part}){bar}{called}"

    @property
    def recorded(self) -> list[str]:
        """Detectors in the files' metadata, sorted; several if the files do not agree."""
        return sorted({file.recorded.detector for file in self.source.files if file.recorded.detector})

    @property
    def file(self) -> PlaneFile:
        """The first file."""
        return self.source.files[0]


def units_of(folder: Path, group: Group, *, named_by_folder: bool) -> list[Unit]:
    """The units that the files of a group hold, one a channel or page where they hold several.

    Args:
        folder: their folder.
        group: the files.
        named_by_folder: whether the folder's name is the detector's, where the files' names say nothing.

    Raises:
        StackError: they cannot be used.
    """
    single = len(group.files) == 1
    path = group.files[0] if single else folder
    if not is_printable(str(path)):
        raise StackError(f"{str(path)!r} contains control characters; rename the file or folder")
    pattern = None if single else group.pattern
    name = group.word or (folder.name if named_by_folder else "")
    labels = is_label_name(name) or all(is_label_name(stem(file)) for file in group.files)
    return [
        _unit(SourceDescription(source=path, files=pattern, **part), called if part else name, is_labels)
        for called, part in _parts(group)
        for is_labels in (labels or is_label_name(str(part.get("dataset", ""))),)
    ]


def in_colour(path: Path) -> bool:
    """Whether a file is a colour image that can be read as labels."""
    try:
        return format_of(path).open(path, Request(labels=True, painted=True)).painted
    except StackError:
        return False


def slices_of_one(folder: Path, groups: Sequence[Group]) -> list[Group]:
    """Put images together again that differ in their whole names and hold one plane each: they are not detectors."""
    labels = [group for group in groups if is_label_name(group.word)]
    images = [group for group in groups if group not in labels]
    files = [file for group in images for file in group.files]
    if len(images) < 2 or any(group.files[1:] or stem(group.files[0]) != group.word for group in images):
        return list(groups)
    together = choose(folder, "", files, labels) if labels else Group(tuple(files))
    try:
        single = all(_first(file).count == 1 for file in files)
    except StackError:
        single = False
    return [together, *labels] if single and (together.is_chosen or not labels) else list(groups)


def _parts(group: Group) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and description of each dataset, channel or page; one without any if there are none."""
    path, single = group.files[0], len(group.files) == 1
    listed = format_of(path).datasets
    datasets = listed(path) if single and listed is not None else []
    for dataset in datasets if len(datasets) > 1 else [""]:
        file = _first(path, dataset)
        chosen: dict[str, Any] = {"dataset": dataset} if dataset else {}
        if len(file.channels) > 1:
            for number, channel in enumerate(file.channels):
                given = not channel.isdecimal()
                yield channel if given else "", {**chosen, "channel": channel if given else number}
        elif not single and 1 < file.count <= _MOST_PAGES:
            for page in range(file.count):
                yield "", {**chosen, "page": page}
        else:
            yield dataset.rpartition("/")[2], chosen


def _first(path: Path, dataset: str = "") -> PlaneFile:
    request = Request(mapped=True, inverted=True, dataset=dataset or None)
    try:
        return format_of(path).open(path, request)
    except StackError:
        return format_of(path).open(path, Request(labels=True, dataset=dataset or None))


def _unit(entry: SourceDescription, name: str, label_name: bool) -> Unit:
    source, inverted = _opened(entry)
    own = _recorded_name(source)
    named = detector_name(name) or detector_name(own)
    labels = label_name or bool(source.files[0].segments)
    return Unit(entry, source, named, labels, not labels and _has_few_values(source), inverted)


def _recorded_name(source: Source) -> str:
    """What all files call their detector; empty if they do not agree."""
    names = {file.recorded.detector or "" for file in source.files}
    return names.pop() if len(names) == 1 else ""


def _opened(entry: SourceDescription) -> tuple[Source, bool]:
    """The images; where they are none, the labels. True where 0 is stored as white."""
    grey = replace(entry.request(), mapped=True)
    with suppress(StackError):
        return open_planes(entry.source, grey), False
    with suppress(StackError):
        return open_planes(entry.source, replace(grey, inverted=True)), True
    with suppress(StackError):
        return open_planes(entry.source, entry.request(labels=True)), False
    return open_planes(entry.source, grey), False  # raises what is wrong with the images


def _has_few_values(source: Source) -> bool:
    file = source.files[0]
    if file.dtype.kind == "f":
        return False
    plane = next(file.planes(range(1)))
    return plane.size > _FEW_PIXELS and 1 < len(np.unique(plane)) <= _FEW_VALUES
