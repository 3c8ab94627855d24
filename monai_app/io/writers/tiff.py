"""Writing TIFF and OME-TIFF: a page for every slice."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from monai_app.domain.phase import Phase
from monai_app.io.writers.content import Content

_CLASSIC = 4_000_000_000
"""Bytes of pixels up to which the offsets of a TIFF are certain to fit into 32 bits."""

_PAGE_NAME = 285
"""The tag of a page's name."""

_CENTIMETRE = 1e7
"""In nm; the largest unit of resolution that a TIFF may name."""

_NONE = 1
"""ResolutionUnit of resolutions whose unit stands elsewhere."""


def colours(phases: tuple[Phase, ...]) -> npt.NDArray[np.uint16]:
    """The colour table of a TIFF of labels: (red, green and blue; values); what is no phase is black."""
    table = np.zeros((3, 256), np.uint16)
    for phase in phases:
        table[:, phase.value] = np.multiply(phase.rgb, 257)
    return table


def write_tiff(path: Path, content: Content) -> None:
    """Write one TIFF as ImageJ reads stacks: compressed pages, the colours of the phases, voxel size in micrometres.

    Every page has the name of its slice. TIFF has no place for where the first voxel lies.

    Raises:
        StackError: there are several channels.
    """
    content.check_one_channel()
    z, y, x = (length / 1000 for length in content.size_nm)
    lines = ["ImageJ=1.53", f"images={content.shape[0]}", f"slices={content.shape[0]}", "unit=micron", f"spacing={z!r}"]
    names = content.slice_names or ("",) * content.shape[0]
    with tifffile.TiffWriter(path, bigtiff=content.nbytes > _CLASSIC) as writer:
        for index, (name, plane) in enumerate(zip(names, content.planes, strict=True)):
            writer.write(
                plane,
                **_look(content),
                description="\n".join([*lines, ""]) if index == 0 else None,
                extratags=[(_PAGE_NAME, 2, None, name.encode(), True)] if name else [],
                resolution=(1 / x, 1 / y),
                resolutionunit=_NONE,
                metadata=None,
                contiguous=False,
            )


def write_label_tiff(
    path: Path, plane: npt.NDArray[np.uint8], phases: tuple[Phase, ...], size_nm: tuple[float, float]
) -> None:
    """Write one slice of labels, compressed, with the colours of the phases and the size of a pixel.

    Args:
        path: the file.
        plane: (rows, columns), 0 unlabelled, 1..K the phases.
        phases: the phases.
        size_nm: size y, x of a pixel.
    """
    tifffile.imwrite(
        path,
        plane,
        compression="zlib",
        photometric="palette",
        colormap=colours(phases),
        resolution=(_CENTIMETRE / size_nm[1], _CENTIMETRE / size_nm[0]),
        resolutionunit="CENTIMETER",
    )


def write_ome_tiff(path: Path, content: Content) -> None:
    """Write one OME-TIFF: compressed pages, the colours of the phases, voxel size and place in nm.

    Raises:
        StackError: there are several channels.
    """
    content.check_one_channel()
    sizes, places = (dict(zip("ZYX", lengths, strict=True)) for lengths in (content.size_nm, content.origin_nm))
    slices = content.shape[0]
    metadata: dict[str, Any] = {"axes": "ZYX", "Name": content.title}
    for axis in "ZYX":
        metadata |= {f"PhysicalSize{axis}": sizes[axis], f"PhysicalSize{axis}Unit": "nm"}
    metadata["Plane"] = {
        "PositionZ": [places["Z"] + z * sizes["Z"] for z in range(slices)],
        "PositionY": [places["Y"]] * slices,
        "PositionX": [places["X"]] * slices,
        **{f"Position{axis}Unit": ["nm"] * slices for axis in "ZYX"},
    }
    with tifffile.TiffWriter(path, ome=True, bigtiff=content.nbytes > _CLASSIC) as writer:
        writer.write(content.planes, shape=content.shape, dtype=content.dtype, metadata=metadata, **_look(content))


def _look(content: Content) -> dict[str, Any]:
    packed = {"compression": "zlib", "maxworkers": 1}  # several would gather planes
    if content.phases is None:
        return {**packed, "photometric": "minisblack"}
    return {**packed, "photometric": "palette", "colormap": colours(content.phases)}
