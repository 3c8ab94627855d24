"""The volume files of cases: made when they are first asked for, removed when they are of another stack or form."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from monai_app import files
from monai_app.domain.slab import Slab
from monai_app.errors import AnnotationError, ConfigError
from monai_app.io import Grid, partner_path, write_volume
from monai_app.stack import Stack

Layout = Literal["paired", "channels"]

MANIFEST = "cases.json"
"""The file in the folder of cases that says of which stack they are."""

_SUFFIXES = {"paired": (".nii.gz", ".nii", ".nrrd"), "channels": (".nii.gz", ".nii")}

_RESERVED = "labels"
"""MONAI Label keeps labels in a folder of this name beside the cases."""


@dataclass(frozen=True)
class Case:
    """A slice to annotate.

    Args:
        id: the file's name without its suffix; letters, digits, ``_`` and ``-``.
        z: the slice.
        first: the first slice in the file.
        last: the last one.
    """

    id: str
    z: int
    first: int
    last: int

    @property
    def slices(self) -> range:
        """Every slice in the file."""
        return range(self.first, self.last + 1)


def id_prefix(name: str) -> str:
    """A sample's name as ids of cases begin: no dots, since MONAI Label takes all that follows one as the suffix.

    Example:
        >>> id_prefix("cement, run 2.1")
        'cement_run_2_1'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "stack"


class CaseFiles:
    """The volume files of a stack's cases.

    Args:
        stack: the stack.
        folder: where they are made.
        thickness: odd number of slices in a file.
        suffix: .nii.gz, .nii or .nrrd.
        layout: "paired": one volume a detector, the first detector's is the case's file, the others' lie in folders
            named by the detector beside it. "channels": one NIfTI file with the detectors as the fourth axis.

    Raises:
        ConfigError: a value that breaks its rule, or a detector whose folder would be that of the labels.
        AnnotationError: the stack has no phases.
    """

    def __init__(self, stack: Stack, folder: Path | str, *, thickness: int, suffix: str, layout: Layout) -> None:
        _check_form(stack, thickness, suffix, layout)
        self.folder = Path(folder).absolute()
        self.suffix, self.layout = suffix, layout
        self._manifest = {  # what decides the files
            "ingested": stack.ingested,
            "prefix": id_prefix(stack.name),
            "suffix": suffix,
            "layout": layout,
            "thickness": thickness,
            "detectors": list(stack.detectors),
            "voxel_nm": list(stack.voxel_nm),  # not part of the identity
        }

    def path(self, case: Case) -> Path:
        """The file of a case, whether it is there or not."""
        return self.folder / f"{case.id}{self.suffix}"

    def image(self, stack: Stack, case: Case, grid: Grid) -> Path:
        """The file of a case, exported if it isn't there; another process that exports it is waited for.

        Pixels keep the stack's type. The case's file is made last: where it is, its partners are.

        Args:
            stack: the stack.
            case: the case.
            grid: where its voxels lie.

        Raises:
            StackError: the stack cannot be read.
        """
        path = self.path(case)
        if not (self._is_claimed() and _is_kept(path)):
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.lock(self.folder / f".{MANIFEST}.lock"):
                self._claim()
                if not _is_kept(path):
                    self._export(stack, case, path, grid)
        return path

    def _export(self, stack: Stack, case: Case, path: Path, grid: Grid) -> None:
        detectors = stack.detectors
        if self.layout == "channels":
            planes = [stack.read_slab(z, detectors, 1) for z in case.slices]
            write_volume(path, np.moveaxis(np.stack(planes), 1, 3), grid)
            return
        for detector in reversed(detectors):
            volume = np.concatenate([stack.read_slab(z, [detector], 1) for z in case.slices])
            write_volume(path if detector == detectors[0] else partner_path(path, detector), volume, grid)

    def _is_claimed(self) -> bool:
        return _read_manifest(self.folder / MANIFEST) == self._manifest

    def _claim(self) -> None:
        """Remove what was exported of another stack or in another form, and say whose cases come now."""
        if self._is_claimed():
            return
        for content in (_read_manifest(self.folder / MANIFEST), self._manifest):
            _remove_cases(self.folder, content)
        with files.atomic_file(self.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(self._manifest, indent=2) + "\n", encoding="utf-8")


def _is_kept(path: Path) -> bool:
    """Whether a file is one that was exported: no link, which might lead out of the folder."""
    return path.is_file() and not path.is_symlink()


def _check_form(stack: Stack, thickness: int, suffix: str, layout: str) -> None:
    Slab(thickness)  # refuses a number without a middle slice
    if layout not in _SUFFIXES:
        raise ConfigError(f"layout {layout!r} is not one of {', '.join(_SUFFIXES)}; choose one")
    if suffix not in _SUFFIXES[layout]:
        raise ConfigError(
            f"suffix {suffix!r} does not go with layout {layout!r}; choose one of {', '.join(_SUFFIXES[layout])}"
        )
    if layout == "paired" and _RESERVED in (name.casefold() for name in stack.detectors):
        raise ConfigError(
            f"detector {_RESERVED!r} would be exported to the folder of the labels; use layout 'channels', or ingest "
            "with another name"
        )
    if not stack.phases:
        raise AnnotationError(
            f"{stack.path.name} has no phases to label with; list 'phases' in its description and ingest it again"
        )


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def _remove_cases(folder: Path, content: Mapping[str, Any]) -> None:
    """Remove the exported files that a manifest is about."""
    try:
        name = re.compile(rf"{re.escape(content['prefix'])}_z\d{{4,}}{re.escape(content['suffix'])}")
        # Cases go first: where one is, its partners are.
        folders = [folder, *(folder / detector for detector in content["detectors"])]
    except (KeyError, TypeError):
        return  # it is no manifest of ours, so nothing is known to be exported
    for place in folders:
        for path in place.iterdir() if place.is_dir() else ():
            if name.fullmatch(path.name):
                path.unlink()
