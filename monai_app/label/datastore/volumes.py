"""Volume files that clients sent, by id, and labels that are files: under names that cannot leave their folder."""

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
"""Tag of labels that people checked."""

ORIGINAL = "original"
"""Tag of what a model says, unless it is asked for under another one."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_id(name: str, what: str = "image id") -> str:
    """Return the id of an image, or another name that clients call ``what``, if it is one.

    Raises:
        ConfigError: it could be more than a file's name: a path, an extension, something hidden.
    """
    if not _ID.fullmatch(name):
        raise ConfigError(
            f"{what} {name[:120]!r}: may hold letters, digits, '_' and '-' only, begins with a letter or digit, and "
            "has 100 characters at most; choose another"
        )
    return name


def check_tag(name: str) -> str:
    """Return the tag of a label if it is one.

    Raises:
        ConfigError: it breaks the rule of ids, or is ``final`` but for its case and so would be taken for it.
    """
    if check_id(name, "tag") != FINAL and name.casefold() == FINAL:
        raise ConfigError(f"tag {name!r}: labels that people checked have the tag {FINAL!r}; write it so, or another")
    return name


def prediction_tag(options: Mapping[str, Any]) -> str:
    """Return the tag under which what a model says is kept: the option ``label_tag``, or `ORIGINAL`.

    Raises:
        ConfigError: it is no tag, or `FINAL`.
    """
    tag = check_tag(str(options.get("label_tag") or ORIGINAL))
    if tag == FINAL:
        raise ConfigError(f"label_tag {FINAL!r} is for what people checked; choose another, such as {ORIGINAL!r}")
    return tag


def suffix_of(file_name: str) -> str:
    """Return the suffix of a volume's file name.

    Raises:
        ConfigError: it is no format of volumes.
    """
    for suffix in SUFFIXES:
        if file_name.lower().endswith(suffix):
            return suffix
    raise ConfigError(f"file {file_name[-120:]!r} is no volume: send one of {', '.join(SUFFIXES)}")


class Volumes:
    """The volumes in one folder, by id; whoever changes those of an id keeps others off it.

    Args:
        folder: it is made when the first comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> dict[str, Path]:
        """A file of every id, sorted by id."""
        found = sorted(path for path in self.folder.glob("[A-Za-z0-9]*") if is_kept(path))
        return {path.name.split(".")[0]: path for path in found}

    def path(self, name: str) -> Path | None:
        """Where the volume of an id is; None where there is none."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[Path]:
        """The files of an id, whatever their format."""
        if not _ID.fullmatch(name):
            return []
        return [path for suffix in SUFFIXES if is_kept(path := self.folder / f"{name}{suffix}")]

    def add(self, name: str, source: Path) -> Path:
        """Keep an image under an id.

        Raises:
            ConfigError: the id or the format breaks its rule.
            StackError: the file cannot be read as a volume.
            TargetExistsError: there is one of that id.
        """
        shape = read_header(source).shape
        if len(shape) not in (3, 4):
            raise StackError(f"the volume has the axes {shape}; send X, Y, Z of one detector or X, Y, Z, detectors")
        if self.path(name) is not None:
            raise TargetExistsError(f"image {name} is there already; choose another id, or delete it first")
        return self.replace(name, source)

    def replace(self, name: str, source: Path) -> Path:
        """Keep a volume under an id, whatever was there under it, in any format.

        Raises:
            ConfigError: the id or the format breaks its rule.
        """
        target = self.folder / f"{check_id(name)}{suffix_of(source.name)}"
        with atomic_file(target) as temporary:
            shutil.copyfile(source, temporary)
        for old in self.all(name):
            if old != target:
                old.unlink(missing_ok=True)
        return target

    def remove(self, name: str) -> None:
        """Remove the volume of an id, in whatever formats it is there."""
        for path in self.all(name):
            path.unlink(missing_ok=True)


def is_kept(path: Path) -> bool:
    """Whether a file is one that was written here: no link, which might lead out of the folder."""
    return path.is_file() and not path.is_symlink()
