"""Work of the worker process: labelling slices of the stack or volumes of clients, and measuring uncertainty."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.active_learning.slice_scores import SliceScore, score_slices
from monai_app.bundle.model import load_model
from monai_app.bundle.runs import WEIGHTS
from monai_app.inference import Predictor, Request
from monai_app.inference.volume import label_volume
from monai_app.io import Grid, write_volume
from monai_app.label.datastore.temporary import called
from monai_app.origin import Stamp, stamp_of
from monai_app.stack import Stack


@dataclass(frozen=True)
class Inference:
    """The picklable parameters of an inference.

    A run labels ``slices`` of a stack in a label volume on a ``grid``, which starts with slice ``first`` and is 0
    elsewhere; or it labels the file ``volume``, whose detectors are the stack's. ``ingested`` is the stack's identity
    at ingestion, ``memory`` the memory limit of the process; None means no limit.
    """

    run: Path
    stack: Path
    ingested: str | None
    device: str
    memory: str | None
    target: Path
    volume: Path | None = None
    slices: Sequence[int] = ()
    first: int = 0
    grid: Grid | None = None


def infer(inference: Inference) -> dict[str, Any]:
    """Write a label volume.

    Returns:
        The response for clients: ``label_names`` (phase: value), ``label_colors`` (phase: red, green, blue),
        ``latencies`` in seconds, and the ``run`` that predicted the labels.

    Raises:
        AppError: the image cannot be read or does not fit the model, or the stack was replaced.
    """
    begin = time.monotonic()
    stack = Stack.open(inference.stack, ingested=inference.ingested)
    predictor = _predictor(inference.run, _version(inference.run), inference.device)
    loaded, request = time.monotonic(), Request.parse(memory=inference.memory)
    if inference.grid is not None:
        labels = np.zeros(inference.grid.shape, np.uint8)
        for z, planes in predictor.predict(stack, inference.slices, request=request):
            labels[z - inference.first] = planes["labels"]
        write_volume(inference.target, labels, inference.grid)
    elif inference.volume is not None:
        with called(inference.volume, "the volume"):
            label_volume(predictor, stack.detectors, inference.volume, inference.target, request)
    phases = predictor.model.spec.phases
    return {
        "label_names": {phase.name: phase.value for phase in phases},
        "label_colors": {phase.name: list(phase.rgb) for phase in phases},
        "run": inference.run.name,
        "latencies": {"load": round(loaded - begin, 3), "total": round(time.monotonic() - begin, 3)},
    }


def measure(run: Path, stack: Path, ingested: str | None, device: str, slices: Sequence[int]) -> list[SliceScore]:
    """Measure the uncertainty of a run's model on slices.

    Raises:
        AppError: see `infer`.
    """
    predictor = _predictor(run, _version(run), device)
    return list(score_slices(Stack.open(stack, ingested=ingested), slices, predictor))


def _version(run: Path) -> tuple[Stamp, ...]:
    """Return a key that changes when the weights or their calibration are replaced."""
    return tuple(stamp_of((run / name).stat()) for name in (WEIGHTS, "configs/metadata.json"))


@lru_cache(maxsize=2)
def _predictor(run: Path, version: tuple[Stamp, ...], device: str) -> Predictor:
    """Load a model once; other weights or another calibration are another model."""
    return Predictor(load_model(run), device)
