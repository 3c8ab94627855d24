"""Where results may lie: beside stacks, not inside their stores."""

from pathlib import Path

from monai_app.errors import ConfigError


def check_outside_stores(target: Path) -> None:
    """Refuse a place inside a store: there it would be taken for a part of it, and replaced with it.

    Raises:
        ConfigError: one of the folders that the target lies in is a Zarr store.
    """
    for folder in reversed(target.resolve().parents):
        if (folder / "zarr.json").is_file():
            raise ConfigError(f"{target} lies in the store {folder}; choose a place outside it")
