"""Settings of a bundle: read from overlay files and the command line, written to its YAML configs."""

import json
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml as pyyaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from monai_app.domain.validation import shown
from monai_app.errors import ConfigError
from monai_app.yamlfile import parse_yaml, read_yaml

SEPARATOR = "::"
"""Separator of the parts of a config id, as in MONAI: ``train::trainer::max_epochs``."""


def read_overlays(paths: Sequence[Path]) -> dict[str, Any]:
    """Read settings files; each overrides those before it.

    Raises:
        ConfigError: a file is missing, not YAML, or not a mapping.
    """
    settings: dict[str, Any] = {}
    for path in paths:
        content = read_yaml(path)
        if not isinstance(content, dict | None):
            raise ConfigError(
                f"{path} contains a {type(content).__name__}; write a settings file as lines `name: value`"
            )
        settings.update(content or {})
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """Read one ``name=value`` of the command line; the value is YAML.

    Raises:
        ConfigError: there is no ``=``, or the value is not YAML.

    Example:
        >>> parse_setting("crop=[96, 96]")
        ('crop', [96, 96])
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"setting {text!r}: write name=value, such as learning_rate=0.001")
    return name.strip(), parse_yaml(value, f"setting {shown(text)}: {shown(value)}")


def read_json(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object that this package wrote.

    Raises:
        ConfigError: it is missing or damaged, or lacks an entry.
    """
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        missing = [name for name in names if name not in content]
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; restore it from a copy, or create the folder again") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({error}); restore it from a copy, or create it again") from None
    if not isinstance(content, dict) or missing:
        raise ConfigError(f"{path} is damaged (no {', '.join(missing) or 'names'}); restore it from a copy")
    return content


def apply_settings(configs: Sequence[Path], settings: Mapping[str, Any]) -> None:
    """Write settings to YAML configs, keeping comments; each is written to every file that has its id.

    Raises:
        ConfigError: no file has a setting's id.
    """
    check_literal(settings)
    yaml = YAML()
    yaml.version = (1, 1)  # YAML 1.1, as MONAI's reader: 1e-05 is a string there, and a phase named NO is false
    yaml.width = 120
    documents = {path: yaml.load(path) for path in configs}
    for name, value in settings.items():
        holders = [found for found in (_holder(document, name) for document in documents.values()) if found is not None]
        if not holders:
            raise unknown_setting(name, {str(key) for document in documents.values() for key in document})
        last = name.split(SEPARATOR)[-1]
        for holder in holders:
            if holder[last] != value:  # unchanged values keep their form
                holder[last] = _compact(value)
    for path, document in documents.items():
        yaml.dump(document, path)
        _check_read_back(path, settings)


def _compact(value: Any) -> Any:
    """Return a value whose lists of numbers are written on one line."""
    if isinstance(value, Mapping):
        return {name: _compact(inner) for name, inner in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if not all(type(each) in (int, float) for each in value):
        return [_compact(each) for each in value]
    line = CommentedSeq(value)
    line.fa.set_flow_style()
    return line


def unknown_setting(name: str, known: Collection[str]) -> ConfigError:
    """Return the error for an unknown setting, which suggests the most similar one, or lists all."""
    near = get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return ConfigError(f"no setting {name!r} in this bundle: {hint}")


def _check_read_back(path: Path, settings: Mapping[str, Any]) -> None:
    """Check that MONAI's YAML reader reads the settings back unchanged."""
    document = pyyaml.safe_load(path.read_text(encoding="utf8"))
    for name, value in settings.items():
        holder = _holder(document, name)
        found = value if holder is None else holder[name.split(SEPARATOR)[-1]]
        if found != value:
            raise ConfigError(f"setting {name!r}: {value!r} would be read back as {found!r}; write it differently")


def check_literal(value: Any) -> None:
    """Refuse strings that MONAI's config parser would not take literally.

    It replaces every ``#`` by ``::`` and reads a leading ``$``, ``@`` or ``%`` as an expression, reference or macro.

    Raises:
        ConfigError: the message names the string.
    """
    if isinstance(value, Mapping):
        check_literal([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            check_literal(item)
    elif isinstance(value, str) and _is_read(value):
        raise ConfigError(
            f"{value!r}: names in MONAI configs cannot contain '#' or start with '$', '@' or '%'; rename it"
        )


def literally(value: Any) -> Any:
    r"""Write a value so that MONAI's config parser returns it unchanged, see `check_literal`.

    A string that it would interpret becomes an expression that evaluates to the string.

    Example:
        >>> literally({"dataset_dir": "/data/sample #3", "amp": True})
        {'dataset_dir': "$'/data/sample \\x233'", 'amp': True}
    """
    if isinstance(value, Mapping):
        return {key: literally(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [literally(inner) for inner in value]
    if not isinstance(value, str) or not _is_read(value):
        return value
    return "$" + "".join(f"\\x{ord(sign):02x}" if sign in "#$@%" else sign for sign in repr(value))


def _is_read(text: str) -> bool:
    return "#" in text or text.startswith(("$", "@", "%"))


def _holder(document: Any, name: str) -> Any:
    """Return the mapping that contains a config id, or ``None``."""
    *parents, last = name.split(SEPARATOR)
    for parent in parents:
        document = document.get(parent) if isinstance(document, dict) else None
    return document if isinstance(document, dict) and last in document else None
