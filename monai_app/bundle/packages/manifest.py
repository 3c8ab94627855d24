"""The manifest of a package: size and hash of every file."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from monai_app.errors import ConfigError
from monai_app.files import file_sha256, is_not
from monai_app.names import check_file_name

MANIFEST = "manifest.json"
"""File of a package with size and SHA-256 of all others by path."""

FORMAT = 1

SCORES = "eval/"
"""Files that an evaluation writes; all others of a package must stay unchanged."""


class Files(NamedTuple):
    """How the files of an unpacked package compare with what was packed.

    Attributes:
        same: number of unchanged files.
        changed: paths of packed scores that changed or are missing.
    """

    same: int
    changed: list[str]


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size in bytes and SHA-256 of every file below a folder, by its path with ``/``."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for name, path in files.items()}


def write_manifest(folder: Path) -> None:
    """Write the manifest of all files that are in a folder.

    Raises:
        ConfigError: a file name has characters that some systems do not support, or a file is a link.
    """
    for path in sorted(folder.rglob("*")):
        checked_path(path.relative_to(folder).as_posix(), str(folder))
        if path.is_symlink():
            raise ConfigError(f"{path} is a link; replace it by the file, because packages cannot contain links")
    files = {name: entry for name, entry in describe_files(folder).items() if name != MANIFEST}
    content = {"format": FORMAT, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every packed file.

    Raises:
        ConfigError: it is not a package, or its manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        problem = is_not(folder, f"a package (it has no {MANIFEST})")
        raise ConfigError(f"{problem}; create one with monai-app package")
    return parse_manifest(path.read_bytes(), str(path))


def check_files(folder: Path) -> Files:
    """Check that every file of an unpacked package is unchanged.

    Later files, such as scores on other stacks, are ignored. Packed scores may have changed, because evaluating an
    unpacked package replaces them.

    Raises:
        ConfigError: another file is missing or changed.
    """
    files = read_manifest(folder)
    changed = []
    for name, expected in files.items():
        path = folder / checked_path(name, str(folder))
        there = path.is_file() and not path.is_symlink()
        same = there and path.stat().st_size == expected["bytes"] and file_sha256(path) == expected["sha256"]
        if name.startswith(SCORES) and not same:
            changed.append(name)
        elif not there:
            raise ConfigError(f"{path} is listed in {MANIFEST} but missing or a link; unpack the package again")
        elif not same:
            raise ConfigError(f"{path} is not the file that was packed: its SHA-256 differs; unpack the package again")
    return Files(len(files) - len(changed), changed)


def parse_manifest(content: bytes, where: str) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file by its path, from the bytes of a manifest.

    Raises:
        ConfigError: it is damaged, or of another format; ``where`` names it in messages.
    """
    try:
        document = json.loads(content)
        version, files = document["format"], document["files"]
        valid = all(
            type(one["bytes"]) is int and one["bytes"] >= 0 and isinstance(one["sha256"], str) for one in files.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        version, files, valid = FORMAT, {}, False
    if not valid:
        raise ConfigError(f"{where}: the manifest is damaged; download the package again")
    if version != FORMAT:
        raise ConfigError(f"{where} has format {version}, but this version reads {FORMAT}; use a newer monai-app")
    return {checked_path(name, where): dict(one) for name, one in files.items()}


def checked_path(name: str, package: str) -> str:
    """Return a path of a package; refuse one that could lead out of its folder on any system.

    Raises:
        ConfigError: it could lead out; ``package`` names the package in messages.
    """
    try:
        for part in name.split("/"):
            check_file_name(part, "name")
    except ConfigError:
        raise ConfigError(
            f"{package}: the name {name!r} leads out of the folder or is not valid on every system"
        ) from None
    return name
