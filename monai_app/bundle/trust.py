"""What a bundle from elsewhere may do: a config is code, and only code that this package's own bundles hold is known.

MONAI calls whatever a config names as ``_target_`` and evaluates every text that begins with ``$``. A run folder is one
of the package's bundles with other settings, that is with other plain values; so its targets and expressions are to be
found in those bundles, word for word, and anything else was put there by somebody.
"""

import json
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from monai_app.bundle.locate import template_paths
from monai_app.bundle.settings import SEPARATOR
from monai_app.errors import ConfigError

NETWORKS = ("AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DynUNet", "SegResNet", "UNet")
"""MONAI's networks that make tensors from tensors and load nothing."""

OPTIMISERS = ("Adam", "AdamW", "NAdam", "RAdam", "SGD", "lr_scheduler.CosineAnnealingLR", "lr_scheduler.OneCycleLR")
"""Optimisers and schedules that a run may take in place of the bundle's."""

PLACES = ("bundle_root", "models_dir", "output_dir", "tiff_dir", "overwrite")
"""Ids that say where is written: a bundle may not point them elsewhere, only the command line may."""

FREE = ("phases", "trained_on", "detectors")
"""Ids whose texts are names and nothing else."""

CONFIG_SUFFIXES = (".yaml", ".yml", ".json")

CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so")

TARGET = "_target_"


def check_trusted(bundle: Path, *, trust: bool = False) -> None:
    """Check that a bundle does nothing that the package's own bundles don't.

    Args:
        bundle: folder of the bundle; all its configs are looked at, whichever is run.
        trust: the user trusts the bundle; what would be refused is logged instead.

    Raises:
        ConfigError: a target, an expression, a place that is written to, a logging configuration or a file of code
            that is not known; naming it.
    """
    for problem in _foreign(bundle):
        if not trust:
            raise ConfigError(
                f"{problem}, as none of this package's bundles does. A bundle is code: read it, and give --trust if "
                "you trust where it comes from"
            )
        logging.getLogger(__name__).warning("trusted: %s", problem)


def _foreign(bundle: Path) -> Iterator[str]:
    """Yield what a bundle would do that is not known."""
    for path in sorted((bundle / "configs").iterdir()):
        if path.suffix in CONFIG_SUFFIXES:
            for place, value in _code(path):
                if (_kind(place), value) not in _known():
                    yield f"{path} says {value!r} at {place}"
        elif path.read_bytes() not in _known_files():
            yield f"{path} configures what MONAI does"
    for path in sorted(bundle.rglob("*")):
        if path.suffix in CODE_SUFFIXES:  # MONAI puts the bundle on Python's path, where it hides other modules
            yield f"{path} is code that MONAI would find"


@cache
def _known() -> frozenset[tuple[str, Any]]:
    """What the package's own configs do, and the harmless targets that may take the place of theirs."""
    names = [f"{prefix}{name}" for name in NETWORKS for prefix in ("", "monai.networks.nets.")]
    known: set[tuple[str, Any]] = {(TARGET, name) for name in [*names, *(f"torch.optim.{name}" for name in OPTIMISERS)]}
    for path in _own_configs():
        if path.suffix in CONFIG_SUFFIXES:
            known |= {(_kind(place), value) for place, value in _code(path)}
    return frozenset(known)


@cache
def _known_files() -> frozenset[bytes]:
    return frozenset(path.read_bytes() for path in _own_configs() if path.suffix not in CONFIG_SUFFIXES)


def _own_configs() -> list[Path]:
    return [path for bundle in template_paths() for path in (bundle / "configs").iterdir() if path.is_file()]


def _code(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the id and value of everything in a config that decides what MONAI does.

    Texts inside components are among it: as a path, one could have a harmless target overwrite any file.
    """
    for place, value in _leaves(read_config(path)):
        text = isinstance(value, str)
        inside = SEPARATOR in place and place.partition(SEPARATOR)[0] not in FREE and path.name != "metadata.json"
        if _kind(place) or (text and (inside or value.startswith(("$", "%")))):
            yield place, value


def _kind(place: str) -> str:
    """What a value at an id is, beside its text: a target, a mode, a place to write to, or nothing of these."""
    parts = place.replace("+", "").split(SEPARATOR)
    marked = {TARGET, "_mode_"}.intersection(parts)
    if marked:
        return marked.pop()
    return parts[0] if parts[0] in PLACES else ""


def _leaves(content: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the id and value of every leaf; ``#`` becomes ``::``, as in MONAI."""
    if isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in pairs:
            inner = str(key).replace("#", SEPARATOR)
            yield from _leaves(value, f"{place}{SEPARATOR}{inner}" if place else inner)
    else:
        yield place, content.replace("#", SEPARATOR) if isinstance(content, str) else content


def read_config(path: Path) -> Any:
    """Read a config file as MONAI does.

    Raises:
        ConfigError: it is no YAML or JSON.
    """
    try:
        text = path.read_text(encoding="utf8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no valid config ({error}); restore it from a copy") from None
