"""A folder with its manifest as a zip file, unpacked only if every file matches the manifest."""

import hashlib
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from monai_app.bundle.packages.manifest import MANIFEST, checked_path, parse_manifest, read_manifest
from monai_app.errors import ConfigError
from monai_app.files import atomic_directory, atomic_file
from monai_app.stack.places import check_outside_stores

_TIME = (1980, 1, 1, 0, 0, 0)
"""Time of every file in a zip file, constant so that the same files yield the same bytes."""

_STEP = 1 << 20

_MOST = 1 << 20
"""Maximum bytes of a manifest."""

_RATIO, _SMALL = 200, 64 << 20
"""Maximum ratio of the unpacked size to that of the zip file, and the bytes that are allowed in any case.

Pixels and weights hardly compress, whereas zip bombs compress a thousandfold.
"""

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, OverflowError, MemoryError),
)
"""What `zipfile` raises if bytes are changed: versions, encryption and methods that it does not know are RuntimeErrors,
names that cannot be decoded ValueErrors, sizes beyond any file the last two."""


def pack(folder: Path, target: Path, root: str) -> None:
    """Write a folder with its manifest to a zip file, below a folder named ``root``.

    The same files yield the same bytes.
    """
    with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", _TIME)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, _STEP)


def unpack(package: Path, target: Path, *, overwrite: bool = False) -> None:
    """Unpack a package to a folder, which appears only if every file is unchanged.

    Names that lead out of the folder, links, unlisted files and files larger than listed are refused before the folder
    appears.

    Raises:
        ConfigError: it is not a package, damaged, or tampered with.
        TargetExistsError: the folder exists and may not be replaced.
    """
    check_outside_stores(target)
    if overwrite and (target / MANIFEST).is_file():
        read_manifest(target)  # other folders have files of this name, too, and are not replaced
    with _opened(package) as archive, atomic_directory(target, MANIFEST, overwrite=overwrite) as partial:
        entries = _entries(archive, str(package))
        if MANIFEST not in entries:
            raise ConfigError(f"{package} is not a package (it has no {MANIFEST}); create one with monai-app package")
        manifest = b"".join(_parts(archive, entries.pop(MANIFEST), _MOST, str(package)))
        files = parse_manifest(manifest, str(package))
        _check_size(files, package, partial)
        differing = sorted(set(files) ^ set(entries))
        if differing:
            raise ConfigError(f"{package}: {differing[0]!r} is not both packed and listed; download the package again")
        for name, expected in files.items():
            _extract(archive, entries[name], partial / name, expected, str(package))
        (partial / MANIFEST).write_bytes(manifest)


def _check_size(files: Mapping[str, Mapping[str, Any]], package: Path, target: Path) -> None:
    total = sum(one["bytes"] for one in files.values())
    if total > _RATIO * package.stat().st_size + _SMALL:
        raise ConfigError(f"{package} would unpack to {total / 1e6:.0f} MB, far more than models do; download it again")
    if total > shutil.disk_usage(target).free:
        raise ConfigError(
            f"{package} unpacks to {total / 1e6:.0f} MB, which exceeds the free disk space; free some space"
        )


def _opened(package: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(package)
    except FileNotFoundError:
        raise ConfigError(f"{package} does not exist; give the path of a package") from None
    except _DAMAGE as error:
        raise ConfigError(
            f"{package} is not a zip file ({error}); give a package written by monai-app package"
        ) from None


def _entries(archive: zipfile.ZipFile, package: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a package by their path below its single folder."""
    entries: dict[str, zipfile.ZipInfo] = {}
    roots: set[str] = set()
    for entry in archive.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir():
            continue
        if kind not in (0, stat.S_IFREG) or entry.flag_bits & 1:
            raise ConfigError(f"{package}: {entry.filename!r} is a link, a device or encrypted; it is not unpacked")
        root, _, name = checked_path(entry.filename, package).partition("/")
        roots.add(root)
        if not name or name in entries or len(roots) > 1:
            raise ConfigError(f"{package}: {entry.filename!r} is packed twice or outside the folder; download it again")
        entries[name] = entry
    for name in entries:
        if any(str(folder) in entries for folder in PurePosixPath(name).parents):
            raise ConfigError(f"{package}: {name!r} is inside a file instead of a folder; download it again")
    return entries


def _extract(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, expected: Mapping[str, Any], package: str
) -> None:
    content = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as sink:
        for part in _parts(archive, entry, expected["bytes"], package):
            content.update(part)
            sink.write(part)
    if content.hexdigest() != expected["sha256"] or path.stat().st_size != expected["bytes"]:
        raise ConfigError(f"{package}: {entry.filename!r} is not the file that was packed; download the package again")


def _parts(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int, package: str) -> Iterator[bytes]:
    """Yield a file's content; refuse more than its listed size."""
    read = 0
    try:
        with archive.open(entry) as source:
            while part := source.read(_STEP):
                read += len(part)
                if read > most:
                    raise ConfigError(
                        f"{package}: {entry.filename!r} is larger than listed; download the package again"
                    )
                yield part
    except ConfigError:
        raise
    except _DAMAGE as error:
        raise ConfigError(f"{package} is damaged at {entry.filename!r} ({error}); download the package again") from None
