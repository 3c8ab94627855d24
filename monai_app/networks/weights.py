"""Weights on disk: read without running code, and loaded only if all of them fit."""

import json
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, NamedTuple

import torch
from torch import nn

from monai_app.errors import ConfigError
from monai_app.files import atomic_file, file_sha256
from monai_app.networks.metadata import change_metadata, metadata_of
from monai_app.origin import Origin, read_once

_STEP = 1 << 20
"""Bytes that are compared with a checksum at a time."""

CHECKSUMS = "checksums"
"""Entry of a bundle's metadata.json: file -> its SHA-256, or two, of which one is about to take the other's place."""

_NAMED = 6
"""Keys that a message names before it counts the rest."""


class Weights(NamedTuple):
    """A state dict as it was read.

    Attributes:
        state: name to tensor.
        origin: the file as it was read.
    """

    state: dict[str, Any]
    origin: Origin


def save_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint atomically.

    Raises:
        StorageError: the disk is full or read-only.
    """
    # Given a path, torch writes by itself, and its error says nothing of the disk.
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def save_weights(state: Mapping[str, Any], path: Path) -> None:
    """Write a bundle's weights, and their SHA-256 into its metadata.json; a kill at any moment leaves the two agreeing.

    Raises:
        StorageError: the disk is full or read-only.
    """
    with atomic_file(path) as temporary:
        with temporary.open("wb") as file:
            torch.save(state, file)
        new = file_sha256(temporary)
        _record(path, [new, *([file_sha256(path)] if path.is_file() else [])])
    _record(path, [new])


def record_checksum(path: Path) -> None:
    """Write the SHA-256 of a bundle's weights, as they are, into its metadata.json."""
    _record(path, [file_sha256(path)])


def _record(path: Path, hashes: list[str]) -> None:
    def add(document: dict[str, Any]) -> dict[str, Any]:
        return {CHECKSUMS: {**document.get(CHECKSUMS, {}), _name(path): hashes}}

    if metadata_of(path).is_file():
        change_metadata(path, add)


def recorded_checksums(path: Path) -> set[str]:
    """Return what the metadata.json of its bundle says that a file's SHA-256 may be; empty if it says nothing."""
    try:
        document = json.loads(metadata_of(path).read_text(encoding="utf8"))
        return set(document[CHECKSUMS][_name(path)])
    except (OSError, ValueError, KeyError, TypeError):  # errors are reported where it is needed
        return set()


def _name(path: Path) -> str:
    return "/".join(path.absolute().parts[-2:])


def read_weights(path: Path | str) -> Weights:
    """Read a file of weights once: what is loaded is what is hashed, also where the file is replaced meanwhile.

    Raises:
        ConfigError: see `read_checkpoint`; or the metadata.json of its bundle names other weights.
    """
    recorded = recorded_checksums(Path(path))
    try:
        content, origin = read_once(Path(path))
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); change its permissions, or give another file"
        ) from error
    weights = Weights(_parsed(BytesIO(content), path), origin)
    if recorded and origin.sha256 not in recorded | recorded_checksums(Path(path)):  # a training may just have saved
        raise ConfigError(
            f"{path} contains weights other than those named in its bundle's metadata.json, as after copying them "
            "from another model; restore the right ones, or, if they are intended, confirm them with `monai-app "
            "verify --add-checksums` of the run folder"
        )
    return weights


def read_checkpoint(path: Path | str, *, mapped: bool = False) -> dict[str, Any]:
    """Read a checkpoint that holds tensors, numbers and texts; anything that would run code is refused.

    Args:
        path: the file.
        mapped: leave tensors on disk until they are accessed, if only numbers and strings are needed.

    Raises:
        ConfigError: it is missing, damaged, or holds something else.
    """
    try:
        return _parsed(Path(path), path, mapped=mapped)
    except FileNotFoundError:
        raise _missing(path) from None


def _missing(path: Path | str) -> ConfigError:
    return ConfigError(f"{path} does not exist; train first, or give the run folder's own weights")


def _parsed(source: Path | IO[bytes], path: Path | str, *, mapped: bool = False) -> dict[str, Any]:
    try:
        check_records(source, texts_only=mapped)
        state = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError:
        raise
    except UnpicklingError as error:
        raise ConfigError(
            f"{path} is damaged, or contains more than tensors, numbers and strings and would run code when loaded "
            f"({str(error).splitlines()[0]}); save a plain state dict, or restore it from a copy"
        ) from error
    except Exception as error:  # of whatever kind the unpickler stumbles with over damage
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}: {error}); train again, or restore it from a copy"
        ) from error
    if not isinstance(state, dict):
        raise ConfigError(
            f"{path} holds a {type(state).__name__}, but weights are a state dict (name to tensor); save one"
        )
    return state


def check_records(source: Path | IO[bytes], *, texts_only: bool = False) -> None:
    """Compare the records of a file that torch wrote with their checksums, which torch itself never looks at.

    Files in torch's format of before 2020 have none.

    Args:
        source: the file, a zip, or its content.
        texts_only: leave out the tensors.

    Raises:
        BadZipFile, OSError, ValueError: a record is damaged, or the file is.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        start = file.read(2)
        file.seek(0)
        if start != b"PK":
            return
        with zipfile.ZipFile(file) as archive:
            for record in archive.infolist():
                if texts_only and "/data/" in record.filename:
                    continue
                with archive.open(record) as content:
                    while content.read(_STEP):
                        pass
        file.seek(0)


def load_weights(network: nn.Module, path: Path | str) -> Origin:
    """Load a flat state dict into a network in which every key must have its place, of the same shape.

    Returns:
        The file as it was read.

    Raises:
        ConfigError: it cannot be read, or does not fit; the keys are named.
    """
    weights = read_weights(path)
    check_fit(network, weights.state, str(path))
    network.load_state_dict(weights.state, strict=True)
    return weights.origin


def check_fit(network: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Check that a state dict has all keys of a network, no others, and their shapes.

    Raises:
        ConfigError: naming the keys that are missing, unknown or of another shape.
    """
    own = network.state_dict()
    wrong = {
        "missing": [key for key in own if key not in state],
        "unknown": [key for key in state if key not in own],
        "of another shape": [
            f"{key} {_shape(state[key])} instead of {_shape(own[key])}"
            for key in own
            if key in state and _shape(state[key]) != _shape(own[key])
        ],
    }
    problems = "; ".join(f"{what}: {_listed(keys)}" for what, keys in wrong.items() if keys)
    if problems:
        raise ConfigError(f"{name} does not fit the network ({problems}); use the weights of this run folder")


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
