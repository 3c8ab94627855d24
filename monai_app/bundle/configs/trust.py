"""Which bundles may be evaluated: those that run only what the package's bundles run, and those that the user trusts.

A config is code: MONAI calls whatever it names as ``_target_`` and evaluates every string that starts with ``$``, and
even a harmless target can overwrite any file if its path is changed. Whether code is harmless cannot be decided by
inspection. So what a bundle would run is reduced to one document without numbers and settings, which must equal that of
a bundle of the package, or be signed.
"""

import hashlib
import json
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from monai_app.bundle.configs import signatures
from monai_app.bundle.configs.applied import AUTOMATIC, KEPT
from monai_app.bundle.configs.plain import commands, is_plain, parse_config
from monai_app.bundle.configs.settings import SEPARATOR
from monai_app.bundle.configs.templates import template_paths
from monai_app.bundle.configs.training_settings import TrainingSettings
from monai_app.errors import ConfigError
from monai_app.temporary import temporary_folder

CONFIG_SUFFIXES = (".yaml", ".yml", ".json", ".conf")
CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so")
OUTPUT, CACHE = "eval", "__pycache__"
"""Folders of results and of compiled code. Python imports nothing from the first unless it is a package."""

METADATA = "metadata.json"

FROM_STACK = ("phases", "scaling", "dtype", "trained_on", "training_stacks", "pretrained")
FREE = {*TrainingSettings.model_fields, *FROM_STACK, *KEPT, "continues"}
"""Ids whose plain values are free, as are the network's settings."""

_OTHER_FILE = re.compile(r"%.*\.(json|ya?ml)", re.IGNORECASE)
"""A MONAI macro that inserts a part of another file, which was not checked."""

_SHOWN = 6

Content = Mapping[str, bytes | Path]
"""Files by their paths in the bundle; a link is the path that it leads to."""

_short = reprlib.Repr()
_short.maxstring, _short.maxdict, _short.maxlist, _short.maxlevel = 60, 3, 3, 2


def check_trusted(bundle: Path, name: Path | None = None, remedy: str | None = None) -> None:
    """Check that a bundle runs only what the package's bundles run, with any settings, or that the user trusts it.

    Args:
        bundle: its folder.
        name: its name in the error message; None means the folder.
        remedy: the remedy in the error message; None suggests ``monai-app trust``.

    Raises:
        ConfigError: it is neither (the message names the differences), or a config is invalid.
        OSError: a folder cannot be read.
    """
    _check(bundle, read_content(bundle), name or bundle, remedy)


@contextmanager
def trusted_copy(bundle: Path) -> Iterator[Path]:
    """Yield a temporary copy of a trusted bundle's configs and code, so that exactly what was checked is evaluated.

    Raises:
        ConfigError: it is not trusted, see `check_trusted`.
    """
    content = read_content(bundle)
    _check(bundle, content, bundle, None)
    with temporary_folder("configs") as folder:
        for name, data in content.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, Path):
                path.symlink_to((bundle / name).parent / data)
            else:
                path.write_bytes(data)
        yield folder


def sign(bundle: Path) -> None:
    """Record that the user trusts what a bundle runs now, if that is more than the package's bundles run."""
    reduced = _reduced(bundle, read_content(bundle))
    if not _is_own(reduced):
        signatures.sign(_as_bytes(reduced))


def is_signed(bundle: Path) -> bool:
    """Whether the user trusts what a bundle runs; ConfigError if a config is invalid."""
    return signatures.is_signed(_as_bytes(_reduced(bundle, read_content(bundle))))


def differences(bundle: Path) -> list[str]:
    """Return the differences between a bundle and the most similar one of the package, one line each."""
    return _differences(_reduced(bundle, read_content(bundle)))


def changes_of_inference(config: Mapping[str, Any]) -> list[str]:
    """Return the differences between an ``inference.yaml`` and the most similar one of the package, one line each."""
    reduced, file = _without_settings(config), "configs/inference.yaml"
    return _fewest([_changed(own[file], reduced, file) for own in _own()])


def read_content(bundle: Path) -> Content:
    """Read all that a run may evaluate or import: configs, Python code and links."""
    content: dict[str, bytes | Path] = {}
    unseen = set() if any((bundle / OUTPUT).glob("__init__.*")) else {OUTPUT}
    for path in sorted(_everything(bundle)):
        name, suffix = path.relative_to(bundle), path.suffix.lower()
        config = name.parts[0] == "configs" and suffix in CONFIG_SUFFIXES
        code = suffix in CODE_SUFFIXES and name.parts[0] not in unseen and CACHE not in name.parts
        if path.is_symlink():
            content[name.as_posix()] = path.readlink()
        elif path.is_file() and (config or code):
            content[name.as_posix()] = path.read_bytes()
    return content


