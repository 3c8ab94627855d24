"""Writing HDF5: one dataset, with the attributes that Fiji's plugins and ilastik read."""

from pathlib import Path

import numpy as np

from monai_app.io.writers.content import Content

DATASET = "data"
"""The dataset that holds the pixels; ilastik and Fiji offer it by name."""

_CHUNK = 1024


def write_hdf5(path: Path, content: Content) -> None:
    """Write HDF5: the dataset `data` (slices, rows, columns), compressed, chunks of one slice.

    Its attributes: ``element_size_um`` and ``origin_um`` (z, y, x), ``title``, and of labels ``phase_values``,
    ``phase_names`` and ``phase_rgb``. The names of the slices are a dataset beside it, ``slice_names``.

    Raises:
        StackError: there are several channels.
    """
    import h5py  # slow to import

    content.check_one_channel()
    chunks = (1, *(min(_CHUNK, length) for length in content.shape[1:]))
    with h5py.File(path, "w", libver=("v108", "latest")) as file:
        data = file.create_dataset(
            DATASET, content.shape, content.dtype, chunks=chunks, compression="gzip", compression_opts=1
        )
        for axis, name in enumerate("zyx"):
            data.dims[axis].label = name
        data.attrs["element_size_um"] = np.divide(content.size_nm, 1000)
        data.attrs["origin_um"] = np.divide(content.origin_nm, 1000)
        data.attrs["title"] = content.title
        if content.slice_names:
            file.create_dataset("slice_names", data=list(content.slice_names), dtype=h5py.string_dtype())
        if content.phases:
            data.attrs["phase_values"] = [phase.value for phase in content.phases]
            data.attrs["phase_names"] = np.array([phase.name for phase in content.phases], h5py.string_dtype())
            data.attrs["phase_rgb"] = np.array([phase.rgb for phase in content.phases], np.uint8)
        for z, plane in enumerate(content.planes):
            data[z] = plane
