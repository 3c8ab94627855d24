"""Gives a store of an earlier version the checksums that it lacks."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from monai_app import files
from monai_app.errors import StackError
from monai_app.progress import Progress, silent
from monai_app.stack.label_images.arrays import SLICES
from monai_app.stack.label_images.registry import finished_labels
from monai_app.stack.metadata import REMEDY, read_metadata
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import FORMAT, read_own, write_own
from monai_app.stack.verification import Part, parts_of
from monai_app.storage import writing


def add_checksums(path: Path, progress: Progress = silent) -> None:
    """Write the arrays of a store again, with checksums, and its metadata; killed at any moment, the next call resumes.

    An array is made beside the old one, and they change names in one step, so readers always find one. Verify the store
    before: what is damaged would get a checksum too.

    Args:
        path: the store.
        progress: called with the planes (rows, columns) written and in total, of all levels.

    Raises:
        StackError: the store is damaged.
        BusyError: another process writes the store or one of its label images.
        StorageError: the disk is full or read-only.
    """
    path = path.resolve()
    annotations, images = path / layout.LABELS / layout.ANNOTATION, finished_labels(path)
    with ExitStack() as held:
        busy = "is being written by another process; wait for it before adding checksums"
        held.enter_context(files.lock(files.lock_path(path), f"{path} {busy}"))
        for name in images:
            target = path / layout.LABELS / name
            held.enter_context(files.lock(files.lock_path(target), f"label image {name!r} {busy}"))
        held.enter_context(files.lock(files.lock_path(annotations)))
        files.rollback(annotations)
        metadata, faults = read_metadata(path), list[str]()
        parts = list(parts_of(path, metadata, faults))
        if faults:
            raise StackError(faults[0])
        image, *others = parts
        for part in others:
            _name_slices(part, path / layout.LABELS / part.group.relative_to(path / layout.LABELS).parts[0])
        if annotations.is_dir() and read_own(annotations, REMEDY) is None:
            write_own(annotations, metadata.record.to_json())
        _convert([*others, image], progress)
        own = read_own(path, REMEDY) or {}
        if own["format"] < FORMAT:
            full = image.levels[0]
            write_own(path, {**own, "shape": full.shape[1:], "dtype": full.dtype.name})


def _name_slices(part: Part, group: Path) -> None:
    """Write the chunks of label images that hold nothing, and record of which slices all must be there."""
    own = read_own(group, REMEDY)
    if group.name == layout.ANNOTATION or own is None or SLICES in own:
        return
    folders = [group, *(folder for folder in group.iterdir() if (folder / "0").is_dir())]
    for folder in folders:
        for level in sorted(folder / name.name for name in folder.iterdir() if name.name.isdecimal()):
            array = layout.open_level(level, writable=True)
            for index in Part(folder, (array,), part.slices, checked=False).planes(array):
                blocks.fill_missing(array, (*index, slice(None), slice(None)))
    write_own(group, {**own, SLICES: list(part.slices)})


def _convert(parts: list[Part], progress: Progress) -> None:
    total = sum(len(list(part.planes(level))) for part in parts for level in part.levels)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    for part in parts:
        for level in part.levels:
            if layout.has_checksums(level):
                done += len(list(part.planes(level)))
                progress(done, total)
            else:
                _write_again(part, level, advance)


def _write_again(part: Part, old: layout.Level, advance: Callable[[], None]) -> None:
    target = layout.folder_of(old).resolve()  # of a snapshot the image is a link
    partial = files.partial_path(target)
    files.rollback(target)
    with writing(target):
        partial.mkdir(exist_ok=True)  # what an earlier call wrote stays
        content = json.loads((target / "zarr.json").read_text(encoding="utf-8"))
        content["codecs"].append({"name": "crc32c"})
        files.write_json(partial / "zarr.json", content)
        new, checked = layout.open_level(partial, writable=True), layout.open_level(partial)
        for place in part.planes(old):
            for _, chunk in layout.chunks_of(old, (*place, slice(None), slice(None))):
                pixels = layout.read(old, chunk)
                if not _holds(checked, chunk, pixels.tobytes()):
                    layout.write(new, chunk, pixels)
            advance()
    files.commit(target)


def _holds(level: layout.Level, chunk: layout.Index, pixels: bytes) -> bool:
    try:
        return layout.read(level, chunk).tobytes() == pixels
    except StackError:
        return False
