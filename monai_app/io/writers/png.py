"""Writing PNG: one slice of labels in the colours of the phases, or of a map."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase

_INCH_NM = 2.54e7


def write_slice_png(
    path: Path,
    plane: npt.NDArray[np.uint8],
    phases: tuple[Phase, ...] | None,
    voxel_nm: tuple[float, float, float],
) -> None:
    """Write labels as indices into a table of the phases' colours; what is not a phase is black.

    Args:
        path: the file.
        plane: (rows, columns), 0 unlabelled, 1..K the phases; or grey values.
        phases: the phases; None of grey values.
        voxel_nm: size z, y, x of a voxel; PNG has a place for the last two.
    """
    from PIL import Image

    image = Image.fromarray(plane)
    if phases is not None:
        table = np.zeros((256, 3), np.uint8)
        for phase in phases:
            table[phase.value] = phase.rgb
        image = image.convert("P")
        image.putpalette(table.tobytes())
    image.save(path, format="PNG", bits=8, dpi=(_INCH_NM / voxel_nm[2], _INCH_NM / voxel_nm[1]))
