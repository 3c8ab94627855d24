"""What is measured on the device."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import inference
import torch
import training_steps
from inference import NETWORKS
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor, nn

from gpu_parts.place import Place
from monai_app.bundle.model import load_model
from monai_app.device.copies import finish
from monai_app.device.precision import full_precision, has_bfloat16
from monai_app.inference import ExactInferer, Predictor
from monai_app.stack import Stack
from monai_app.transforms import phase_labels

FEWEST, MOST, ENOUGH = 3, 7, 1.0
"""Runs of every way, of which the first does not count, and seconds after which no more are made."""

Arithmetic = Callable[[], AbstractContextManager[None]]

Way = tuple[Callable[[], object], int]
"""What labels some target slices, and how many."""


def arithmetics(place: Place) -> dict[str, Arithmetic]:
    """The engine's float32, and on a card also TF32, in which torch convolves unless it is told not to."""
    return {"": full_precision, **({", TF32": nullcontext} if place.device.type == "cuda" else {})}


def segmenting(place: Place) -> dict[str, Any]:
    """Mpixel/s from the store to the store, beside MONAI's sliding window; the second of two runs.

    The engine itself never rounds to TF32; here it is made to, to compare the two in both.
    """
    methods = ["engine", *(["engine bfloat16"] if has_bfloat16(place.device) else []), "monai", "monai, c.-last"]
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        for method, (rounding, arithmetic) in product(methods, arithmetics(place).items()):
            if rounding and method == "engine bfloat16":
                continue
            part = list(range(1 if place.tiny else 4))
            one = {"method": method, "stack": str(place.large_stack), "run": str(place.run(network)), "part": part}
            with mock.patch("monai_app.inference.worker.full_precision", arithmetic), arithmetic():
                for _ in range(1 if place.tiny else 2):
                    found = inference.MEASURES[method](**one, device=str(place.device))
            rows.append(_told({"name": f"{network}, {method}{rounding}", "Mpixel/s": 1 / found["seconds_per_mpixel"]}))
    return {"rows": rows}


def networks(place: Place) -> dict[str, Any]:
    """Mpixel/s from grey values in memory to labels on the device, and of inferers of scaled images that lie there."""
    rows: list[dict[str, Any]] = []
    side = 64 if place.tiny else 512
    for network in NETWORKS:
        predictor = Predictor(load_model(place.run(network)), place.device)
        image, ways = _image(predictor, place), dict[str, Way]()
        for stripe, targets in product((32, 96) if place.tiny else (256, 2048), (1, 2) if place.tiny else (1, 4)):
            ways[f"{stripe} rows at a time, targets: {targets}"] = (
                _streaming(predictor, place, stripe, targets),
                targets,
            )
        inferers: dict[str, Inferer] = {"halo tiles": ExactInferer((side, side), predictor.model.spec.stride)}
        for windows in (1, 8):
            name = f"monai, windows at a time: {windows}"
            inferers[name] = SlidingWindowInferer((side, side), windows, 0.25, mode="gaussian")
        ways |= {name: (_inferred(predictor, image, inferer), 1) for name, inferer in inferers.items()}
        rows += _measured(place, network, ways, image, arithmetics(place))
    return {"rows": rows}


def compiled(place: Place) -> dict[str, Any]:
    """Mpixel/s of one tile of 512 pixels by the plain network, as a CUDA graph, and compiled."""
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        predictor = Predictor(load_model(place.run(network)), place.device)
        plain, image = predictor.model.network, _image(predictor, place)
        tile = image[..., :512, :512].contiguous(memory_format=torch.channels_last)
        ways: dict[str, Way] = {"plain": (partial(plain, tile), 1)}
        if not place.tiny:
            ways |= {"CUDA graph": (_Graph(plain, tile), 1), "torch.compile": (partial(torch.compile(plain), tile), 1)}
        rows += _measured(place, network, ways, tile, {"": full_precision})
    return {"rows": rows}


def _image(predictor: Predictor, place: Place) -> Tensor:
    """A scaled slab on the device, (1, S*C, rows, columns), channels-last."""
    spec, (_, rows, columns) = predictor.model.spec, Stack.open(place.large_stack).shape
    shape = (1, len(spec.channel_name), rows, columns)
    return torch.randn(shape, device=place.device).contiguous(memory_format=torch.channels_last)


def _streaming(predictor: Predictor, place: Place, stripe: int, targets: int) -> Callable[[], object]:
    stack, spec = Stack.open(place.large_stack), predictor.model.spec
    sequence = range(targets + spec.slices - 1)
    planes = {z: stack.read_slab(z, spec.detectors, 1) for z in sequence}

    def work() -> None:
        for _, _, logits in predictor.network.logits(planes, sequence, targets, stripe):
            phase_labels(logits, -1)

    return work


def _inferred(predictor: Predictor, image: Tensor, inferer: Inferer) -> Callable[[], object]:
    return lambda: phase_labels(inferer(image, predictor.model.network), 1)


class _Graph:
    """The network on one image as a CUDA graph, recorded at the first call."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self._network, self._image = network, image
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        with torch.cuda.device(self._image.device):
            if self._graph is None:
                self._graph = self._recorded()
            self._graph.replay()

    def _recorded(self) -> torch.cuda.CUDAGraph:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._network(self._image)  # what libraries make at their first call cannot be recorded
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._network(self._image)
        return graph


def _measured(
    place: Place, network: str, ways: dict[str, Way], image: Tensor, kinds: dict[str, Arithmetic]
) -> list[dict[str, Any]]:
    """Mpixel/s of every way; an error, as of a compiler that is missing, is told in its row."""
    rows = []
    for (name, (work, targets)), (rounding, arithmetic) in product(ways.items(), kinds.items()):
        row: dict[str, Any] = {"name": f"{network}, {name}{rounding}"}
        try:
            with torch.no_grad(), arithmetic():
                seconds = _seconds(place, work)
            row["Mpixel/s"] = targets * image.shape[-2] * image.shape[-1] / seconds / 1e6
        except RuntimeError as error:
            row["failed"] = str(error).strip().splitlines()[0][:200]
        rows.append(_told(row))
    return rows


def _seconds(place: Place, work: Callable[[], object]) -> float:
    """The median of some runs after a first one."""
    seconds: list[float] = []
    while len(seconds) < FEWEST or (len(seconds) < MOST and sum(seconds) < ENOUGH and not place.tiny):
        finish(place.device)
        begin = time.perf_counter()
        work()
        finish(place.device)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Say a row at once, and return it: it stays where the part's time runs out."""
    print("ROW " + json.dumps(row), flush=True)
    return row


def training(place: Place) -> dict[str, Any]:
    """Steps/s of the bundle's training beside a plain MONAI loop, both in mixed precision on CUDA."""
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        changes = [*(place.settings(network) if place.tiny else []), f"device={place.device}"]
        given = argparse.Namespace(work=place.work / "steps", rounds=1 if place.tiny else 3, processor_time=False)
        given.steps, given.set = (2 if place.tiny else 12), changes
        found = training_steps.compare(given, place.stack, network)
        rows += [{"name": f"{network}, {name}", "steps/s": 1 / found[name]["step"]} for name in training_steps.METHODS]
    return {"rows": rows}
