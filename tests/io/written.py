"""Small stacks as other programs' libraries write them: HDF5, MRC, OME-Zarr, PNG, EMD."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import numpy as np
import numpy.typing as npt
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_labels
from PIL import Image

Pixels = npt.NDArray[Any]


def by_h5py(path: Path, stack: Pixels, name: str = "volume", **options: Any) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=stack, **options)


def by_mrcfile(path: Path, stack: Pixels, voxel_angstrom: tuple[float, float, float] = (0, 0, 0)) -> None:
    """The size is that of x, y, z, as mrcfile takes it."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(stack)
        file.set_volume()
        file.voxel_size = voxel_angstrom


def by_ome_zarr(
    path: Path,
    stack: Pixels,
    version: str = "0.5",
    axes: str = "zyx",
    scale: Sequence[float] | None = None,
    unit: str = "micrometer",
) -> zarr.Group:
    form = FormatV04() if version == "0.4" else FormatV05()
    group = zarr.open_group(str(path), mode="w", zarr_format=form.zarr_format)
    sizes = None if scale is None else dict(zip(axes, scale, strict=True))
    units = {axis: unit for axis in axes if axis != "c"}
    write_image(stack, group, axes=axes, fmt=form, scale_factors=[], scale=sizes, axes_units=units)
    return group


def labels_by_ome_zarr(group: zarr.Group, name: str, stack: Pixels) -> None:
    form = FormatV04() if group.metadata.zarr_format == 2 else FormatV05()
    with warnings.catch_warnings():  # it deprecates an argument that it sets itself
        warnings.simplefilter("ignore")
        write_labels(stack, group, name, axes="zyx", fmt=form, scale_factors=[])


def by_pillow(folder: Path, stack: Pixels, pattern: str = "slice_{}.png", **options: Any) -> None:
    folder.mkdir(exist_ok=True)
    for z, plane in enumerate(stack):
        Image.fromarray(plane).save(folder / pattern.format(z), **options)


def by_rosetta(path: Path, stack: Pixels, title: str = "ICE", sizes: Sequence[tuple[float, str]] = ()) -> None:
    from rsciio import emd

    sizes = sizes or [(1.0, "")] * stack.ndim
    axes = [
        {"name": name, "size": length, "scale": scale, "units": unit, "offset": 0.0, "navigate": number == 0}
        for number, (name, length, (scale, unit)) in enumerate(zip("zyx", stack.shape, sizes, strict=True))
    ]
    metadata = {"General": {"title": title}, "Signal": {}}
    rest: dict[str, Any] = {"original_metadata": {}, "learning_results": {}, "attributes": {}}
    emd.file_writer(str(path), {"data": np.asarray(stack), "axes": axes, "metadata": metadata, **rest})
