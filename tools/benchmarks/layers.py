"""Where the time of segmenting goes: every layer of a network's row stream, and what lies between them.

    python tools/benchmarks/layers.py runs/unet --columns 4064 --rows 256 --json layers.json

Runs some rows of grey values drawn at random several times and takes each layer's least time. Times are processor time
with one thread, and seconds with more. Operations are those of a plain convolution of the layer's kernel, whatever
computes it.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import command, machine, write_json
from torch import Tensor

from monai_app.bundle.model import load_model
from monai_app.device.malloc import keep_freed_memory
from monai_app.inference.compute import TileNetwork
from monai_app.inference.outputs import Outputs
from monai_app.inference.streaming.doubling import Doubling
from monai_app.inference.streaming.layers import BlockConvTranspose, Convolution, Fetch, Layer
from monai_app.inference.streaming.rows import RowStream
from monai_app.inference.streaming.upload import Uploader
from monai_app.inference.streaming.window import Window

STRIPE = 32


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--columns", type=int, default=4064)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where the results go")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    content = measure(given)
    print_table(content)
    if given.json:
        write_json(given.json, {"machine": machine(), "command": command(), **content})


@dataclass(frozen=True, kw_only=True)
class Timed(Layer):
    """A layer whose time is noted, without that of gathering the rows it reads."""

    layer: Layer
    clock: Any
    spent: dict[str, float]

    @property
    def step(self) -> int:
        """The layer's."""
        return self.layer.step

    def window(self, place: int) -> Window:
        """The layer's."""
        return self.layer.window(place)

    def reads(self, place: int, first: int, stop: int) -> tuple[int, int]:
        """The layer's."""
        return self.layer.reads(place, first, stop)

    def rows(self, fetch: Fetch, first: int, stop: int, height: int) -> Tensor:
        """The layer's, timed."""
        gathering = 0.0

        def timed_fetch(source: int, low: int, high: int, outside: float | None) -> Tensor:
            nonlocal gathering
            begin = self.clock()
            rows = fetch(source, low, high, outside)
            gathering += self.clock() - begin
            return rows

        begin = self.clock()
        made = self.layer.rows(timed_fetch, first, stop, height)
        self.spent["layer"] += self.clock() - begin - gathering
        self.spent["gathering"] += gathering
        self.spent["pixels"] += made.shape[0] * made.shape[1]
        return made

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        """Not used: `rows` asks the layer for them."""
        raise NotImplementedError


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Return the time per megapixel of every kind of layer, and of all else."""
    clock = time.thread_time if given.threads == 1 else time.perf_counter
    model = load_model(given.run)
    model.load()
    device, spec = torch.device("cpu"), model.spec
    stream, notes = timed(TileNetwork(model, device).stream(1), clock)
    uploader = Uploader(model, device, torch.float32)
    shape = (len(spec.detectors), given.rows, given.columns)
    planes = {z: np.random.default_rng(z).integers(0, 255, shape, np.uint8) for z in range(spec.slices)}
    runs = []
    for _ in range(given.repeats):
        for note in notes:
            note.clear()
        begin = clock()
        stripes, labels = uploader.stripes(planes, range(spec.slices), STRIPE), 0.0
        for _, _, logits in stream.run(stripes, given.rows):
            before = clock()
            Outputs().planes(logits)
            labels += clock() - before
        runs.append((clock() - begin, labels, [dict(note) for note in notes]))
    total, labels, spent = min(runs, key=lambda run: run[0])
    return summary(stream, total, labels, spent, given.rows * given.columns / 1e6)


def timed(stream: RowStream, clock: Any) -> tuple[RowStream, list[dict[str, float]]]:
    """Return a stream whose layers note their time."""
    notes = [defaultdict[str, float](float) for _ in stream.layers]
    layers = tuple(
        Timed(sources=layer.sources, target=layer.target, height=layer.height, width=layer.width,
              layer=layer, clock=clock, spent=note)
        for layer, note in zip(stream.layers, notes, strict=True)
    )  # fmt: skip
    return replace(stream, layers=layers), list(notes)


def summary(
    stream: RowStream, total: float, labels: float, spent: list[dict[str, float]], mpixel: float
) -> dict[str, Any]:
    """Add up layers of one kind and size."""
    rows: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for layer, note in zip(stream.layers, spent, strict=True):
        assert isinstance(layer, Timed)
        sources = " + ".join(str(stream.channels[source]) for source in layer.sources)
        row = rows[type(layer.layer).__name__, f"{sources} to {stream.channels[layer.target]}"]
        row["seconds"] += note["layer"] / mpixel
        row["gflop"] += note["pixels"] * per_pixel(layer.layer, stream.channels) / mpixel / 1e9
    table = [
        {"layer": kind, "channels": channels, **row, "share": row["seconds"] * mpixel / total}
        for (kind, channels), row in rows.items()
    ]
    gathering = sum(note["gathering"] for note in spent)
    layers = sum(note["layer"] for note in spent)
    other = {"gathering rows": gathering, "labels": labels, "rest": total - gathering - labels - layers}
    return {
        "seconds_per_mpixel": total / mpixel,
        "layers": sorted(table, key=lambda row: -row["seconds"]),
        "other": {name: seconds / mpixel for name, seconds in other.items()},
    }


def per_pixel(layer: Layer, channels: tuple[int, ...]) -> float:
    """Operations per pixel that a layer makes, twice the multiplications."""
    if isinstance(layer, Convolution):
        return 2.0 * layer.weight.numel()
    if isinstance(layer, Doubling):
        return 2.0 * layer.corners.weight.numel() / 4
    if isinstance(layer, BlockConvTranspose):
        return 2.0 * channels[layer.sources[0]] * channels[layer.target]
    return 0.0


def print_table(content: dict[str, Any]) -> None:
    """Print one row for each kind of layer."""
    for row in content["layers"]:
        speed = row["gflop"] / row["seconds"]
        print(
            f"{row['layer']:20} {row['channels']:>16} {1e3 * row['seconds']:8.1f} ms/Mpixel"
            f" {100 * row['share']:5.1f} % {speed:5.0f} GFLOP/s"
        )
    for name, seconds in content["other"].items():
        print(f"{name:37} {1e3 * seconds:8.1f} ms/Mpixel {100 * seconds / content['seconds_per_mpixel']:5.1f} %")
    print(f"{'all':37} {1e3 * content['seconds_per_mpixel']:8.1f} ms/Mpixel")


if __name__ == "__main__":
    main()
