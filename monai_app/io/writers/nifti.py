"""Writing NIfTI: the header by nibabel, then the pixels, plane after plane."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.writers.content import Content
from monai_app.io.writers.packing import zipped

_NOTE = "spacing in micrometres"
"""What a NIfTI file says in its field for remarks."""

_LONGEST = 32767
"""NIfTI-1 keeps lengths in 16 bits."""

_UNITS = ("mm", "micron", "meter")


def write_nifti(path: Path, content: Content) -> None:
    """Write NIfTI, .nii or, compressed, .nii.gz; channels are a fourth axis.

    Micrometres are named in ``descrip`` only: ITK, and so 3D Slicer and MONAI Label, would turn the unit "micron" into
    mm but write labels without it, so that the labels would lie 1000 times as far apart as the image. A viewer's "mm"
    reads as micrometres therefore.

    Raises:
        StackError: it is too long along an axis.
    """
    if max(*content.shape, content.channels) > _LONGEST:
        raise StackError(f"shape {content.shape} exceeds NIfTI's {_LONGEST} along an axis; use .nrrd")
    with path.open("wb") as handle, zipped(handle) if path.suffix == ".gz" else nullcontext(handle) as stream:
        stream.write(_header(content))
        for data in content.little_endian():
            stream.write(data)


def _header(content: Content) -> bytes:
    import nibabel

    make: Any = nibabel.Nifti1Header  # typed in part
    header = make(endianness="<")
    header.set_data_dtype(content.dtype)
    header.set_data_shape((*content.shape[::-1], *([content.channels] if content.channels > 1 else [])))
    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ content.affine + 0.0  # no -0
    header.set_qform(ras, code="scanner")
    header.set_sform(ras, code="scanner")
    header.set_xyzt_units(content.unit if content.unit in _UNITS else "unknown")
    header["descrip"] = b"" if content.unit else _NOTE.encode()
    header["magic"], header["vox_offset"] = b"n+1", len(header.binaryblock) + 4
    header["scl_slope"], header["scl_inter"] = np.nan, np.nan  # as nibabel writes pixels that are not scaled
    return bytes(header.binaryblock) + b"\0" * 4  # no extensions
