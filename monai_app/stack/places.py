"""Check that results are written outside of stores."""

from collections.abc import Mapping
from pathlib import Path

from monai_app.errors import ConfigError
from monai_app.files import check_file_target


def check_outside_stores(target: Path) -> None:
    """Refuse a place inside a store: there it would be taken for a part of it, and replaced with it.

    Raises:
        ConfigError: one of the folders that the target lies in is a Zarr store.
    """
    for folder in reversed(target.resolve().parents):
        if (folder / "zarr.json").is_file():
            raise ConfigError(f"{target} lies in the store {folder}; choose a place outside it")


def check_targets(targets: Mapping[str, Path | None], *, overwrite: bool) -> None:
    """Refuse early what could not be written.

    Args:
        targets: suffix -> the file that is to be written, or None.
        overwrite: replace existing files.

    Raises:
        ConfigError: a file's name ends otherwise, it lies in a store, or it is a folder.
        TargetExistsError: it exists, and ``overwrite`` is false.
    """
    for suffix, target in targets.items():
        if target is None:
            continue
        if target.suffix.lower() != suffix or target.is_dir():
            kind = "is a folder" if target.is_dir() else f"does not end in {suffix}"
            raise ConfigError(f"{target} {kind}; name a file NAME{suffix}")
        check_outside_stores(target)
        check_file_target(target, overwrite=overwrite)
