"""The formats that are read, by suffix; a new one is a line here."""

from pathlib import Path

from monai_app.errors import StackError
from monai_app.io.base import Format
from monai_app.io.metaimage import read_metaimage
from monai_app.io.nifti import read_nifti
from monai_app.io.nrrd import read_nrrd
from monai_app.io.tiff import open_tiff
from monai_app.io.volume import VolumeFormat, volume_format

FORMATS: list[Format] = [
    Format("TIFF", (".ome.tiff", ".ome.tif", ".tiff", ".tif"), open_tiff),
    volume_format("NIfTI", (".nii.gz", ".nii"), read_nifti),
    volume_format("NRRD", (".nrrd",), read_nrrd),
    volume_format("MetaImage", (".mha", ".mhd"), read_metaimage),
]
"""All formats. Where a folder has files of several, the first of them is meant."""


def find_format(path: Path) -> Format | None:
    """The format of a file by its name; None where it is none that is known."""
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


def volume_format_of(path: Path) -> VolumeFormat:
    """The format of a volume file by its name.

    Raises:
        StackError: it is no format of volumes.
    """
    form = find_format(path)
    if not isinstance(form, VolumeFormat):
        raise StackError(f"{path} is no volume file ({suffixes(VolumeFormat)}); convert or rename it")
    return form


def suffixes(kind: type[Format] = Format) -> str:
    """The suffixes of all formats of a kind, as messages give them."""
    return ", ".join(suffix for form in FORMATS if isinstance(form, kind) for suffix in form.suffixes)


def stem(path: Path) -> str:
    """The name of a file without the suffix of its format: ``slice_1`` for ``slice_1.ome.tif``."""
    form = find_format(path)
    suffix = next((end for end in form.suffixes if path.name.casefold().endswith(end)), "") if form else path.suffix
    return path.name.removesuffix(path.name[-len(suffix) :]) if suffix else path.name
