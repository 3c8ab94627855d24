"""Verifying a store: reads all data and reports damage and missing checksums."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.progress import Progress, silent
from monai_app.stack.identity import identity_frame, plane_bytes
from monai_app.stack.label_images.arrays import SLICES, map_names
from monai_app.stack.label_images.registry import finished_labels
from monai_app.stack.metadata import REMEDY, StoreMetadata, annotation_folder, open_image, read_metadata
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import read_own
from monai_app.stack.ngff.pyramid import level_shapes


@dataclass
class Findings:
    """The result of a verification.

    Attributes:
        faults: what is damaged or missing, a line each.
        notes: what could not be checked, a line each: it has no checksums.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """The arrays of one group of a store.

    Args:
        group: its folder.
        levels: the arrays, the full one first.
        slices: z of which every chunk must be there.
        checked: whether our metadata of it have a checksum.
    """

    group: Path
    levels: tuple[layout.Level, ...]
    slices: tuple[int, ...]
    checked: bool

    def planes(self, level: layout.Level) -> Iterator[tuple[int, ...]]:
        """Where the planes (rows, columns) of the slices lie in one of the arrays: (z,) or (channel, z)."""
        for z in self.slices:
            for lead in np.ndindex(level.shape[:-3]):
                yield (*lead, z)


def verify_store(path: Path, progress: Progress = silent) -> Findings:
    """Read every chunk of a store once; compare checksums, the identity and what was recorded of later annotations.

    Args:
        path: the store.
        progress: called with the planes (rows, columns) read and in total, of all levels.
    """
    found = Findings()
    try:
        metadata = read_metadata(path)
        parts = list(parts_of(path, metadata, found.faults))
    except StackError as error:
        found.faults.append(str(error))
        return found
    for part in parts:
        if not (part.checked and all(map(layout.has_checksums, part.levels))):
            found.notes.append(
                f"{part.group} has no checksums, so not all damage can be detected; add them with --add-checksums"
            )
    digests = _Digests(path, metadata, parts[0].levels[0])
    total = sum(len(list(part.planes(level))) for part in parts for level in part.levels)
    done = 0
    progress(done, total)
    for part in parts:
        for number, level in enumerate(part.levels):
            for place in part.planes(level):
                index: layout.Index = (*place, slice(None), slice(None))
                try:
                    plane = layout.read(level, index)
                    if number == 0:
                        digests.take(part.group, place[-1], plane)
                except StackError as error:
                    found.faults += damaged_chunks(level, index) or [str(error)]
                done += 1
                progress(done, total)
    if not found.faults:
        digests.compare(found)
    return found


def parts_of(path: Path, metadata: StoreMetadata, faults: list[str]) -> Iterator[Part]:
    """Open the image, the annotations and all finished label images with their maps.

    Args:
        path: the store.
        metadata: what it says of itself.
        faults: groups that cannot be opened are added to these.

    Raises:
        StackError: the image cannot be opened.
    """
    checked = metadata.format > 1
    try:
        yield Part(path, open_image(path, metadata), tuple(range(len(metadata.slice_names))), checked)
    except StackError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StackError(f"{path} is damaged ({type(error).__name__}: {error}); {REMEDY}") from None
    annotations = annotation_folder(path)
    groups: list[tuple[Path, Sequence[int] | None]] = []
    if annotations.is_dir() or metadata.record.roles:
        groups.append((annotations, sorted(metadata.record.roles)))
    groups += [(path / layout.LABELS / name, None) for name in finished_labels(path)]
    for group, slices in groups:
        try:
            yield from _labels(group, slices)
        except (OSError, KeyError, TypeError, ValueError) as error:
            faults.append(
                f"{group} is damaged ({type(error).__name__}: {error}); restore it from a copy or create it again"
            )


def _labels(group: Path, slices: Sequence[int] | None) -> Iterator[Part]:
    own: dict[str, Any] = read_own(group, REMEDY) or {"format": 1}
    zs = own.get(SLICES, slices_with_chunks(group)) if slices is None else slices
    for folder in (group, *(group / name for name in map_names(own.get("maps", ())))):
        full = layout.open_level(folder / "0")
        count = len(level_shapes(*full.shape[-2:]))
        levels = (full, *(layout.open_level(folder / str(number)) for number in range(1, count)))
        yield Part(folder, levels, tuple(zs), own["format"] > 1)


def slices_with_chunks(group: Path) -> list[int]:
    """The z of a label image that have any chunk at full resolution."""
    return sorted(int(folder.name) for folder in (group / "0" / "c").glob("*") if folder.name.isdecimal())


def damaged_chunks(level: layout.Level, index: layout.Index) -> list[str]:
    """Say of every chunk of a part what is wrong with it, if anything is."""
    faults = []
    for _, chunk in layout.chunks_of(level, index):
        try:
            layout.read(level, chunk)
        except StackError as error:
            faults.append(str(error))
    return faults


class _Digests:
    """SHA-256 of the planes read, as the identity and the record of edits have them."""

    def __init__(self, path: Path, metadata: StoreMetadata, full: layout.Level) -> None:
        self._path, self._metadata, self._edits = path, metadata, metadata.record.edits
        first = {z for z in metadata.record.roles if z not in self._edits}
        first |= {z for z, edit in self._edits.items() if edit.ingested is not None}
        self._ingested = sorted(first)
        shape = (full.shape[1], full.shape[2], full.shape[3])
        frame = (metadata.detectors, shape, full.dtype.name, self._ingested, metadata.phases, metadata.gaps)
        self._digest = hashlib.sha256(identity_frame(*frame))
        self._faults: list[str] = []

    def take(self, group: Path, z: int, plane: npt.NDArray[np.integer]) -> None:
        """Take a plane at full resolution; the image's come first, then the annotations', z ascending."""
        if group == self._path:
            self._digest.update(plane_bytes(plane))
        elif group == annotation_folder(self._path):
            edit = self._edits.get(z)
            now = edit and edit.now
            if now and hashlib.sha256(plane_bytes(plane)).hexdigest() != now.sha256:
                self._faults.append(f"{group}: slice {z} differs from what was annotated; {REMEDY}")
            if z in self._ingested:
                self._digest.update(plane_bytes(plane))

    def compare(self, found: Findings) -> None:
        """Add what the digests say."""
        found.faults += self._faults
        if self._metadata.record.identity != self._metadata.identity:
            found.faults.append(f"{self._path}: its identity does not follow from its record of edits; {REMEDY}")
        states = [edit for edit in self._edits.values() if edit.ingested is not None]
        if any(edit.now is None or edit.now.sha256 != edit.ingested.sha256 for edit in states if edit.ingested):
            found.notes.append(
                f"{self._path}: its original annotations were changed, so its identity "
                f"{self._metadata.ingested[:12]}... cannot be compared with the pixels"
            )
        elif self._digest.hexdigest() != self._metadata.ingested:
            found.faults.append(
                f"{self._path}: its pixels have another identity than {self._metadata.ingested[:12]}..., which it was "
                f"ingested with; {REMEDY}"
            )
