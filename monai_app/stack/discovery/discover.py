"""Discovering the contents of a sample from its files."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monai_app.errors import AppError, ConfigError, StackError
from monai_app.io.grey import value_range
from monai_app.io.registry import stem
from monai_app.io.sources import Source
from monai_app.names import is_printable
from monai_app.stack.discovery.labels import LabelFacts, look_at_labels
from monai_app.stack.discovery.listing import list_images
from monai_app.stack.discovery.naming import Group, different_names, group_files, is_label_name
from monai_app.stack.discovery.units import Unit, in_colour, slices_of_one, units_of
from monai_app.stack.ingestion.agreement import check_agreement
from monai_app.stack.ingestion.description import VoxelDescription
from monai_app.stack.ingestion.slice_index import SliceIndex
from monai_app.stack.ingestion.voxel_size import sizes_in_files

Report = Callable[[str], None]


@dataclass
class Discovery:
    """The contents of a sample.

    Attributes:
        name: the sample's name.
        detectors: detector name -> its images.
        labels: candidates for the annotations.
        sizes: axis -> voxel size in nm and its place in the files, for the axes that files contain.
        index: the slices, if the detectors agree in them.
        unnamed: detectors without a known name.
        problems: ambiguities of the images, one sentence each.
        grey_ranges: lowest and highest value of the detectors that have no 8-bit or 16-bit grey values as they are.
        independent: whether file names have no unambiguous number.
        left_out: files that are not used, and why.
    """

    name: str
    detectors: dict[str, Unit] = field(default_factory=dict)
    labels: list[LabelFacts] = field(default_factory=list)
    sizes: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    index: SliceIndex | None = None
    unnamed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    grey_ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    independent: bool = False
    left_out: list[str] = field(default_factory=list)

    @property
    def sources(self) -> dict[str, Source]:
        """The detectors' images."""
        return {name: unit.source for name, unit in self.detectors.items()}


def discover(paths: Sequence[Path], report: Report = lambda line: None) -> Discovery:
    """Inspect the files of a sample.

    Args:
        paths: its folder, or its folders and files.
        report: called with what was found, line by line.

    Raises:
        ConfigError: a path does not exist, or contains control characters.
        StackError: there are no images, or none is usable.
    """
    paths = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  # links stay links
    for path in paths:
        if not is_printable(str(path)):
            raise ConfigError(f"{str(path)!r} contains control characters; rename the file or folder")
    found = Discovery(paths[0].name if len(paths) == 1 and paths[0].is_dir() else paths[0].parent.name)
    units = _units(paths, found)
    images, candidates = [unit for unit in units if not unit.label_name], [unit for unit in units if unit.label_name]
    if not images:
        reasons = "\n".join(found.left_out)
        raise StackError(
            f"{', '.join(map(str, paths))}: no usable image of a detector found; give folders or files with grey "
            f"images{f':{chr(10)}{reasons}' if reasons else ''}"
        )
    _name(images, found)
    if len(images) > 1 and all(len(unit.source) == 1 for unit in images):
        found.problems.append(
            f"{', '.join(found.detectors)} have one slice each: if they are slices of one detector, give only their "
            "folder as its source."
        )
    _ask_about_labels_among(found)
    _number(found)
    _look_at_grey(found)
    _look_at_places(found, report)
    for unit in candidates:
        _look_at_labels(unit, found)
    for line in _lines(found):
        report(line)
    return found


def _units(paths: Sequence[Path], found: Discovery) -> list[Unit]:
    units = list[Unit]()
    listed = list_images(paths)
    for folder, files in listed.items():
        named = len(paths) > 1 if folder in paths else any(folder.is_relative_to(path) for path in paths)
        colour = list[Group]()
        for group in slices_of_one(folder, group_files(folder, files)):
            try:
                units += units_of(folder, group, named_by_folder=named)
            except AppError as error:
                if all(map(in_colour, group.files)):
                    colour.append(group)
                    continue
                lone = len(group.files) == 1 and len(listed) > 1
                (found.left_out if lone else found.problems).append(str(error))
        if colour:
            apart = len(listed) > 1 and (is_label_name(folder.name) or all(len(group.files) == 1 for group in colour))
            (found.left_out if apart else found.problems).append(_colour_images(colour))
    found.left_out += found.problems if not any(not unit.label_name for unit in units) else []
    return units


