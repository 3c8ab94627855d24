"""Weights on the disk: read without running code, loaded only where every one of them fits."""

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
from monai_app.files import atomic_file
from monai_app.origin import Origin, read_once

_STEP = 1 << 20
"""Bytes that are compared with a checksum at a time."""

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
    """Write a checkpoint, whole or not at all.

    Raises:
        StorageError: the disk is full or read-only.
    """
    # Given a path, torch writes by itself, and its error says nothing of the disk.
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def read_weights(path: Path | str) -> Weights:
    """Read a file of weights once: what is loaded is what is hashed, also where the file is replaced meanwhile.

    Raises:
        ConfigError: as `read_checkpoint`.
    """
    try:
        content, origin = read_once(Path(path))
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); allow to read it, or name another file"
        ) from error
    return Weights(_parsed(BytesIO(content), path), origin)


def read_checkpoint(path: Path | str, *, mapped: bool = False) -> dict[str, Any]:
    """Read a checkpoint that holds tensors, numbers and texts; anything that would run code is refused.

    Args:
        path: the file.
        mapped: leave tensors on the disk until they are looked at, for who wants the numbers and texts.

    Raises:
        ConfigError: it is missing, damaged, or holds something else.
    """
    try:
        return _parsed(Path(path), path, mapped=mapped)
    except FileNotFoundError:
        raise _missing(path) from None


def _missing(path: Path | str) -> ConfigError:
    return ConfigError(f"{path} is not there; train first, or name the run folder's own")


def _parsed(source: Path | IO[bytes], path: Path | str, *, mapped: bool = False) -> dict[str, Any]:
    try:
        check_records(source, texts_only=mapped)
        state = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError:
        raise
    except UnpicklingError as error:
        raise ConfigError(
            f"{path} is damaged, or holds more than tensors, numbers and texts and would run code when it is loaded "
            f"({str(error).splitlines()[0]}); save a plain state dict, or restore it from a copy"
        ) from error
    except Exception as error:  # of whatever kind the unpickler stumbles with over damage
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}: {error}); train again, or restore it from a copy"
        ) from error
    if not isinstance(state, dict):
        raise ConfigError(f"{path} holds {type(state).__name__}: weights are a state dict, name to tensor; save that")
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
        raise ConfigError(f"{name} does not fit the network ({problems}); use the weights of this very run folder")


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
