"""Writing PNG: one slice of labels, in the colours of the phases."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase

_INCH_NM = 2.54e7


def write_label_png(
    path: Path, plane: npt.NDArray[np.uint8], phases: tuple[Phase, ...], size_nm: tuple[float, float]
) -> None:
    """Write labels as indices into a table of the phases' colours; what is no phase is black.

    Args:
        path: the file.
        plane: (rows, columns), 0 unlabelled, 1..K the phases.
        phases: the phases.
        size_nm: size y, x of a pixel.
    """
    from PIL import Image

    table = np.zeros((256, 3), np.uint8)
    for phase in phases:
        table[phase.value] = phase.rgb
    image = Image.fromarray(plane).convert("P")
    image.putpalette(table.tobytes())
    image.save(path, format="PNG", bits=8, dpi=(_INCH_NM / size_nm[1], _INCH_NM / size_nm[0]))
