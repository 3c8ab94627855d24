"""The files that a stack is made of: their hashes, taken while they are read."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from monai_app.errors import StackError
from monai_app.files import file_sha256
from monai_app.io.sources import Source
from monai_app.origin import Stamp, stamp_of

_MOST = 256
"""Files of a folder that are listed one by one."""


class Inputs:
    """Hashes files when they have been read, while the system still has them in memory.

    Args:
        sources: what is read; the stamps of its files are taken now.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._root = os.path.commonpath([source.path.absolute().parent for source in self._sources])
        self._stamps: dict[Path, Stamp] = {}
        self._hashes: dict[Path, str] = {}
        for source in self._sources:
            for file in source.files:
                self._stamps |= {path: stamp_of(path.stat()) for path in file.inputs}

    def take(self, source: Source, index: int) -> None:
        """Hash the file of a slice that was read; files that hold several are left to `hashes`."""
        if source.is_folder:
            self._hash(source.files[index].inputs)

    def hashes(self) -> dict[str, str]:
        """Name of each file, relative to the folder of all sources -> SHA-256.

        A folder of many files has one entry, whose name ends in "/": the SHA-256 of the list of its files as
        ``sha256sum *`` writes it.

        Raises:
            StackError: a file was replaced while it was read.
        """
        found: dict[str, str] = {}
        for source in self._sources:
            files = [path for file in source.files for path in file.inputs]
            self._hash(files)
            found |= self._named(source, files)
        return dict(sorted(found.items()))

    def _hash(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path in self._hashes:
                continue
            try:
                self._hashes[path] = file_sha256(path)
                same = stamp_of(path.stat()) == self._stamps[path]
            except OSError:
                same = False
            if not same:
                raise StackError(f"{path} was replaced while it was read; run the same command again")

    def _named(self, source: Source, files: Sequence[Path]) -> dict[str, str]:
        names = {os.path.relpath(path.absolute(), self._root): self._hashes[path] for path in files}
        if len(names) <= _MOST:
            return names
        folder = source.path
        lines = sorted((path.relative_to(folder).as_posix(), self._hashes[path]) for path in files)
        text = "".join(f"{sha256}  {name}\n" for name, sha256 in lines)
        chosen = f"{os.path.relpath(folder.absolute(), self._root)}/{source.chosen_by or ''}"
        return {chosen: hashlib.sha256(text.encode()).hexdigest()}
