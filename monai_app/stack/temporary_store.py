"""A temporary store for images that are segmented without ingesting a stack."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai_app import files
from monai_app.origin import stamp_of
from monai_app.progress import Progress, silent
from monai_app.stack.ingestion.ingest import ingest
from monai_app.stack.ingestion.sample import Sample
from monai_app.stack.store import Stack

_INPUTS = "inputs.json"
"""File with what the store was made of, written when the store is complete."""

_PYRAMID = 4 / 3
"""Pixels of all levels, by those of the finest."""


class TemporaryStore:
    """A store in a hidden folder beside a target; made by `temporary_store`.

    Attributes:
        folder: the hidden folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """Where the store lies."""
        return self.folder / "images.ome.zarr"

    def ingested(
        self, sample: Sample, progress: Progress = silent, report: Callable[[str], None] = lambda line: None
    ) -> Stack:
        """Return the stack of a sample; one that a stopped call left is used where no file has changed since.

        Args:
            sample: the images.
            progress: called with the slices done and in total.
            report: called with what is done, line by line.

        Raises:
            AppError: see `ingest`.
        """
        inputs = json.loads(json.dumps(_inputs(sample)))
        record = self.folder / _INPUTS
        if self.path.is_dir() and record.is_file() and json.loads(record.read_text(encoding="utf8")) == inputs:
            report(f"temporary store: {self.path}, left by the stopped call")
            return Stack.open(self.path)
        record.unlink(missing_ok=True)
        size = len(sample.detectors) * sample.slices * sample.dtype.itemsize * _PYRAMID
        size *= sample.plane_shape[0] * sample.plane_shape[1]
        free = shutil.disk_usage(self.folder).free
        report(f"temporary store: {self.path}, up to {size / 1e6:.1f} MB; {free / 1e6:.0f} MB are free")
        stack = ingest(sample.description, self.path, overwrite=self.path.exists(), progress=progress, report=report)
        files.write_json(record, inputs)
        return stack


@contextmanager
def temporary_store(target: Path) -> Iterator[TemporaryStore]:
    """Give the hidden folder ``.NAME.segmenting`` beside a target, for a store and what else leads to the target.

    It is removed at the end; where the body fails it stays if it holds a store, for the next call.

    Args:
        target: the folder to be made, in an existing folder.

    Raises:
        BusyError: another process uses it.
        StorageError: the folder cannot be written.
    """
    store = TemporaryStore(target.with_name(f".{target.name}.segmenting"))
    busy = f"{target} is being made by another process; wait for it or choose another one"
    with files.lock(files.lock_path(store.folder), busy):
        store.folder.mkdir(exist_ok=True)
        try:
            yield store
        except BaseException:
            if not store.path.exists():
                files.remove_tree(store.folder)
            raise
        files.remove_tree(store.folder)


def _inputs(sample: Sample) -> dict[str, Any]:
    """The description, and the state of each file."""
    paths = {path.absolute() for source in sample.sources for file in source.files for path in file.inputs}
    return {
        "description": sample.description.model_dump(mode="json"),
        "files": {str(path): stamp_of(path.stat()) for path in sorted(paths)},
    }
