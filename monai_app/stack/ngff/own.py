"""This package's own metadata of a group, with a checksum of themselves."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from monai_app.errors import StackError
from monai_app.stack.ngff.folder_store import FolderStore

OWN = "monai_app"
"""The one attribute under which this package keeps its own metadata."""

FORMAT = 2
"""Version of the metadata under `OWN`, of a store and of everything in it: since 2 they have a checksum."""

_FORMATS = (1, FORMAT)
_CHECKSUM = "checksum"


def with_checksum(own: Mapping[str, Any]) -> dict[str, Any]:
    """Add the format and the checksum to metadata, as they are written."""
    content: dict[str, Any] = json.loads(json.dumps({**own, "format": FORMAT}))
    return {**content, _CHECKSUM: _checksum(content)}


def write_own(folder: Path, own: Mapping[str, Any], **attributes: Any) -> None:
    """Write our metadata of the group in a folder, and other attributes; those that it has besides stay."""
    group = zarr.open_group(FolderStore(folder), mode="r+")
    group.update_attributes({**attributes, OWN: with_checksum(own)})


def read_own(folder: Path, remedy: str) -> dict[str, Any] | None:
    """Read our metadata of the group in a folder; None if it has none.

    Raises:
        OSError: there is no readable group.
        StackError: they are damaged, were edited, or are of a newer version.
    """
    own = find_own(folder, remedy)
    if own is not None and (own["format"] > 1 or _CHECKSUM in own) and own.get(_CHECKSUM) != _checksum(own):
        file = folder / "zarr.json"
        raise StackError(f"{file} was damaged or edited: {OWN!r} does not match its checksum; {remedy}")
    return own


def find_own(folder: Path, remedy: str) -> dict[str, Any] | None:
    """Read our metadata of the group in a folder, damaged or not; see `read_own`."""
    file = folder / "zarr.json"
    text = file.read_text(encoding="utf-8")
    try:
        own = json.loads(text)["attributes"].get(OWN)
        if own is None:
            return None
        version, own = own["format"], dict(own)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StackError(f"{file} is damaged ({type(error).__name__}: {error}); {remedy}") from None
    if type(version) is not int or version not in _FORMATS:
        raise StackError(
            f"{folder} has format {version!r} but this version reads formats 1 to {FORMAT}; ingest the sample again or "
            "install the version that wrote it"
        )
    return own


def _checksum(own: Mapping[str, Any]) -> str:
    content = {name: value for name, value in own.items() if name != _CHECKSUM}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
