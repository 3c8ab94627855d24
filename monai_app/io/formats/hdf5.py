"""HDF5 files: a dataset of slices, rows and columns, with the attributes that Fiji and ilastik write."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.base import Request, check_type, readable
from monai_app.io.formats.arrays import ArrayPlanes, channels_along, depth_of, unnamed_axes
from monai_app.io.memory import check_backed, limited_memory
from monai_app.io.recorded import UNKNOWN, Recorded, length_nm

_SHOWN = 8

_SIZE = "element_size_um"
"""Attribute with the size of a voxel z, y, x in micrometres."""


def open_hdf5(path: Path, request: Request) -> ArrayPlanes:
    """Check a dataset of an HDF5 file.

    Args:
        path: the file.
        request: what is asked for; `dataset` may be left out where one dataset only has two axes or more.

    Raises:
        StackError: the file cannot be read, there is no such dataset, or its values lie in other files.
    """
    with readable(path), limited_memory(), _opened(path, None) as file:
        name = _chosen(file, request.dataset)
        dataset = file[name]
        _check_inside(dataset, name)
        check_type(dataset.dtype, 8 * dataset.dtype.itemsize, request)
        axes = _axes(dataset)
        check_backed(math.prod(dataset.shape[-2:]) * dataset.dtype.itemsize, [path])
        return ArrayPlanes(
            path,
            math.prod(dataset.shape[:-2]),
            dataset.shape[-2:],
            dataset.dtype.newbyteorder("="),
            recorded=_recorded(dataset),
            channels=channels_along(axes, dataset.shape),
            part=name,
            lead=dataset.shape[:-2],
            depth=depth_of(dataset.shape, dataset.chunks, dataset.dtype),
            opened=lambda: _opened(path, name),
        )


@contextmanager
def _opened(path: Path, name: str | None) -> Iterator[Any]:
    import h5py  # slow to import

    with h5py.File(path, "r", locking=False) as file:
        yield file if name is None else file[name]


def hdf5_datasets(path: Path) -> list[str]:
    """The datasets of pixels of a file.

    Raises:
        StackError: it cannot be read.
    """
    with readable(path), limited_memory(), _opened(path, None) as file:
        return _datasets(file)


def _datasets(file: Any) -> list[str]:
    """The datasets of pixels; links to other files are not followed."""
    import h5py

    found: list[str] = []

    def see(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "uifb" and item.ndim >= 2:
            found.append(name)

    file.visititems(see)
    return found


def _chosen(file: Any, wanted: str | None) -> str:
    """The dataset that is asked for."""
    found = _datasets(file)
    if wanted is not None and wanted.strip("/") in found:
        return wanted.strip("/")
    held = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    if wanted is not None:
        raise StackError(f"it has no dataset {wanted!r} of pixels; it has {held or 'none'}: correct 'dataset'")
    if len(found) != 1:
        raise StackError(
            f"it has {len(found)} datasets of pixels ({held or 'none'}); select one, as in 'ICE: {{source: "
            "a.h5, dataset: /volume}'"
        )
    return found[0]


def _check_inside(dataset: Any, name: str) -> None:
    if dataset.is_virtual or dataset.external:
        raise StackError(f"dataset {name!r} has its pixels in other files, which are not read; copy them into one")


def _axes(dataset: Any) -> str:
    """A letter an axis: by its labels, or ilastik's axistags, or by their number."""
    labels = [dimension.label.casefold() for dimension in dataset.dims]
    if "axistags" in dataset.attrs:
        labels = [str(axis["key"]).casefold() for axis in json.loads(dataset.attrs["axistags"])["axes"]]
    if len(labels) == dataset.ndim and all(len(label) == 1 for label in labels):
        return "".join(labels)
    return unnamed_axes(dataset.shape)


def _recorded(dataset: Any) -> Recorded:
    sizes = np.ravel(dataset.attrs.get(_SIZE, ()))
    if sizes.shape != (3,) or (sizes == 1).all():
        return Recorded()
    z, y, x = (length_nm(length, "um") for length in sizes)
    return Recorded((z, y, x) if None not in (z, y, x) else UNKNOWN, origin=_SIZE)
