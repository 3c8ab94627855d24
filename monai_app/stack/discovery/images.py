"""Describing a folder of images to segment, in the form of a sample."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.io.registry import find_format
from monai_app.stack.discovery.describe import describe, questions
from monai_app.stack.discovery.discover import Discovery, Report, discover
from monai_app.stack.discovery.naming import detector_name
from monai_app.stack.discovery.read import DESCRIPTION, read_description
from monai_app.stack.discovery.units import Unit
from monai_app.stack.ingestion.description import SampleDescription, Voxel
from monai_app.stack.ingestion.voxel_size import uncertain_size


def describe_images(
    folder: Path,
    detectors: Sequence[str],
    voxel: Voxel | None = None,
    report: Report = lambda line: None,
    *,
    names: Sequence[str] | None = None,
) -> SampleDescription:
    """Describe the images of the given detectors, without annotations.

    Args:
        folder: with a ``sample.yaml``; or with a subfolder for each detector, called like it, whatever the case, or so
            that `detector_name` makes its name of it; or of one detector, with its images.
        detectors: the required detectors, or their subfolders.
        voxel: voxel size, if the files do not contain it.
        report: called with what was found, line by line.
        names: of the detectors in the description, in the same order; None for ``detectors``.

    Returns:
        The description, with these detectors in this order.

    Raises:
        ConfigError: a detector is missing, the images are ambiguous or of another detector, or no file contains the
            voxel size.
        StackError: there are no images, or none is usable.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # links stay links
    names = detectors if names is None else names
    if (folder / DESCRIPTION).is_file():
        return _described(folder, dict(zip(names, detectors, strict=True)), voxel, report)
    found, units = _found(folder, detectors, report)
    _check_clear(found, folder)
    missing = [axis for axis in "zyx" if axis not in found.sizes]
    if missing and voxel is None:
        raise ConfigError(
            f"{folder}: no file contains the voxel size in nm along {', '.join(missing)}"
            f"{uncertain_size(found.sources)}; give the distances between slices, rows and columns: voxel_nm "
            "(--voxel-nm Z,Y,X)"
        )
    entries = {name: unit.entry.model_dump(exclude_none=True) for name, unit in zip(names, units, strict=True)}
    content = {"name": folder.name, "detectors": entries, "voxel_nm": {} if voxel is None else voxel.model_dump()}
    return validated(SampleDescription, content, str(folder), context=folder)


def _described(folder: Path, detectors: Mapping[str, str], voxel: Voxel | None, report: Report) -> SampleDescription:
    """The description in the folder, of some detectors: name -> name in it."""
    path = folder / DESCRIPTION
    if voxel is not None:
        raise ConfigError(
            f"voxel_nm (--voxel-nm): {path} describes the images; write 'voxel_nm' there, or leave it out"
        )
    description = read_description(folder, report)
    missing = [own for own in detectors.values() if own not in description.detectors]
    if missing:
        raise ConfigError(
            f"{path} describes {', '.join(description.detectors)}, but the model needs {', '.join(missing)}; add it "
            "there, or replace it by another detector (--detector)"
        )
    chosen = {name: description.detectors[own] for name, own in detectors.items()}
    return description.model_copy(update={"detectors": chosen, "annotations": None})


def _found(folder: Path, detectors: Sequence[str], report: Report) -> tuple[Discovery, list[Unit]]:
    """What the images are, and those of each detector, in order."""
    folders = _subfolders(folder, detectors)
    if folders is None:
        found = discover([folder], report)
        units = list(found.detectors.values())
        if len(units) == 1 and units[0].name.casefold() not in ("", detectors[0].casefold()):
            raise ConfigError(
                f"{folder} contains images of {units[0].name}, but the model needs {detectors[0]}; to replace it, add "
                f"--detector {detectors[0]}={units[0].name}; if these are images of {detectors[0]}, {_remedy(folder)}"
            )
        return found, [_only(units, folder)]
    found = discover(folders, report)
    chosen = [
        _only([unit for unit in found.detectors.values() if unit.entry.source.is_relative_to(path)], path)
        for path in folders
    ]
    for unit, name, path in zip(chosen, detectors, folders, strict=True):
        _check_recorded(unit, name, path, detectors)
    return found, chosen


