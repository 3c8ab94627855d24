"""What a bundle from elsewhere may do: what this package's own bundles do, with other settings, and nothing else.

A config is code: MONAI calls whatever it names as ``_target_`` and evaluates every text that begins with ``$``, and a
harmless target with another path overwrites any file. What is harmless cannot be told from a text, so a bundle's
configs are compared with those of the package, place by place: they may differ in settings, which are plain values.
"""

import json
import locale
import logging
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from monai_app.bundle.configs.locate import template_paths
from monai_app.bundle.configs.settings import SEPARATOR
from monai_app.errors import ConfigError

PLACES = (
    "bundle_root",
    "cluster",
    "dataset_dir",
    "labels_name",
    "mask",
    "models_dir",
    "output_dir",
    "overwrite",
    "preview",
    "save_execute_config",
    "tiff_dir",
)
"""Ids that say where is read, written and computed: the command line may set them, a bundle may not."""

CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so")

METADATA = "metadata.json"

LOSSES = {
    "DiceCELoss",
    "DiceFocalLoss",
    "DiceLoss",
    "FocalLoss",
    "GeneralizedDiceFocalLoss",
    "GeneralizedDiceLoss",
    "TverskyLoss",
    "torch.nn.CrossEntropyLoss",
}
"""Terms of a loss that anyone may choose: they compute from pixels and settings, and do nothing else."""


def check_trusted(bundle: Path, *, trust: bool = False) -> None:
    """Check that a bundle does nothing that the package's own bundles don't.

    Args:
        bundle: folder of the bundle; all its configs are looked at, whichever is run.
        trust: the user trusts the bundle; what would be refused is logged instead.

    Raises:
        ConfigError: something in a config that is no setting and differs from the package's bundles, an unknown config,
            a link, or a file of code; naming it.
        OSError: a folder cannot be read.
    """
    for problem in _foreign(bundle):
        if not trust:
            raise ConfigError(
                f"{problem}, as in none of this package's bundles. A bundle is code: read it, and give --trust if you "
                "trust where it comes from"
            )
        logging.getLogger(__name__).warning("trusted: %s", problem)


def _foreign(bundle: Path) -> Iterator[str]:
    """Yield what a bundle would do that is not known."""
    for path in _everything(bundle):
        if path.is_symlink():
            yield f"{path} is a link, which may lead anywhere"
        elif path.suffix.lower() in CODE_SUFFIXES:  # MONAI puts the bundle on Python's path, where it hides others
            yield f"{path} is code that MONAI would find"
    for path in sorted((bundle / "configs").iterdir()):
        if path.name not in _own() or not path.is_file():
            yield f"{path} is no config that is known; remove it"
        elif path.suffix == ".conf":
            if path.read_bytes() not in _own()[path.name]:
                yield f"{path} differs"
        elif path.name == METADATA:
            yield from (f"{path} says {value!r} at {place}" for place, value in _commands(read_config(path)))
        else:
            found = read_config(path)
            # Of the bundle that it comes from; of another one it differs more.
            yield from min((list(_differences(path, own, found)) for own in _own()[path.name]), key=len)


def _everything(bundle: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(bundle, onerror=refuse):
        yield from (Path(folder) / name for name in sorted((*folders, *files)))


@cache
def _own() -> Mapping[str, list[Any]]:
    """The contents of the package's own configs, by their file names."""
    own: dict[str, list[Any]] = {}
    for path in sorted(path for bundle in template_paths() for path in (bundle / "configs").iterdir()):
        own.setdefault(path.name, []).append(path.read_bytes() if path.suffix == ".conf" else read_config(path))
    return own


def _differences(path: Path, own: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a config is no setting and differs from the package's own."""
    for name in sorted({*own, *found}):
        if name not in own:
            yield f"{path} has {found[name]!r} at {name}"
        elif name not in found:
            yield f"{path} lacks {name}"
        elif name == "loss" and _is_known_loss(own[name], found[name]):
            continue
        elif name in PLACES or not (is_plain(found[name]) and may_be_set(own[name])):
            for place, value in _changed(own[name], found[name], name):
                yield f"{path} has {value!r} at {place}"


def _is_known_loss(own: Any, found: Any) -> bool:
    """Whether a loss is of known terms with plain settings, and of the bundle's own weights or others."""
    if not isinstance(found, dict) or found.keys() != own.keys() or found["_target_"] != own["_target_"]:
        return False
    terms, weights = found["terms"], found["weights"]
    if not isinstance(terms, list) or not all(isinstance(term, dict) for term in terms):
        return False
    settings = [{name: value for name, value in term.items() if name != "_target_"} for term in terms]
    known = all(term.get("_target_") in LOSSES for term in terms)
    return known and is_plain(settings) and (is_plain(weights) or weights == own["weights"])


def may_be_set(own: Any) -> bool:
    """Whether a value of the package's bundles is a setting: plain, or worked out by an expression."""
    return is_plain(own) or (isinstance(own, str) and own.startswith("$"))


def is_plain(value: Any) -> bool:
    """Whether a value is data: MONAI neither calls, evaluates nor looks up any of it."""
    return not any(True for _ in _commands(value))


def _commands(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield id and value of everything in a config that MONAI would call, evaluate, look up or read from elsewhere."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            inside = f"{place}{SEPARATOR}{key}" if place else str(key)
            if isinstance(key, str) and key.startswith(("_", "+", "$", "@", "%")):
                yield inside, inner
            yield from _commands(inner, inside)
    elif isinstance(value, str) and value.startswith(("$", "@", "%")):
        yield place, value


def _changed(own: Any, found: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield id and value of what differs inside something that is no setting; numbers may be others."""
    if isinstance(own, dict) and isinstance(found, dict) and own.keys() == found.keys():
        for key in own:
            yield from _changed(own[key], found[key], f"{place}{SEPARATOR}{key}")
    elif isinstance(own, list) and isinstance(found, list) and len(own) == len(found):
        for index, (one, other) in enumerate(zip(own, found, strict=True)):
            yield from _changed(one, other, f"{place}{SEPARATOR}{index}")
    elif type(own) is not type(found) or own != found:
        numbers = all(type(value) in (int, float) for value in (own, found))
        if not numbers or place in PLACES:
            yield place, found


def read_config(path: Path) -> dict[str, Any]:
    """Read a config file of plain JSON or YAML: texts, numbers, lists and mappings, without anchors and tags.

    Raises:
        ConfigError: it is something else.
    """
    try:
        text = path.read_text(encoding="utf8")
        content = json.loads(text) if path.suffix == ".json" else _read_yaml(text)
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__} instead of names and values")
        _check_kinds(content)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no valid config ({error}); restore it from a copy") from None
    if not text.isascii() and "utf" not in locale.getpreferredencoding(False).lower():
        raise ConfigError(f"{path} is UTF-8, and MONAI would read it as the locale says; set LC_ALL=C.UTF-8")
    return content


def _read_yaml(text: str) -> Any:
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken | yaml.TagToken):
            raise ValueError("it has anchors or tags")
    return yaml.safe_load(text)


def _check_kinds(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or "#" in key:
                raise ValueError(f"the name {key!r} is no text, or holds '#'")
            _check_kinds(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_kinds(inner)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{value!r} is a {type(value).__name__}")