def _everything(bundle: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(bundle, onerror=refuse):
        yield from (Path(folder) / name for name in (*folders, *files))


def _check(bundle: Path, content: Content, name: Path, remedy: str | None) -> None:
    found = _reduced(bundle, content)
    if _is_own(found) or signatures.is_signed(_as_bytes(found)):
        return
    lines = _differences(found)
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    remedy = remedy or f"a bundle is code: review it, and run `monai-app trust {name}` if you trust it"
    differences = "\n  ".join([*lines[:_SHOWN], *more])
    raise ConfigError(
        f"{name} runs code that no bundle of this package has, and is not trusted on this machine; {remedy}:\n  "
        f"{differences}"
    )


def _as_bytes(reduced: Mapping[str, Any]) -> bytes:
    return json.dumps(reduced, sort_keys=True).encode()


def _reduced(bundle: Path, content: Content) -> dict[str, Any]:
    """Return what a bundle would run: its configs without numbers and settings, hashes of code, targets of links."""
    reduced: dict[str, Any] = {}
    for name, data in content.items():
        if isinstance(data, Path):
            reduced[name] = f"a link to {data}"
        elif not name.endswith((".yaml", ".yml", ".json")):
            reduced[name] = f"a file with the SHA-256 {hashlib.sha256(data).hexdigest()}"
        else:
            config = parse_config(data, bundle / name)
            executed = dict(commands(config))
            for place, text in executed.items():
                if isinstance(text, str) and _OTHER_FILE.match(text):
                    raise ConfigError(
                        f"{bundle / name}: {place} reads another file ({text}); insert its content instead"
                    )
            reduced[name] = executed if Path(name).name == METADATA else _without_settings(config)
    return reduced


def _without_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    network = config.get("network_settings")
    names = FREE | (network.keys() if isinstance(network, dict) else set())
    return {
        name: "a setting" if name in names and _is_free(name, value) else _numberless(value)
        for name, value in config.items()
    }


def _is_free(name: str, value: Any) -> bool:
    return is_plain(value) or (name, value) in _COMPUTED


_COMPUTED = (
    ("amp", "$torch.device(@device).type == 'cuda'"),
    ("device", AUTOMATIC),
)
"""Values that the bundles compute by default."""


def _numberless(value: Any) -> Any:
    """Replace every number, and every list of numbers of any length, by 0."""
    if isinstance(value, dict):
        return {key: _numberless(inner) for key, inner in value.items()}
    if isinstance(value, list):
        inner = [_numberless(each) for each in value]
        return [0] if inner and all(type(each) is int for each in inner) else inner
    return 0 if type(value) in (int, float) else value


def _is_own(reduced: Mapping[str, Any]) -> bool:
    return _as_bytes(reduced) in map(_as_bytes, _own())  # as bytes, because 0 equals False


@cache
def _own() -> list[dict[str, Any]]:
    return [_reduced(path, read_content(path)) for path in template_paths()]


def _differences(found: Mapping[str, Any]) -> list[str]:
    return _fewest([_changed(own, found) for own in _own()])


def _fewest(candidates: Sequence[Iterator[tuple[str, str]]]) -> list[str]:
    return min(([f"{place} {what}" for place, what in each] for each in candidates), key=len)


def _changed(own: Any, found: Any, *place: str) -> Iterator[tuple[str, str]]:
    """Yield the id and kind of every difference between two documents."""
    if isinstance(own, dict) and isinstance(found, dict):
        for key in sorted({*own, *found}):
            if key in own and key in found:
                yield from _changed(own[key], found[key], *place, key)
            else:
                yield _named(*place, key), f"is added: {_short.repr(found[key])}" if key in found else "is removed"
    elif isinstance(own, list) and isinstance(found, list) and len(own) == len(found):
        for index, pair in enumerate(zip(own, found, strict=True)):
            yield from _changed(*pair, *place, str(index))
    elif own != found or type(own) is not type(found):
        yield _named(*place), f"is {_short.repr(found)} instead of {_short.repr(own)}"


def _named(file: str, *place: str) -> str:
    return f"{file}: {SEPARATOR.join(place)}" if place else file
