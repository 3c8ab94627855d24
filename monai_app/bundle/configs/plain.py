"""Configs as data: what MONAI reads from a file, and which parts of it are code."""

import copy
import json
import locale
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from monai_app.bundle.configs.settings import SEPARATOR
from monai_app.errors import ConfigError
from monai_app.yamlfile import check_extent, is_huge


def read_config(path: Path) -> dict[str, Any]:
    """Read a config file of plain JSON or YAML without evaluating it; see `parse_config`."""
    return parse_config(path.read_bytes(), path)


def parse_config(content: bytes, path: Path) -> dict[str, Any]:
    """Parse a config of plain JSON or YAML: strings, numbers, lists and mappings, without anchors and tags.

    Args:
        content: of the file.
        path: its name; the suffix determines the format.

    Raises:
        ConfigError: it is anything else.
    """
    try:
        text = content.decode("utf8")
        document = json.loads(text) if path.suffix == ".json" else _read_yaml(text, str(path))
        if not isinstance(document, dict):
            raise ValueError(f"it contains a {type(document).__name__} instead of names and values")
        _check_kinds(document)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not a valid config ({error}); restore it from a copy") from None
    if not text.isascii() and "utf" not in locale.getpreferredencoding(False).lower():
        raise ConfigError(f"{path} is UTF-8, but MONAI reads it in the locale's encoding; set LC_ALL=C.UTF-8")
    return document


def is_plain(value: Any) -> bool:
    """Whether a value is plain data, of which MONAI neither calls, evaluates nor looks up anything."""
    return not any(True for _ in commands(value))


def commands(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield id and value of everything in a config that MONAI would call, evaluate, look up or load from a file."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            inside = f"{place}{SEPARATOR}{key}" if place else str(key)
            if isinstance(key, str) and key.startswith(("_", "+", "$", "@", "%")):
                yield inside, inner
            yield from commands(inner, inside)
    elif isinstance(value, str) and value.startswith(("$", "@", "%")):
        yield place, value


class _PlainLoader(yaml.SafeLoader):
    """Reads what MONAI's reader does, but refuses anchors and tags."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ValueError("it has anchors or tags")
        return super().compose_node(parent, index)


def _read_yaml(text: str, source: str) -> Any:
    check_extent(text, source)
    return copy.deepcopy(_load(text))


@lru_cache(maxsize=64)
def _load(text: str) -> Any:
    """Parse a document once: commands read the same few configs many times, and parsing is slow."""
    return yaml.load(text, Loader=_PlainLoader)


def _check_kinds(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or "#" in key:
                raise ValueError(f"the name {key!r} is not a string, or contains '#'")
            _check_kinds(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_kinds(inner)
    elif is_huge(value):
        raise ValueError("a number is too long")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{value!r} is a {type(value).__name__}")
