"""What the identity of a stack is taken over."""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase


def identity_frame(
    detectors: Sequence[str],
    shape: tuple[int, int, int],
    dtype: str,
    annotated: Sequence[int],
    phases: Sequence[Phase],
    gaps: Sequence[int],
) -> bytes:
    """What it covers beside the pixels and annotations: also what the annotations' values mean.

    Args:
        detectors: the detector names in channel order.
        shape: (slices, rows, columns).
        dtype: ``"uint8"`` or ``"uint16"``.
        annotated: every annotated z, ascending.
        phases: the phases 1..K.
        gaps: slices before which others are missing.
    """
    meaning = [[phase.value, phase.name] for phase in phases]
    kept = [list(gaps)] if gaps else []  # stacks without any keep the identity that they had
    return json.dumps([list(detectors), *shape, dtype, list(annotated), meaning, *kept]).encode()


def plane_bytes(plane: npt.NDArray[np.integer]) -> memoryview:
    """The pixels row by row in little-endian order, whatever the machine's is."""
    return np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).data.cast("B")
