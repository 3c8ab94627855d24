"""Volumes that clients send, and labels that are files: kept under names that cannot leave their folder."""

import re
import shutil
from pathlib import Path

from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.files import atomic_file, lock, lock_path
from monai_app.io import read_header
from monai_app.label.settings import SUFFIXES

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_id(name: str, what: str = "image id") -> str:
    """Return the id of an image, or another name, if it is one.

    Args:
        name: the name.
        what: what the client calls it.

    Raises:
        ConfigError: it could be more than a file's name: a path, an extension, something hidden.
    """
    if not _ID.fullmatch(name):
        raise ConfigError(
            f"{what} {name[:120]!r}: may hold letters, digits, '_' and '-' only, begins with a letter or digit, and "
            "has 100 characters at most; choose another"
        )
    return name


def suffix_of(file_name: str) -> str:
    """Return the suffix of a volume's file name.

    Raises:
        ConfigError: it is no format of volumes.
    """
    for suffix in SUFFIXES:
        if file_name.lower().endswith(suffix):
            return suffix
    raise ConfigError(f"file {file_name[-120:]!r} is no volume: send one of {', '.join(SUFFIXES)}")


class Uploads:
    """The uploads in one folder.

    Args:
        folder: it is made when the first comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self) -> list[str]:
        """The ids, sorted."""
        return sorted(self.files())

    def files(self) -> dict[str, Path]:
        """A file of every id."""
        return {path.name.split(".")[0]: path for path in self.folder.glob("[A-Za-z0-9]*") if _is_kept(path)}

    def path(self, name: str) -> Path | None:
        """Where an upload is, or None where there is none of that id."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[Path]:
        """The files of an id, whatever their format."""
        if not _ID.fullmatch(name):
            return []
        found = (self.folder / f"{name}{suffix}" for suffix in SUFFIXES)
        return [path for path in found if _is_kept(path)]

    def add(self, name: str, source: Path) -> Path:
        """Keep a volume under an id.

        Raises:
            ConfigError: the id or the format breaks its rule.
            StackError: the file cannot be read as a volume.
            TargetExistsError: there is an upload of that id.
        """
        check_id(name)
        suffix = suffix_of(source.name)
        header = read_header(source)
        if len(header.shape) not in (3, 4):
            raise StackError(
                f"the volume has the axes {header.shape}; send X, Y, Z of one detector or X, Y, Z, detectors"
            )
        target = self.folder / f"{name}{suffix}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.folder / name)):  # of two that send one id at once, one is refused
            if self.path(name) is not None:
                raise TargetExistsError(f"image {name} is there already; choose another id, or delete it first")
            with atomic_file(target) as temporary:
                shutil.copyfile(source, temporary)
        return target

    def replace(self, name: str, source: Path) -> Path:
        """Keep a volume under an id, whatever was there under it, in any format.

        Raises:
            ConfigError: the id or the format breaks its rule.
        """
        target = self.folder / f"{check_id(name)}{suffix_of(source.name)}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.folder / name)):
            with atomic_file(target) as temporary:
                shutil.copyfile(source, temporary)
            for old in self.all(name):
                if old != target:
                    old.unlink(missing_ok=True)
        return target

    def remove(self, name: str) -> bool:
        """Remove an upload, in whatever formats it is there; returns whether there was one."""
        if self.path(name) is None:
            return False
        with lock(lock_path(self.folder / name)):  # nobody adds or replaces it meanwhile
            found = self.all(name)
            for path in found:
                path.unlink(missing_ok=True)
        return bool(found)


def _is_kept(path: Path) -> bool:
    """Whether a file is one that was sent: no link, which might lead out of the folder."""
    return path.is_file() and not path.is_symlink()


class LabelFiles:
    """The labels in one folder.

    Args:
        folder: it is made when the first comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tags(self) -> list[str]:
        """The tags for which there is a folder, sorted."""
        return sorted(path.name for path in self.folder.glob("[A-Za-z0-9]*") if _is_folder(path))

    def of(self, tag: str) -> Uploads:
        """The labels of a tag.

        Raises:
            ConfigError: its folder is a link, which might lead elsewhere.
        """
        folder = self.folder / tag
        if folder.is_symlink():
            raise ConfigError(f"tag {tag!r}: its folder is a link, which is not followed; choose another tag")
        return Uploads(folder)

    def path(self, image_id: str, tag: str) -> Path | None:
        """Where the label of an image is, or None where it has none of that tag."""
        return self.of(tag).path(image_id) if tag in self.tags() else None

    def files(self) -> dict[str, dict[str, Path]]:
        """The files by tag and image."""
        return {tag: self.of(tag).files() for tag in self.tags()}

    def remove(self, image_id: str) -> None:
        """Remove all labels of an image."""
        for tag in self.tags():
            self.of(tag).remove(image_id)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
