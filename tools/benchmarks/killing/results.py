"""What a command left on the disk, in a form in which two runs of it can be compared."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

_MATPLOTLIB = "home/.cache/matplotlib"
"""Its list of fonts, which it writes when it first draws."""

_PYTHONS = re.compile(r"tmp/[a-z0-9_]{8}")
"""File with which Python tries, when a process first asks for the temporary folder, whether it can write there."""

_MEASURED = re.compile("/ts$|^/estimate/|/set/[0-9]+$")
"""Times and the memory of a process, which may be the same in two runs by chance; and which slices a label changed:
none where the command that was killed had set them."""

_CHANCE = re.compile(r"(events\.out\.tfevents|train_|trust/signatures/)[^/]*")


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file, link and empty folder by its name; names that hold the time or chance are cut."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = _CHANCE.sub("\\1", path.relative_to(folder).as_posix())
        if name.startswith(_MATPLOTLIB):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink()).encode()
        elif path.is_file():
            content = path.read_bytes()
            if not (_PYTHONS.fullmatch(name) and content in (b"", b"blat")):
                found[name] = content
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


class Reference:
    """What uninterrupted runs of a command left: what is the same in two of them must be the same in every other."""

    def __init__(self, first: Mapping[str, bytes], second: Mapping[str, bytes]) -> None:
        self.files = set(first)
        self._same = {name: content for name, content in first.items() if second.get(name) == content}
        self._parts = {}
        for name in first.keys() - self._same.keys():
            one, two = (dict(_parts(name, each[name])) if name in each else {} for each in (first, second))
            self._parts[name] = {key: value for key, value in one.items() if two.get(key) == value}

    @property
    def varying(self) -> list[str]:
        """Names of the files of which nothing is the same in two runs."""
        return sorted(name for name, parts in self._parts.items() if not parts)

    def differences(self, found: Mapping[str, bytes]) -> list[str]:
        """Names of what is missing or other than it should be."""
        other = [name for name, content in self._same.items() if not _equal(name, content, found.get(name))]
        for name, parts in self._parts.items():
            now = dict(_parts(name, found[name])) if name in found else None
            if now is None or any(now.get(key) != value for key, value in parts.items()):
                other.append(name)
        return sorted(other)

    def left_overs(self, found: Mapping[str, bytes]) -> list[str]:
        """Names of what uninterrupted runs do not leave."""
        return sorted(found.keys() - self.files)


def _equal(name: str, content: bytes, found: bytes | None) -> bool:
    """Whether two files hold the same: torch, for one, writes the same objects in more than one way."""
    if found is None or found == content:
        return found is not None
    parts = dict(_parts(name, content))
    return bool(parts) and parts == dict(_parts(name, found))


def _parts(name: str, content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a file that can be compared one by one."""
    if name.endswith(".json"):
        leaves = _leaves("", json.loads(content))
        yield from ((place, value) for place, value in leaves if not _MEASURED.search(place))
    elif name.endswith((".pt", ".ckpt")):
        yield from _leaves("", torch.load(io.BytesIO(content), weights_only=True))
    elif name.endswith((".zip", ".ts", ".pt2")):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                yield entry, hashlib.sha256(archive.read(entry)).hexdigest()


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{place}/{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(f"{place}/{index}", inner)
    elif isinstance(value, torch.Tensor):
        yield place, hashlib.sha256(value.cpu().contiguous().numpy().tobytes()).hexdigest()
    else:
        yield place, repr(value)