def _colour_images(groups: Sequence[Group]) -> str:
    files = [file for group in groups for file in group.files]
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return (
        f"{files[0]}{others}: in colour; labels in colours are imported after ingest with 'monai-app annotate "
        "STORE --from FOLDER'; images of a detector must be grey, so convert them to 8-bit or 16-bit grey"
    )


def _name(images: Sequence[Unit], found: Discovery) -> None:
    names = [unit.name for unit in images]
    if not different_names(filter(None, names)):
        folders = [unit.entry.source.parent.name for unit in images]
        names = [name and f"{folder}_{name}" for folder, name in zip(folders, names, strict=True)]
        found.problems.append(
            f"Several folders have the same name ({', '.join(filter(None, names))}): are they detectors, or several "
            "samples? Remove those of other samples."
        )
    taken = set[str]()
    for unit, name in zip(images, names, strict=True):
        chosen = name or (f"channel_{unit.entry.channel}" if unit.entry.channel is not None else "")
        chosen = chosen or (f"page_{unit.entry.page}" if unit.entry.page is not None else "detector")
        if not name:
            found.unnamed.append(chosen)
        while chosen.casefold() in taken:
            chosen = f"{chosen}_2"
        taken.add(chosen.casefold())
        found.detectors[chosen] = unit
        if unit.few_values:
            found.problems.append(
                f"{unit.entry.source} has few values, like labels. If it contains labels, remove it from the "
                "detectors and write 'annotations'."
            )


def _ask_about_labels_among(found: Discovery) -> None:
    for unit in found.detectors.values():
        labels = [file.path.name for file in unit.source.files if is_label_name(stem(file.path))]
        if unit.source.is_folder and 0 < len(labels) < len(unit.source):
            found.problems.append(
                f"{labels[0]} is named like labels, but is among images ({len(labels)} such files in "
                f"{unit.entry.source}): move the labels to a separate folder, and give both."
            )


def _number(found: Discovery) -> None:
    """Put the slices in order, and see whether detectors agree."""
    numbered, sources = dict[str, Source](), found.sources
    try:
        numbered = {name: source.numbered() for name, source in sources.items()}
    except StackError as error:
        found.independent = True
        found.problems.append(
            f"{error}. If these are single micrographs that are not neighbours, keep 'independent: true'; otherwise "
            "replace it by 'numbers'."
        )
    if numbered and any(source.is_folder and len(source) > 1 and not source.pattern for source in numbered.values()):
        found.problems.append(
            "File names contain no numbers: are the slices in the order of the names? If they are single "
            "micrographs that are not neighbours, write 'independent: true'."
        )
    try:
        check_agreement(numbered or sources)
        found.index = SliceIndex(numbered or sources, by_name=found.independent)
    except StackError as error:
        found.problems += str(error).splitlines()


def _look_at_grey(found: Discovery) -> None:
    for name, unit in found.detectors.items():
        if unit.file.dtype.name not in ("uint8", "uint16"):
            low, high = float("inf"), float("-inf")
            for file in unit.source.files:
                least, most = value_range(file.planes(fractions=True))
                low, high = min(low, least), max(high, most)
            found.grey_ranges[name] = low, high


def _look_at_places(found: Discovery, report: Report) -> None:
    try:
        found.sizes = sizes_in_files(found.sources, VoxelDescription(), report=report)
    except StackError as error:
        found.problems.append(str(error))


def _look_at_labels(unit: Unit, found: Discovery) -> None:
    if found.index is None:
        found.left_out.append(f"{unit.entry.source}: labels, which can be checked only when the images agree")
        return
    try:
        found.labels.append(look_at_labels(unit, found.index))
    except AppError as error:
        found.left_out.append(str(error))


def _lines(found: Discovery) -> list[str]:
    lines = [f"{name}: {unit.facts}" for name, unit in found.detectors.items()]
    if found.sizes:
        sizes = ", ".join(f"{axis} {size:.6g}" for axis, (size, _) in found.sizes.items())
        places = ", ".join(dict.fromkeys(where for _, where in found.sizes.values()))
        lines.append(f"voxel size: {sizes} nm ({places})")
    lines += [f"labels {facts.unit.where}: {facts.facts}" for facts in found.labels]
    return lines + [f"not used: {line}" for line in found.left_out]
