"""Where the bundles and configs are: next to the package in a checkout, inside it in an installed wheel."""

import hashlib
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError
from monai_app.files import is_not
from monai_app.yamlfile import read_yaml

DEFAULT_BUNDLE = "fibsem_unet_segmentation"

NO_SIZE = "none"
"""Name of the size that keeps the bundle's own settings."""

_PACKAGE = Path(__file__).resolve().parents[2]


def _root(kind: str) -> Path:
    """Return the folder of ``"bundles"`` or ``"configs"``."""
    installed = _PACKAGE / "share" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def template_path(name: str) -> Path:
    """Return the folder of a bundle that comes with the package.

    Raises:
        ConfigError: there is no bundle of that name.
    """
    return _one_of(_root("bundles"), name, name, "bundle")


def template_paths() -> list[Path]:
    """Return the folders of all bundles that come with the package."""
    return [_root("bundles") / name for name in _names(_root("bundles"))]


def find_bundle(given: str) -> Path:
    """Return the folder of a bundle: a user's bundle by its path, or one that comes with the package by its name.

    Raises:
        ConfigError: it is neither.
    """
    path = Path(given).absolute()
    if (path / "configs" / "inference.yaml").is_file():
        return path
    known = [template.name for template in template_paths()]
    if given in known:
        return template_path(given)
    raise ConfigError(
        f"{is_not(Path(given), 'a bundle (it has no configs/inference.yaml)')}; give a run folder of monai-app train, "
        f"or one of {', '.join(known)} to start without a model"
    )


def template_digest(template: Path) -> str:
    """Return a hash of a bundle's configs; a run folder records that of its template."""
    digest = hashlib.sha256()
    for path in sorted((template / "configs").iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def config_path(kind: str, name: str) -> Path:
    """Return a file of ``configs/<kind>/``, e.g. ``config_path("variants", "unet_ice_1")``.

    Raises:
        ConfigError: there is no such file.
    """
    return _one_of(_root("configs") / kind, f"{name}.yaml", name, kind.split("/")[0].removesuffix("s"))


def config_names(kind: str) -> list[str]:
    """Return the names of all files of ``configs/<kind>/``, sorted."""
    return _names(_root("configs") / kind)


def size_path(bundle: str, size: str) -> Path:
    """Return the settings file of a bundle's size, ``"small"`` or ``"paper"``; ConfigError if there is none."""
    template_path(bundle)
    return config_path(f"sizes/{bundle}", size)


def size_overlays(bundle: str, size: str) -> list[Path]:
    """Return the overlays of a size: its settings file, or nothing for ``"none"``; ConfigError if there is none."""
    return [] if size == NO_SIZE else [size_path(bundle, size)]


def tiny_settings(bundle: str) -> dict[str, Any]:
    """Return settings of a bundle's network with which a check trains in seconds.

    Raises:
        ConfigError: there is no such network in ``configs/networks/``.
    """
    network = bundle.removeprefix("fibsem_").removesuffix("_segmentation")
    settings: dict[str, Any] = read_yaml(config_path("networks", network))["about"]["tiny"]
    return settings


def _names(folder: Path) -> list[str]:
    return sorted({path.stem for path in folder.iterdir() if not path.name.startswith(("_", "."))})


def _one_of(folder: Path, entry: str, name: str, what: str) -> Path:
    known = _names(folder)
    if name not in known:
        raise ConfigError(f"no {what} {name!r}: choose one of {', '.join(known)}")
    return folder / entry
