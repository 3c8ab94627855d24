"""The image files below given paths, by folder."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from monai_app.errors import ConfigError, StackError
from monai_app.io.opening import natural_order
from monai_app.io.registry import Format, find_format, suffixes
from monai_app.stack.ngff.own import find_own

_DEEPEST = 3
"""Levels of folders that are searched below a path."""


def list_images(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Folder -> its image files in natural order; a format whose "files" are folders counts as one.

    Hidden files, stores of this package and files of no known format are none.

    Raises:
        ConfigError: a path does not exist.
        StackError: there is no image.
    """
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; give folders or files with images")
        for file in _images([path], _DEEPEST, set()):
            files = found.setdefault(file.parent, [])
            if file not in files:
                files.append(file)
    if not found:
        raise StackError(
            f"{', '.join(map(str, paths))}: no image file ({suffixes()}) found; give the folder of the images"
        )
    return {folder: natural_order(files) for folder, files in found.items()}


def _images(entries: Iterable[Path], levels: int, seen: set[Path]) -> Iterator[Path]:
    """The images among some entries and below them; a folder that links lead to again counts once."""
    for entry in entries:
        form = find_format(entry)
        if form is not None and _is_one(entry, form):
            yield entry
        elif entry.is_dir() and levels and entry.resolve() not in seen and not _is_store(entry):
            seen.add(entry.resolve())
            inside = sorted(each for each in entry.iterdir() if not each.name.startswith("."))
            yield from _images(inside, levels - 1, seen)


def _is_one(path: Path, form: Format) -> bool:
    return path.is_dir() and not _is_store(path) if form.folder else path.is_file()


def _is_store(path: Path) -> bool:
    """Whether this package wrote a folder, as a stack."""
    try:
        return "slice_names" in (find_own(path, "") or {})
    except (OSError, StackError):
        return (path / "zarr.json").is_file() and find_format(path) is None
