"""Results: label images with their maps, written tile by tile, and resumable after an interruption."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_app import files
from monai_app.domain.region import Rect, Region
from monai_app.errors import ConfigError, StackError
from monai_app.progress import Progress, silent
from monai_app.stack.label_images import registry as labels
from monai_app.stack.label_images.arrays import LABELS, SLICES, Map, ResultArrays, map_names
from monai_app.stack.label_images.journal import (
    JOURNAL,
    Journal,
    check_fingerprint,
    read_fingerprint,
    write_fingerprint,
)
from monai_app.stack.label_images.registry import LabelImage
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import write_own
from monai_app.stack.ngff.pyramid import halve_image, halve_labels, level_shapes

_IMAGE = "image"
"""Entry of a fingerprint that this module adds."""


class Result:
    """A result in progress; made by `Stack.write_result`.

    Attributes:
        folder: the hidden group in which it is made; it has its name when it is complete.
        arrays: the arrays to be written.
        finished: whether `finish` was called to its end, so that the result appears when its context is left.
    """

    def __init__(self, image: LabelImage, folder: Path) -> None:
        self.folder, self.finished = folder, False
        self.arrays = ResultArrays.open(folder)
        self._image = image
        self._journal = Journal(folder / JOURNAL)

    @property
    def done(self) -> Mapping[int, int]:
        """The checksum of every tile that is done."""
        return self._journal.done

    def record(self, tile: int, checksum: int) -> None:
        """Record that a tile is done, after all its pixels were written.

        Args:
            tile: its number.
            checksum: the `Checksum` of its pixels.

        Raises:
            StackError: the store holds another stack by now, or the disk cannot write.
        """
        labels.check_same_stack(self._image)
        self._journal.record(tile, checksum)

    def verify(self, region_of: Callable[[int], Region]) -> tuple[int, ...]:
        """Read every tile that is done again and forget those whose pixels are damaged or missing.

        Args:
            region_of: returns the region that a tile writes.

        Returns:
            The tiles that are to be done again.
        """
        damaged = tuple(tile for tile, checksum in self.done.items() if not self._holds(region_of(tile), checksum))
        for tile in damaged:
            self._journal.record(tile, None)
            self.arrays.erase_damaged(region_of(tile))
        return damaged

    def finish(
        self, zs: Iterable[int], progress: Progress = silent, attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Make the smaller levels for viewers and let the result appear when its context is left.

        Args:
            zs: the slices that hold something; the others stay 0.
            progress: called for every slice.
            attributes: further attributes to record with the labels (JSON values).

        Raises:
            StackError: a chunk is damaged, or the disk cannot write.
        """
        slices = sorted(zs)
        progress(0, len(slices))
        for number, z in enumerate(slices):
            self._fill_levels(z)
            progress(number + 1, len(slices))
        for left in self.folder.rglob("*.partial"):  # by writers that were killed
            left.unlink(missing_ok=True)
        own = self.arrays.own
        changed = {"attributes": {**own["attributes"], **attributes}} if attributes else {}
        write_own(self.folder, {**own, **changed, SLICES: slices})
        self.finished = True

    def _holds(self, region: Region, checksum: int) -> bool:
        try:
            return self.arrays.checksum(region) == checksum
        except StackError:
            return False

    def _fill_levels(self, z: int) -> None:
        whole = Rect.whole(self.arrays.shape).index
        for name, levels in self.arrays.levels.items():
            halve = halve_labels if name == LABELS else halve_image
            for phase in np.ndindex(levels[0].shape[:-3]):
                blocks.fill_missing(levels[0], (*phase, z, *whole))
                blocks.fill_levels(levels, (*phase, z), halve)


@contextmanager
def resumable_result(
    image: LabelImage, maps: Sequence[Map], fingerprint: Mapping[str, Any], *, overwrite: bool
) -> Iterator[Result]:
    """Make a result beside the finished label images; see `Stack.write_result`.

    What is done stays when the body fails or the process dies, and a later run with the same fingerprint resumes it. To
    the fingerprint the stack's identity, the phases and the maps are added under ``image``.
    """
    labels.check_label_name(image.name)
    for each in maps:
        if each.per_phase and not image.phases:
            raise ConfigError(f"{image.store.name} has no phases whose {each.name} could be written; leave it out")
    busy = f"label image {image.name!r} of {image.store} is being written by another process; wait for it or choose "
    with files.lock(files.lock_path(image.target), f"{busy}another name"):
        labels.check_same_stack(image)
        _recover(image)
        labels.check_replaceable(image.store, image.name, overwrite)
        result = _resume_or_begin(image, maps, _completed(image, maps, fingerprint), overwrite)
        yield result
        if result.finished:
            labels.check_same_stack(image)
            files.commit(image.target)
            labels.register(image)


