"""What the worker does: label slices of the stack or a volume that a client sent, and measure how sure a model is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from monai_app.active_learning.slice_scores import SliceScore, score_slices
from monai_app.bundle.model import load_model
from monai_app.errors import StackError
from monai_app.inference import Predictor, Request
from monai_app.io import Grid, Volume, read_header, read_volume, write_like, write_volume
from monai_app.label.datastore.temporary import called
from monai_app.label.errors import NoRoomError
from monai_app.stack import ArrayStack, Stack

_COPIES = 3
"""A volume is held as it was sent, as detectors beside each other, and as labels."""


@dataclass(frozen=True)
class Inference:
    """What an inference needs to know; it can be pickled.

    Attributes:
        run: the run folder.
        stack: path of the stack; it names the detectors of volumes too.
        target: the label volume to write.
        slices: slices of the stack to label, where the image is one of its cases.
        first: the first slice in the label volume.
        grid: where its voxels lie; slices that are not labelled are 0.
        volume: the file to label otherwise.
        device: where the network runs.
        memory: that the process may use; None takes what is good.
        ingested: the identity at the ingestion that the stack must have; None takes any.
    """

    run: Path
    stack: Path
    target: Path
    slices: Sequence[int] = ()
    first: int = 0
    grid: Grid | None = None
    volume: Path | None = None
    device: str = "cpu"
    memory: str | None = None
    ingested: str | None = None


def infer(inference: Inference) -> dict[str, Any]:
    """Write the label volume of a inference.

    Returns:
        What clients are told: ``label_names`` (phase: value), ``label_colors`` (phase: red, green, blue), ``latencies``
        in seconds, and the ``run`` that gave the labels.

    Raises:
        AppError: the image cannot be read or does not fit the model, or the stack was replaced.
    """
    begin = time.monotonic()
    stack = Stack.open(inference.stack, ingested=inference.ingested)
    predictor = _predictor(inference.run, _version(inference.run), inference.device)
    loaded = time.monotonic()
    request = Request.parse(memory=inference.memory)
    if inference.grid is not None:
        labels = np.zeros(inference.grid.shape, np.uint8)
        for z, planes in predictor.predict(stack, inference.slices, request=request):
            labels[z - inference.first] = planes["labels"]
        write_volume(inference.target, labels, inference.grid)
    else:
        _infer_volume(inference, stack.detectors, predictor, request)
    phases = predictor.model.spec.phases
    return {
        "label_names": {phase.name: phase.value for phase in phases},
        "label_colors": {phase.name: list(phase.rgb) for phase in phases},
        "run": inference.run.name,
        "latencies": {"load": round(loaded - begin, 3), "total": round(time.monotonic() - begin, 3)},
    }


def _infer_volume(inference: Inference, detectors: Sequence[str], predictor: Predictor, request: Request) -> None:
    assert inference.volume is not None
    with called(inference.volume, "the volume"):
        _check_room(inference.volume, request)
        volume = read_volume(inference.volume)
    _check_turned(volume)
    pixels = volume.pixels if volume.pixels.ndim == 4 else volume.pixels[..., None]
    if pixels.shape[3] != len(detectors):
        raise StackError(
            f"the volume has {pixels.shape[3]} detector(s) and the stack {len(detectors)} ({', '.join(detectors)}); "
            "send one 4-D NIfTI with the axes X, Y, Z, detector, in this order of detectors"
        )
    if pixels.dtype.kind != "u" and np.array_equal(pixels, pixels.astype(predictor.model.spec.dtype)):
        pixels = pixels.astype(predictor.model.spec.dtype)  # clients save whole grey values in other types
    source = ArrayStack(detectors, np.ascontiguousarray(np.moveaxis(pixels, 3, 0)), inference.volume)
    found = predictor.predict(source, range(source.shape[0]), request=request)
    write_like(inference.target, np.stack([planes["labels"] for _, planes in found]), volume)


def measure(run: Path, stack: Path, slices: Sequence[int], device: str, ingested: str | None) -> list[SliceScore]:
    """Measure how sure a run's model is of slices.

    Raises:
        AppError: as `infer`.
    """
    predictor = _predictor(run, _version(run), device)
    return list(score_slices(Stack.open(stack, ingested=ingested), slices, predictor))


def _check_room(path: Path, request: Request) -> None:
    """Refuse what a file announces and the memory cannot hold, before it is unpacked: a few bytes may become many."""
    header = read_header(path)
    needed = _COPIES * header.voxels * header.dtype.itemsize
    budget = request.memory or psutil.virtual_memory().available // 2
    if needed > budget:
        raise NoRoomError(
            f"the volume of {' x '.join(map(str, header.shape))} values needs {needed / 2**20:.0f} MiB and inferences "
            f"may use {budget / 2**20:.0f} MiB; send fewer slices at a time, or allow more (--memory)"
        )


def _check_turned(volume: Volume) -> None:
    """Refuse a sheared grid, which label volumes cannot take over, before the long work."""
    turn = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    if not np.allclose(turn.T @ turn, np.eye(3), atol=1e-3):
        raise StackError("the volume's axes are not at right angles; send one whose axes are")


def _version(run: Path) -> tuple[int, int]:
    """What changes when the weights are replaced."""
    status = (run / "models" / "model.pt").stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _predictor(run: Path, version: tuple[int, int], device: str) -> Predictor:
    """A model is loaded and measured once; another file of weights is another model."""
    return Predictor(load_model(run), device)
