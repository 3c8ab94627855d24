"""Results: label images with their maps, written tile by tile, kept when a run is stopped and taken up by the next."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_app import files
from monai_app.errors import ConfigError, StackError
from monai_app.progress import Progress, silent
from monai_app.stack.label_images import registry as labels
from monai_app.stack.label_images.arrays import Box, MapKind, Maps, ResultArrays
from monai_app.stack.label_images.journal import JOURNAL, Journal, check_binding, read_binding, write_binding
from monai_app.stack.label_images.registry import LabelImage
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import halve_image, halve_labels, level_shapes

_IMAGE = "image"
"""Entry of a binding that this module adds."""


class Result:
    """A result in the making; made by `Stack.write_result`.

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

    def verify(self, boxes_of: Callable[[int], Iterable[Box]]) -> tuple[int, ...]:
        """Read every tile that is done again and forget those whose pixels are damaged or missing.

        Args:
            boxes_of: gives the rectangles that a tile consists of.

        Returns:
            The tiles that are to be done again.
        """
        spoilt = tuple(tile for tile, checksum in self.done.items() if not self._holds(boxes_of(tile), checksum))
        for tile in spoilt:
            self._journal.record(tile, None)
            self.arrays.erase_damaged(boxes_of(tile))
        return spoilt

    def finish(self, zs: Iterable[int], progress: Progress = silent) -> None:
        """Make the smaller levels for viewers and let the result appear when its context is left.

        Args:
            zs: the slices that hold something; the others stay 0.
            progress: called for every slice.

        Raises:
            StackError: a chunk is damaged, or the disk cannot write.
        """
        slices = list(zs)
        progress(0, len(slices))
        for number, z in enumerate(slices):
            self._fill_levels(z)
            progress(number + 1, len(slices))
        for left in self.folder.rglob("*.partial"):  # by writers that were killed
            left.unlink(missing_ok=True)
        self.finished = True

    def _holds(self, boxes: Iterable[Box], checksum: int) -> bool:
        try:
            return self.arrays.checksum(boxes) == checksum
        except StackError:
            return False

    def _fill_levels(self, z: int) -> None:
        for kind, levels in self.arrays.levels.items():
            halve = halve_labels if kind == "labels" else halve_image
            channels = range(self.arrays.phases) if kind == "probability" else None
            for index in [(z,)] if channels is None else [(channel, z) for channel in channels]:
                blocks.fill_levels(levels, index, halve)


@contextmanager
def making_result(image: LabelImage, maps: Maps, binding: Mapping[str, Any], *, overwrite: bool) -> Iterator[Result]:
    """Make a result beside the finished label images; see `Stack.write_result`.

    What is done stays when the body fails or the process dies, and a later run with the same binding takes it up. The
    result appears only if the body called `Result.finish`.

    Args:
        image: the label image.
        maps: what is written beside the labels.
        binding: everything that decides the result (JSON values in nested mappings). The stack's identity, the phases
            and the maps are added under ``image``.
        overwrite: replace a finished label image, and begin anew where the one in the making differs or is damaged.

    Raises:
        ConfigError: the name breaks the rule, the result in the making is bound to something else, or there are no
            phases whose probability could be written.
        TargetExistsError: there is a finished label image of that name and ``overwrite`` is false.
        BusyError: another process is writing it.
        StackError: the store holds another stack by now, or the result in the making is damaged.
    """
    labels.check_label_name(image.name)
    if maps.probability and not image.phases:
        raise ConfigError(f"{image.store.name} has no phases whose probability could be written; write labels only")
    with files.lock(files.lock_path(image.target), labels.busy_message(image)):
        labels.check_same_stack(image)
        _bring_back(image)
        labels.check_replaceable(image, overwrite)
        result = _take_up(image, maps, _bound(image, maps, binding), overwrite)
        yield result
        if result.finished:
            labels.check_same_stack(image)
            files.commit(image.target)
            labels.register(image)


def begun(store: Path, name: str) -> dict[str, Any] | None:
    """What the result in the making of that name is bound to; None where there is none or it cannot be read.

    Raises:
        ConfigError: the name breaks the rule.
    """
    labels.check_label_name(name)
    target = store / layout.LABELS / name
    try:
        folder = target if _is_unregistered(store, name) else files.partial_path(target)
        return read_binding(folder) if _is_begun(folder) else None
    except StackError:
        return None


def _bring_back(image: LabelImage) -> None:
    """Undo what a kill during publishing left half done; nothing that is complete is lost."""
    files.rollback(image.target)
    if _is_unregistered(image.store, image.name):
        partial = files.partial_path(image.target)
        files.remove_tree(partial)
        image.target.rename(partial)


def _is_unregistered(store: Path, name: str) -> bool:
    """Whether a kill fell between a label image getting its name and being listed."""
    return (store / layout.LABELS / name).exists() and not labels.is_registered(store, name)


def _take_up(image: LabelImage, maps: Maps, binding: Mapping[str, Any], overwrite: bool) -> Result:
    partial = files.partial_path(image.target)
    if _is_begun(partial):
        try:
            check_binding(image.name, read_binding(partial), binding)
            return Result(image, partial)
        except (ConfigError, StackError):
            if not overwrite:
                raise
    _begin(image, maps, binding, partial)
    return Result(image, partial)


def _is_begun(folder: Path) -> bool:
    """Whether a folder is a result that can hold tiles: `_begin` was not killed in the middle."""
    return (folder / JOURNAL).exists()


def _begin(image: LabelImage, maps: Maps, binding: Mapping[str, Any], folder: Path) -> None:
    files.remove_tree(folder)
    write_binding(folder, binding)
    own = {**image.own, "phases": len(image.phases), "maps": asdict(maps)}
    labels.create_labels(replace(image, own=own), folder)
    for kind in maps.kinds:
        _create_map(image, kind, folder / kind)
    (folder / JOURNAL).touch()


def _create_map(image: LabelImage, kind: MapKind, folder: Path) -> None:
    slices, rows, columns = image.shape
    count = len(level_shapes(rows, columns))
    if kind == "probability":
        names = [phase.name for phase in image.phases]
        ome = layout.image_metadata(kind, names, image.voxel_nm, count, [(0, 255)] * len(names), 255)
        leading: tuple[int, ...] = (len(names), slices)
    else:
        ome, leading = layout.map_metadata(kind, image.voxel_nm, count), (slices,)
    layout.create_levels(layout.create_group(folder, {"ome": ome}), leading, (rows, columns), np.uint8)


def _bound(image: LabelImage, maps: Maps, binding: Mapping[str, Any]) -> dict[str, Any]:
    """The binding as JSON gives it back, with what decides the arrays and their meaning."""
    phases = {str(phase.value): phase.name for phase in image.phases}
    own = {"identity": image.own["ingested"], "shape": image.shape, "phases": phases, "maps": asdict(maps)}
    return dict(json.loads(json.dumps({**binding, _IMAGE: own})))
