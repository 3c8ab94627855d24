"""The fingerprint of a result in progress, and the record of its completed tiles; both survive a kill."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from monai_app import files
from monai_app.errors import ConfigError, StackError

FINGERPRINT = "binding.json"
"""File that holds everything that decides the result; its name is from earlier versions."""

JOURNAL = "journal.jsonl"
"""File that holds a line for every tile that is done."""

_SHOWN = 60
"""Characters of a value in a message."""

_ABSENT = "(absent)"


class Journal:
    """The tiles that are done and the checksums of their pixels, one JSON line a tile, appended as it is done.

    A kill can tear the last line only, which is then removed, so that the next one starts on a new line. Lines are not
    forced to the disk: after a power cut a line may be there without its pixels, which the checksum shows.

    Args:
        path: the file; it is made if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[int, int] = {}
        for tile, checksum in _entries(path):
            self._take(tile, checksum)

    @property
    def done(self) -> Mapping[int, int]:
        """The checksum of every tile that is done."""
        return MappingProxyType(self._done)

    def record(self, tile: int, checksum: int | None) -> None:
        """Record that a tile is done; a checksum of None records that it is to be done again.

        Raises:
            StackError: the line cannot be written.
        """
        line = json.dumps({"tile": tile, "crc32": checksum}) + "\n"
        try:
            with self._path.open("ab") as handle:
                handle.write(line.encode())
        except OSError as error:
            raise StackError(
                f"{self._path} cannot be written ({error}); free some space or repair the disk, and run again"
            ) from error
        self._take(tile, checksum)

    def _take(self, tile: int, checksum: int | None) -> None:
        if checksum is None:
            self._done.pop(tile, None)
        else:
            self._done[tile] = checksum


def _entries(path: Path) -> Iterator[tuple[int, int | None]]:
    path.touch()
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    for line in content[:whole].splitlines():
        try:
            entry = json.loads(line)
            yield int(entry["tile"]), entry["crc32"]
        except (ValueError, KeyError, TypeError):
            continue  # a tile whose line is damaged is done again


def write_fingerprint(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Write the fingerprint of a result (JSON values) into its folder, complete or not at all."""
    files.write_json(folder / FINGERPRINT, fingerprint)


def read_fingerprint(folder: Path) -> dict[str, Any]:
    """Read the fingerprint of a result.

    Raises:
        StackError: the file does not exist or is damaged.
    """
    path = folder / FINGERPRINT
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StackError(
            f"{path} is unreadable ({error}), so what was started cannot be resumed; begin again with --overwrite or "
            "choose another name (--labels NAME)"
        ) from None


def check_fingerprint(name: str, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Check that a result may be resumed.

    Args:
        name: the label image's name.
        kept: the fingerprint of the result in progress.
        wanted: that of this run.

    Raises:
        ConfigError: they differ; the message names every entry that does.
    """
    old, new = dict(_flat(kept)), dict(_flat(wanted))
    differing = [key for key in old | new if old.get(key) != new.get(key)]
    if differing:
        lines = [f"  {key}: {_short(old.get(key, _ABSENT))} -> {_short(new.get(key, _ABSENT))}" for key in differing]
        raise ConfigError(
            f"label image {name!r} was begun with other settings (begun with -> asked for):\n"
            + "\n".join(lines)
            + "\ngive the same settings to resume, begin again with --overwrite, or choose another name (--labels NAME)"
        )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every entry of nested mappings with its dotted path, as JSON text."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value)


def _short(text: str) -> str:
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]} ... {text[-half:]}"
