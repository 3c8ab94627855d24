"""Volume files and label files of clients by id, under names that cannot lead out of their folder."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.files import atomic_file
from monai_app.io import read_header
from monai_app.label.settings import SUFFIXES

FINAL = "final"
"""Tag of labels that a person has checked."""

ORIGINAL = "original"
"""Default tag of a model's predictions."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_id(name: str, what: str = "image id") -> str:
    """Return the id of an image, or another name given by clients, if it is valid.

    Raises:
        ConfigError: it could be a path, have an extension, or name a hidden file.
    """
    if not _ID.fullmatch(name):
        raise ConfigError(
            f"{what} {name[:120]!r}: must contain only letters, digits, '_' and '-', start with a letter or digit, "
            "and have at most 100 characters; choose another"
        )
    return name


def check_tag(name: str) -> str:
    """Return the tag of a label if it is valid.

    Raises:
        ConfigError: it breaks the rule of ids, or differs from ``final`` only in case.
    """
    if check_id(name, "tag") != FINAL and name.casefold() == FINAL:
        raise ConfigError(
            f"tag {name!r}: checked labels have the tag {FINAL!r}; write it in this case, or choose another"
        )
    return name


def prediction_tag(options: Mapping[str, Any]) -> str:
    """Return the tag of a model's predictions: the option ``label_tag``, or `ORIGINAL`.

    Raises:
        ConfigError: it is not a valid tag, or is `FINAL`.
    """
    tag = check_tag(str(options.get("label_tag") or ORIGINAL))
    if tag == FINAL:
        raise ConfigError(f"label_tag {FINAL!r} is reserved for checked labels; choose another, such as {ORIGINAL!r}")
    return tag


def suffix_of(file_name: str) -> str:
    """Return the suffix of a volume's file name.

    Raises:
        ConfigError: it is not a volume format.
    """
    for suffix in SUFFIXES:
        if file_name.lower().endswith(suffix):
            return suffix
    raise ConfigError(f"file {file_name[-120:]!r} is not a volume; send one of {', '.join(SUFFIXES)}")


class Volumes:
    """The volumes in one folder, by id; callers lock an id while they change it.

    Args:
        folder: the folder; it is created with the first volume.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> dict[str, Path]:
        """One file per id, sorted by id."""
        found = sorted(path for path in self.folder.glob("[A-Za-z0-9]*") if is_kept(path))
        return {path.name.split(".")[0]: path for path in found}

    def path(self, name: str) -> Path | None:
        """Return the path of the volume of an id; None if there is none."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[Path]:
        """Return the files of an id, in any format."""
        if not _ID.fullmatch(name):
            return []
        return [path for suffix in SUFFIXES if is_kept(path := self.folder / f"{name}{suffix}")]

    def add(self, name: str, source: Path) -> Path:
        """Store an image under an id.

        Raises:
            ConfigError: the id or the format is invalid.
            StackError: the file cannot be read as a volume.
            TargetExistsError: the id exists.
        """
        shape = read_header(source).shape
        if len(shape) not in (3, 4):
            raise StackError(f"the volume has the axes {shape}; send X, Y, Z of one detector or X, Y, Z, detectors")
        if self.path(name) is not None:
            raise TargetExistsError(f"image {name} exists already; choose another id, or delete it first")
        return self.replace(name, source)

    def replace(self, name: str, source: Path) -> Path:
        """Store a volume under an id, replacing any other of this id.

        Raises:
            ConfigError: the id or the format is invalid.
        """
        target = self.folder / f"{check_id(name)}{suffix_of(source.name)}"
        with atomic_file(target) as temporary:
            shutil.copyfile(source, temporary)
        for old in self.all(name):
            if old != target:
                old.unlink(missing_ok=True)
        return target

    def remove(self, name: str) -> None:
        """Remove the volume of an id in all formats."""
        for path in self.all(name):
            path.unlink(missing_ok=True)


def is_kept(path: Path) -> bool:
    """Whether a file was written here; links are not, because they could lead out of the folder."""
    return path.is_file() and not path.is_symlink()
