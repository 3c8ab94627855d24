"""The formats that are read, by suffix; a new one is a line here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, Request
from monai_app.io.formats.hdf5 import hdf5_datasets, open_hdf5
from monai_app.io.formats.metaimage import read_metaimage
from monai_app.io.formats.mrc import open_mrc
from monai_app.io.formats.ngff import ngff_images, open_ngff
from monai_app.io.formats.nifti import read_nifti
from monai_app.io.formats.nrrd import read_nrrd
from monai_app.io.formats.png import open_png
from monai_app.io.formats.rosetta import READERS, open_rosetta
from monai_app.io.formats.tiff import open_tiff
from monai_app.io.volume import Header, open_volume


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        name: what users call it.
        suffixes: how names of such files end, in lower case, the longest first.
        open: makes a `PlaneFile` of a path and of what is asked for.
        header: reads what a volume file says of itself; None if the format is none of volumes.
        folder: whether such a "file" is a folder.
        datasets: lists what a file holds that a request may name as its dataset; None if it is one thing.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path, Request], PlaneFile]
    header: Callable[[Path], Header] | None = None
    folder: bool = False
    datasets: Callable[[Path], list[str]] | None = None


def _volumes(name: str, suffixes: tuple[str, ...], header: Callable[[Path], Header]) -> Format:
    return Format(name, suffixes, lambda path, request: open_volume(header, path, request), header)


FORMATS: list[Format] = [
    Format("TIFF", (".ome.tiff", ".ome.tif", ".tiff", ".tif"), open_tiff),
    _volumes("NIfTI", (".nii.gz", ".nii"), read_nifti),
    _volumes("NRRD", (".nrrd",), read_nrrd),
    _volumes("MetaImage", (".mha", ".mhd"), read_metaimage),
    Format("MRC", (".mrc", ".rec"), open_mrc),
    Format("HDF5", (".hdf5", ".h5", ".hdf"), open_hdf5, datasets=hdf5_datasets),
    Format("OME-Zarr", (".ome.zarr", ".zarr"), open_ngff, folder=True, datasets=ngff_images),
    Format("PNG", (".png",), open_png),
    Format("RosettaSciIO", tuple(READERS), open_rosetta),
]
"""All formats. If a folder has files of several, the first of them is meant."""


def find_format(path: Path) -> Format | None:
    """The format of a file by its name; None if it is none that is known."""
    return next((form for form in FORMATS if path.name.casefold().endswith(form.suffixes)), None)


def format_of(path: Path) -> Format:
    """The format of a file by its name.

    Raises:
        StackError: it is none that is known.
    """
    form = find_format(path)
    if form is None:
        raise StackError(f"{path} ends in none of {suffixes()}, by which the format is known; convert or rename it")
    return form


def suffixes(*, volumes: bool = False) -> str:
    """The suffixes of all formats, or of those of volumes, as messages give them."""
    return ", ".join(suffix for form in FORMATS if form.header or not volumes for suffix in form.suffixes)


def is_volume(path: Path | str) -> bool:
    """Whether a path is that of a volume file, by its name."""
    form = find_format(Path(path))
    return form is not None and form.header is not None


def stem(path: Path) -> str:
    """The name of a file without the suffix of its format: ``slice_1`` for ``slice_1.ome.tif``."""
    form = find_format(path)
    suffix = next((end for end in form.suffixes if path.name.casefold().endswith(end)), "") if form else path.suffix
    return path.name.removesuffix(path.name[-len(suffix) :]) if suffix else path.name


def open_text(path: Path, pattern: str | None) -> str:
    """What a pattern of file names leaves open of one, without its suffix: what images and labels of a slice share.

    Example:
        >>> open_text(Path("s_ICE_0001.tif"), "*_ICE_*"), open_text(Path("a_label.tif"), "*_label.tif")
        ('s*0001', 'a')
        >>> open_text(Path("0001.tif"), None)
        '0001'
    """
    parts = [] if pattern is None else re.split(r"([*?])", re.sub(r"\*+", "*", pattern))
    regex = "".join({"*": "(.*?)", "?": "(.)"}.get(part) or re.escape(part.replace("[[]", "[")) for part in parts)
    found = re.fullmatch(regex, path.name, re.IGNORECASE)
    if found is None:
        return stem(path)
    *first, last = found.groups() or ("",)
    return "*".join((*first, last.removesuffix(path.name[len(stem(path)) :])))
