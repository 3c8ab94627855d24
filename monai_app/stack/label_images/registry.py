"""Writing label images into a stack: whole or not at all."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from monai_app import files
from monai_app.domain.phase import Phase
from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import halve_labels, level_shapes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_RESERVED = (layout.ANNOTATION, "zarr.json")


class LabelWriter:
    """Takes the slices of one label image; made by `Stack.write_labels`.

    Args:
        levels: the arrays of all levels.
        phases: number of phases, the highest value allowed; 0 where the stack has no phases, then every value is.
    """

    def __init__(self, levels: tuple[layout.Level, ...], phases: int) -> None:
        self._levels = levels
        self._highest = phases or 255
        self._written: set[int] = set()

    @property
    def missing(self) -> tuple[int, ...]:
        """Every z that is still to be written."""
        return tuple(z for z in range(self._levels[0].shape[0]) if z not in self._written)

    def write(self, z: int, labels: npt.NDArray[np.uint8]) -> None:
        """Write the labels of one slice: (rows, columns), uint8, 0 or a phase.

        Raises:
            StackError: there is no such slice, or the labels have another shape, type or higher values.
        """
        slices, rows, columns = self._levels[0].shape
        if not 0 <= z < slices:
            raise StackError(f"slice {z} isn't there; the stack has slices 0 to {slices - 1}")
        if labels.shape != (rows, columns) or labels.dtype != np.uint8:
            raise StackError(
                f"labels of slice {z} are {labels.dtype} of shape {labels.shape} and must be uint8 of shape "
                f"{(rows, columns)} (rows, columns)"
            )
        if labels.max() > self._highest:
            raise StackError(
                f"labels of slice {z} hold {labels.max()} and the phases end at {self._highest}; write values of phases"
            )
        layout.write_slice(self._levels, (z,), labels, halve_labels)
        self._written.add(z)


def finished_labels(store: Path) -> tuple[str, ...]:
    """The names of the finished label images in a store, without the annotations."""
    return tuple(name for name in _registered(store) if name != layout.ANNOTATION and _target(store, name).is_dir())


@dataclass(frozen=True)
class LabelImage:
    """A label image to be written.

    Args:
        store: the stack store.
        name: the label image's name.
        shape: (slices, rows, columns).
        voxel_nm: voxel size z, y, x in nm.
        phases: the meaning of the values.
        own: this package's metadata of the label image, with ``identity`` and ``ingested`` of the stack.
    """

    store: Path
    name: str
    shape: tuple[int, int, int]
    voxel_nm: tuple[float, float, float]
    phases: Sequence[Phase]
    own: Mapping[str, Any]

    @property
    def target(self) -> Path:
        """Where it appears when it is complete."""
        return _target(self.store, self.name)


@contextmanager
def label_writer(image: LabelImage, overwrite: bool) -> Iterator[LabelWriter]:
    """Make a label image beside the finished ones; see `Stack.write_labels`."""
    check_label_name(image.name)
    busy = busy_message(image)
    with files.transaction(
        image.target, busy, lambda: _check_target(image, overwrite), lambda: register(image)
    ) as partial:
        writer = LabelWriter(create_labels(image, partial), len(image.phases))
        yield writer
        _check_whole(image, writer)


def busy_message(image: LabelImage) -> str:
    """What to tell the user where another process is writing a label image."""
    return (
        f"label image {image.name!r} of {image.store} is being written by another process; wait for it or choose "
        "another name"
    )


def _target(store: Path, name: str) -> Path:
    return store / layout.LABELS / name


def check_label_name(name: str) -> None:
    """Check the name of a label image.

    Raises:
        ConfigError: it could not be a folder's name in the store, or is reserved.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"label name {name!r} may hold letters, digits, '_', '.', '+' and '-' only and starts with a letter or "
            "digit; choose another (--labels NAME)"
        )
    if name.casefold() in _RESERVED:
        raise ConfigError(f"label name {name!r} is reserved; choose another (--labels NAME)")


def _check_target(image: LabelImage, overwrite: bool) -> None:
    """Refuse a finished label image unless it may be replaced; remove one that a killed run left unregistered."""
    if not is_registered(image.store, image.name):
        files.remove_tree(image.target)  # complete but never registered: its writer was killed in between
    check_replaceable(image, overwrite)


def check_replaceable(image: LabelImage, overwrite: bool) -> None:
    """Refuse a finished label image unless it may be replaced.

    Raises:
        TargetExistsError: there is one and it may not be replaced.
    """
    if image.target.exists() and not overwrite:
        raise TargetExistsError(
            f"label image {image.name!r} is already in {image.store}; choose another name or allow to replace it with "
            "--overwrite"
        )


def create_labels(image: LabelImage, folder: Path) -> tuple[layout.Level, ...]:
    """Make the group of a label image in a folder and the arrays of all its levels."""
    slices, rows, columns = image.shape
    ome = layout.label_metadata(image.name, image.phases, image.voxel_nm, len(level_shapes(rows, columns)))
    group = layout.create_group(folder, {"ome": ome, layout.OWN: dict(image.own)})
    return layout.create_levels(group, (slices,), (rows, columns), np.uint8)


def _check_whole(image: LabelImage, writer: LabelWriter) -> None:
    missing = writer.missing
    if missing:
        raise StackError(
            f"label image {image.name!r} lacks {len(missing)} slices, the first is {missing[0]}; write every slice"
        )
    check_same_stack(image)


def check_same_stack(image: LabelImage) -> None:
    """Refuse to go on with a label image whose stack was replaced.

    Raises:
        StackError: the store holds another stack than when the label image was begun.
    """
    if layout.read_own(image.store)["ingested"] != image.own["ingested"]:  # annotating changes no pixel of the image
        raise StackError(
            f"{image.store} was replaced while label image {image.name!r} was written; open it again and start anew"
        )


def _registered(store: Path) -> tuple[str, ...]:
    try:
        content = json.loads((store / layout.LABELS / "zarr.json").read_text(encoding="utf-8"))
        return tuple(content["attributes"]["ome"]["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{store} is damaged: its list of label images is unreadable ({error}); ingest again"
        ) from None


def is_registered(store: Path, name: str) -> bool:
    """Whether the store lists a label image of that name."""
    return name in _registered(store)


def register(image: LabelImage) -> None:
    """Add a label image to the store's list of them, unless it is there."""
    folder = image.store / layout.LABELS
    with files.lock(folder / ".register.lock"):
        names = _registered(image.store)
        if image.name not in names:
            group = zarr.open_group(folder, mode="r+")
            group.attrs["ome"] = layout.labels_metadata((*names, image.name))
            files.flush(folder / "zarr.json")