def _check_recorded(unit: Unit, name: str, subfolder: Path, detectors: Sequence[str]) -> None:
    """Refuse a subfolder whose files record another detector of the model, or one that has its own subfolder."""
    beside = [entry.name for entry in subfolder.parent.iterdir() if entry.is_dir() and entry != subfolder]
    others = {_folded(other) for other in (*detectors, *beside)} - {_folded(name)}
    if wrong := [own for own in unit.recorded if _folded(own) in others]:
        raise ConfigError(
            f"{subfolder} contains images of {', '.join(wrong)}, by their metadata, but must contain those of {name}; "
            f"rename or swap the subfolders; if these are images of {name}, {_remedy(subfolder.parent)}"
        )


def _subfolders(folder: Path, detectors: Sequence[str]) -> list[Path] | None:
    """The subfolders of the detectors; None if the folder itself holds the images of the only one."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    subfolders = {entry.name: entry for entry in entries if entry.is_dir()}
    found = [_called(name, subfolders) for name in detectors]
    paths = [path for path in found if path is not None]
    if len(paths) == len(found):
        _check_different(paths, detectors)
        return paths
    if len(detectors) == 1 and any(entry.is_file() and find_format(entry) for entry in entries):
        return None
    missing = [name for name, path in zip(detectors, found, strict=True) if path is None]
    raise ConfigError(
        f"{folder} has no subfolder {', '.join(missing)}; the model needs the detectors {', '.join(detectors)}, but "
        f"the subfolders are {', '.join(subfolders) or 'none'}; name each after its detector, replace detectors "
        f"(--detector MODEL=SUBFOLDER), or describe the images in {folder / DESCRIPTION}"
    )


def _check_different(paths: Sequence[Path], detectors: Sequence[str]) -> None:
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise ConfigError(
            f"{twice[0]} would be read for two detectors ({', '.join(detectors)}); give each its own subfolder"
        )


def _called(name: str, subfolders: Mapping[str, Path]) -> Path | None:
    """The subfolder of a name, or the only one that is alike but for case and characters that names cannot have."""
    if name in subfolders:
        return subfolders[name]
    alike = [path for other, path in subfolders.items() if _folded(other) == _folded(name)]
    if len(alike) > 1:
        raise ConfigError(
            f"{alike[0].parent}: the subfolders {' and '.join(path.name for path in alike)} both have the name of the "
            f"detector {name}; choose one (--detector '{name}={alike[0].name}'), or rename the other"
        )
    return alike[0] if alike else None


def _folded(name: str) -> str:
    """A name, for comparing: as `init` writes it, if it names a detector, in lower case."""
    return (detector_name(name) or name).casefold()


def _only(units: Sequence[Unit], folder: Path) -> Unit:
    if len(units) == 1:
        return units[0]
    places = ", ".join(unit.where for unit in units) or "nothing that can be used"
    raise ConfigError(
        f"{folder} must contain the images of one detector, but contains {places}; {_remedy(folder.parent)}"
    )


def _check_clear(found: Discovery, folder: Path) -> None:
    """Refuse what a description would ask about the images, but for their names and the size of a voxel."""
    images = replace(found, labels=[], unnamed=[], sizes=dict.fromkeys("zyx", (1.0, "")))
    if asked := questions(describe(images, folder)):
        raise ConfigError("\n".join([f"{folder} leaves questions open; {_remedy(folder)}:", *asked]))


def _remedy(folder: Path) -> str:
    return (
        f"write a description with 'monai-app init {folder} -o {folder / DESCRIPTION}', and answer its questions there"
    )