def in_progress(store: Path, name: str) -> dict[str, Any] | None:
    """Return the fingerprint of the result of that name in progress; None if there is none or it is unreadable.

    Raises:
        ConfigError: the name breaks the rule.
    """
    labels.check_label_name(name)
    target = store / layout.LABELS / name
    try:
        folder = target if _is_unregistered(store, name) else files.partial_path(target)
        return _kept_fingerprint(folder) if _is_started(folder) else None
    except StackError:
        return None


def finished_as(store: Path, name: str) -> dict[str, Any] | None:
    """Return the fingerprint that the finished label image of that name was written with; None if there is none."""
    target = store / layout.LABELS / name
    try:
        return _kept_fingerprint(target) if labels.is_registered(store, name) and _is_started(target) else None
    except StackError:
        return None


def _recover(image: LabelImage) -> None:
    """Repair the state after a kill during publishing; no complete result is lost."""
    files.rollback(image.target)
    if _is_unregistered(image.store, image.name):
        partial = files.partial_path(image.target)
        files.remove_tree(partial)
        image.target.rename(partial)


def _is_unregistered(store: Path, name: str) -> bool:
    """Whether a kill fell between a label image getting its name and being listed."""
    return (store / layout.LABELS / name).exists() and not labels.is_registered(store, name)


def _resume_or_begin(image: LabelImage, maps: Sequence[Map], fingerprint: Mapping[str, Any], overwrite: bool) -> Result:
    partial = files.partial_path(image.target)
    if _is_started(partial):
        try:
            check_fingerprint(image.name, _kept_fingerprint(partial), fingerprint)
            return Result(image, partial)
        except (ConfigError, StackError):
            if not overwrite:
                raise
    _begin(image, maps, fingerprint, partial)
    return Result(image, partial)


def _is_started(folder: Path) -> bool:
    """Whether a folder is a result that can hold tiles: `_begin` was not killed in the middle."""
    return (folder / JOURNAL).exists()


def _begin(image: LabelImage, maps: Sequence[Map], fingerprint: Mapping[str, Any], folder: Path) -> None:
    files.remove_tree(folder)
    write_fingerprint(folder, fingerprint)
    own = {**image.own, "phases": len(image.phases), "maps": [each.name for each in maps]}
    labels.create_labels(replace(image, own=own), folder)
    for each in maps:
        _create_map(image, each, folder / each.name)
    (folder / JOURNAL).touch()


def _create_map(image: LabelImage, each: Map, folder: Path) -> None:
    slices, *shape = image.shape
    count = len(level_shapes(*shape))
    if each.per_phase:
        names = [phase.name for phase in image.phases]
        ome = layout.image_metadata(each.name, names, image.voxel_nm, count, [(0, 255)] * len(names), 255)
        leading: tuple[int, ...] = (len(names), slices)
    else:
        ome, leading = layout.map_metadata(each.name, image.voxel_nm, count), (slices,)
    layout.create_levels(layout.create_group(folder, {"ome": ome}), leading, image.shape[1:], np.uint8)


def _completed(image: LabelImage, maps: Sequence[Map], fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint as JSON gives it back, with what decides the arrays and their meaning."""
    phases = {str(phase.value): phase.name for phase in image.phases}
    names = [each.name for each in maps]
    own = {"identity": image.own["ingested"], "shape": image.shape, "phases": phases, "maps": names}
    return dict(json.loads(json.dumps({**fingerprint, _IMAGE: own})))


def _kept_fingerprint(folder: Path) -> dict[str, Any]:
    kept = read_fingerprint(folder)
    try:
        return {**kept, _IMAGE: {**kept[_IMAGE], "maps": map_names(kept[_IMAGE]["maps"])}}
    except (KeyError, TypeError, ValueError, AttributeError):
        return kept  # damaged: it equals no other
