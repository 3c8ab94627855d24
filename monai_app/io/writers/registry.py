"""The formats that are written, by suffix; a new one is a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monai_app.errors import StackError
from monai_app.io.writers.content import Content
from monai_app.io.writers.hdf5 import write_hdf5
from monai_app.io.writers.metaimage import write_metaimage
from monai_app.io.writers.mrc import write_mrc
from monai_app.io.writers.nifti import write_nifti
from monai_app.io.writers.nrrd import write_nrrd, write_seg_nrrd
from monai_app.io.writers.tiff import write_ome_tiff, write_tiff


@dataclass(frozen=True)
class Writer:
    """A file format that is written.

    Args:
        name: what users call it.
        suffixes: how names of such files end, in lower case.
        write: writes a file.
        labels: whether it holds labels only.
    """

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Path, Content], None]
    labels: bool = False


WRITERS: list[Writer] = [
    Writer("OME-TIFF", (".ome.tiff", ".ome.tif"), write_ome_tiff),
    Writer("TIFF", (".tiff", ".tif"), write_tiff),
    Writer("NIfTI", (".nii.gz", ".nii"), write_nifti),
    Writer("3D Slicer segmentation", (".seg.nrrd",), write_seg_nrrd, labels=True),
    Writer("NRRD", (".nrrd",), write_nrrd),
    Writer("MetaImage", (".mha",), write_metaimage),
    Writer("HDF5", (".hdf5", ".h5"), write_hdf5),
    Writer("MRC", (".mrc",), write_mrc),
]
"""All formats; the first whose suffix a name has is meant."""


def writer_of(path: Path, writers: list[Writer] | None = None) -> Writer:
    """The writer of a file by its name.

    Args:
        path: the file.
        writers: those among which it must be; None for all.

    Raises:
        StackError: its suffix is that of none.
    """
    writers, name = WRITERS if writers is None else writers, path.name.casefold()
    for writer in writers:
        if any(name.endswith(suffix) and name != suffix for suffix in writer.suffixes):
            return writer
    known = ", ".join(suffix for writer in writers for suffix in writer.suffixes)
    raise StackError(f"{path} ends in none of {known}, by which the format is known; rename it")
