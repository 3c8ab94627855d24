"""Segmentation of volume files of other programs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from monai_app.errors import InsufficientSpaceError, StackError
from monai_app.inference.predict import Predictor
from monai_app.inference.tiling.request import Request
from monai_app.io import Volume, read_header, read_volume, write_like
from monai_app.progress import counted
from monai_app.stack import ArrayStack

_COPIES = 3
"""A volume is held as it was sent, as detectors beside each other, and as labels."""


def label_volume(
    predictor: Predictor, detectors: Sequence[str], source: Path, target: Path, request: Request | None = None
) -> None:
    """Write the labels of a volume file, with its geometry.

    Args:
        predictor: the model.
        detectors: names of the volume's detectors.
        source: (x, y, z), or (x, y, z, detectors).
        target: (x, y, z), uint8 labels 1..K.
        request: tile and memory, where they are not left to the planner.

    Raises:
        StackError: the file cannot be read, has other detectors, or axes that are not at right angles.
        InsufficientSpaceError: it does not fit into memory.
    """
    request = request or Request()
    _check_room(source, request)
    volume = read_volume(source)
    _check_turned(volume)
    pixels = volume.pixels if volume.pixels.ndim == 4 else volume.pixels[..., None]
    if pixels.shape[3] != len(detectors):
        raise StackError(
            f"the volume has {counted(pixels.shape[3], 'detector')} and the stack {len(detectors)} "
            f"({', '.join(detectors)}); send one 4-D NIfTI with the axes X, Y, Z, detector, in this order of detectors"
        )
    dtype = predictor.model.spec.dtype
    if pixels.dtype.kind != "u" and np.array_equal(pixels, pixels.astype(dtype)):
        pixels = pixels.astype(dtype)  # programs save whole grey values in other types
    stack = ArrayStack(detectors, np.ascontiguousarray(np.moveaxis(pixels, 3, 0)), source)
    found = predictor.predict(stack, range(stack.shape[0]), request=request)
    write_like(target, np.stack([planes["labels"] for _, planes in found]), volume)


def _check_room(path: Path, request: Request) -> None:
    """Refuse a file whose announced size exceeds the memory before decompressing it."""
    header = read_header(path)
    needed = _COPIES * header.voxels * header.dtype.itemsize
    budget = request.memory or psutil.virtual_memory().available // 2
    if needed > budget:
        raise InsufficientSpaceError(
            f"the volume of {' x '.join(map(str, header.shape))} values needs {needed / 2**20:.0f} MiB and inferences "
            f"may use {budget / 2**20:.0f} MiB; send fewer slices at a time, or allow more (--memory)"
        )


def _check_turned(volume: Volume) -> None:
    """Refuse a sheared grid, which label volumes cannot take over, before the long work."""
    turn = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    if not np.allclose(turn.T @ turn, np.eye(3), atol=1e-3):
        raise StackError("the volume's axes are not at right angles; send one whose axes are")
