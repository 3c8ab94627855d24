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
    """The colour table of a TIFF of labels: (red, green and blue; values); what is not a phase is black."""
    table = np.zeros((3, 256), np.uint16)
    for phase in phases:
        table[:, phase.value] = np.multiply(phase.rgb, 257)
    return table


def write_tiff(path: Path, content: Content) -> None:
    """Write one TIFF as ImageJ reads stacks: compressed pages, the colours of the phases, voxel size in micrometres.

    ImageJ shows the names of the phases under Image > Show Info. Every page has the name of its slice. There is no
    place for where the first voxel lies.

    Raises:
        StackError: there are several channels.
    """
    content.check_one_channel()
    z, y, x = (length / 1000 for length in content.size_nm)
    description = _imagej(content.shape[0], "micron", z)
    names = content.slice_names or ("",) * content.shape[0]
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=content.nbytes > _CLASSIC) as writer:
        for index, (name, plane) in enumerate(zip(names, content.planes, strict=True)):
            writer.write(
                plane,
                **_look(content.phases),
                description=description if index == 0 else None,
                extratags=[
                    *([(_PAGE_NAME, 2, None, name.encode(), True)] if name else []),
                    *(_info(content.phases) if index == 0 else []),
                ],
                resolution=(1 / x, 1 / y),
                resolutionunit=_NONE,
                metadata=None,
                contiguous=False,
            )


def write_slice_tiff(
    path: Path,
    plane: npt.NDArray[np.uint8],
    phases: tuple[Phase, ...] | None,
    voxel_nm: tuple[float, float, float],
) -> None:
    """Write one slice, compressed, with the colours and names of the phases and the size of a voxel.

    The unit is the centimetre, which all programs read; ImageJ shows micrometres.

    Args:
        path: the file.
        plane: (rows, columns), 0 unlabelled, 1..K the phases; or grey values.
        phases: the phases; None of grey values.
        voxel_nm: size z, y, x of a voxel.
    """
    z, y, x = (length / _CENTIMETRE for length in voxel_nm)
    tifffile.imwrite(
        path,
        plane,
        byteorder="<",
        **_look(phases),
        description=_imagej(1, "cm", z),
        extratags=_info(phases),
        resolution=(1 / x, 1 / y),
        resolutionunit="CENTIMETER",
        metadata=None,
    )


def _imagej(slices: int, unit: str, spacing: float) -> str:
    """What ImageJ keeps as the description of the first page."""
    lines = ["ImageJ=1.53", f"images={slices}", f"slices={slices}", f"unit={unit}", f"spacing={spacing!r}", ""]
    return "\n".join(lines)


def _info(phases: tuple[Phase, ...] | None) -> list[Any]:
    """Tags with the text that ImageJ shows: the names of the phases."""
    return list(tifffile.imagej_metadata_tag({"Info": phase_list(phases)} if phases else {}, "<"))


def phase_list(phases: tuple[Phase, ...]) -> str:
    """The phases for people, a line each.

    Example:
        >>> print(phase_list((Phase(value=1, name="pore", rgb=(255, 0, 51)),)))
        phase 1: pore, colour #ff0033
    """
    return "\n".join(f"phase {each.value}: {each.name}, colour {each.colour}" for each in phases)


def write_ome_tiff(path: Path, content: Content) -> None:
    """Write one OME-TIFF: compressed pages, the colours of the phases, voxel size and place in nm.

    Raises:
        StackError: there are several channels.
    """
    content.check_one_channel()
    sizes, places = (dict(zip("ZYX", lengths, strict=True)) for lengths in (content.size_nm, content.origin_nm))
    slices = content.shape[0]
    metadata: dict[str, Any] = {"axes": "ZYX", "Name": content.title}
    if content.phases:
        metadata["Description"] = phase_list(content.phases)
    for axis in "ZYX":
        metadata |= {f"PhysicalSize{axis}": sizes[axis], f"PhysicalSize{axis}Unit": "nm"}
    metadata["Plane"] = {
        "PositionZ": [places["Z"] + z * sizes["Z"] for z in range(slices)],
        "PositionY": [places["Y"]] * slices,
        "PositionX": [places["X"]] * slices,
        **{f"Position{axis}Unit": ["nm"] * slices for axis in "ZYX"},
    }
    with tifffile.TiffWriter(path, ome=True, bigtiff=content.nbytes > _CLASSIC) as writer:
        writer.write(
            content.planes, shape=content.shape, dtype=content.dtype, metadata=metadata, **_look(content.phases)
        )


def _look(phases: tuple[Phase, ...] | None) -> dict[str, Any]:
    packed = {"compression": "zlib", "maxworkers": 1}  # several would gather planes
    if phases is None:
        return {**packed, "photometric": "minisblack"}
    return {**packed, "photometric": "palette", "colormap": colours(phases)}
