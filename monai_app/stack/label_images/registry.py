"""The registry of a stack's label images: their names, and the specification of new ones."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from monai_app import files
from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.names import check_file_name, is_file_name
from monai_app.stack.metadata import read_metadata
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import OWN, with_checksum
from monai_app.stack.ngff.pyramid import level_shapes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_RESERVED = (layout.ANNOTATION, "zarr.json")


def finished_labels(store: Path) -> tuple[str, ...]:
    """The names of the finished label images in a store, without the annotations and what no folder of it can have."""
    names = (name for name in _registered(store) if name != layout.ANNOTATION and is_file_name(name))
    return tuple(name for name in names if _target(store, name).is_dir())


def read_phases(store: Path, name: str) -> tuple[Phase, ...]:
    """What the values of a finished label image mean: their names and colours.

    Raises:
        StackError: the label image's metadata are damaged.
    """
    file = _target(store, name) / "zarr.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))["attributes"]["ome"]["image-label"]
        colours = {entry["label-value"]: entry["rgba"][:3] for entry in content["colors"]}
        names = {entry["label-value"]: entry["name"] for entry in content["properties"]}
        values = sorted(names.keys() - {UNLABELLED})
        return tuple(Phase(value=value, name=names[value], rgb=tuple(colours[value])) for value in values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StackError(f"{file} is damaged ({type(error).__name__}: {error}); segment again") from None


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


def _target(store: Path, name: str) -> Path:
    """Where a label image lies; its name may come from the store."""
    return store / layout.LABELS / check_file_name(name, f"{store}: label image")


def check_label_name(name: str) -> None:
    """Check the name of a label image.

    Raises:
        ConfigError: it could not be a folder's name in the store, or is reserved.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"label name {name!r} must contain only letters, digits, '_', '.', '+' and '-' and start with a letter "
            "or digit; choose another (--labels NAME)"
        )
    if name.casefold() in _RESERVED:
        raise ConfigError(f"label name {name!r} is reserved; choose another (--labels NAME)")


def check_replaceable(store: Path, name: str, overwrite: bool) -> None:
    """Refuse a finished label image unless it may be replaced.

    Raises:
        TargetExistsError: there is one and it may not be replaced.
    """
    if _target(store, name).exists() and not overwrite:
        clear_unused(store, name)
        raise TargetExistsError(
            f"label image {name!r} is already in {store}; choose another name (--labels) or allow to replace it with "
            "--overwrite"
        )


def clear_unused(store: Path, name: str) -> None:
    """Remove what a process left that was killed when a label image was complete."""
    files.clear_unused(_target(store, name), files.rollback)


def create_labels(image: LabelImage, folder: Path) -> tuple[layout.Level, ...]:
    """Make the group of a label image in a folder and the arrays of all its levels."""
    slices, rows, columns = image.shape
    ome = layout.label_metadata(image.name, image.phases, image.voxel_nm, len(level_shapes(rows, columns)))
    group = layout.create_group(folder, {"ome": ome} | ({OWN: with_checksum(image.own)} if image.own else {}))
    return layout.create_levels(group, (slices,), (rows, columns), np.uint8)


def check_same_stack(image: LabelImage) -> None:
    """Refuse a label image whose stack was replaced meanwhile.

    Raises:
        StackError: the store holds another stack than when the label image was started.
    """
    if read_metadata(image.store).ingested != image.own["ingested"]:  # annotating changes no pixel of the image
        raise StackError(
            f"{image.store} was replaced while label image {image.name!r} was written; open it and start again"
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
    _change_list(image.store, lambda names: names if image.name in names else (*names, image.name))


def unregister(store: Path, name: str) -> None:
    """Take a label image off the store's list of them, if it is there."""
    _change_list(store, lambda names: tuple(other for other in names if other != name))


def _change_list(store: Path, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
    folder = store / layout.LABELS
    with files.lock(folder / ".register.lock"):
        names = _registered(store)
        if (changed := change(names)) != names:
            group = zarr.open_group(folder, mode="r+")
            group.attrs["ome"] = layout.labels_metadata(changed)
            files.flush(folder / "zarr.json")
