"""The whole job on a stack as large as the one this is for: 156 slices of 3868 x 4062 pixels and two detectors.

The stack is simulated. Each step is a command in a process of its own; its time, peak memory and what it leaves on the
disk are recorded in WORK/steps.json, and a step that is recorded there is not run again. The segmentation is killed
(SIGKILL) halfway and resumed; the slices around that place are segmented again and have to be the same.

    python tools/benchmarks/full_stack.py work --json full_stack.json
    python tools/benchmarks/full_stack.py work --slices 6 --rows 200 --columns 220 --parts 2   # a look at the way

Ingesting is compared, in turn, with a plain loop that reads the same files with tifffile and writes the same chunks
with zarr.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tifffile
import zarr
from common import command, machine, write_json
from tqdm import tqdm

from monai_app.stack import Stack

ROUNDS = 3
"""How often ingesting and the plain loop take turns."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for the stack and all results")
    parser.add_argument("--slices", type=int, default=156)
    parser.add_argument("--rows", type=int, default=3868)
    parser.add_argument("--columns", type=int, default=4062)
    parser.add_argument("--epochs", type=int, default=10, help="of both trainings")
    parser.add_argument("--parts", type=int, default=8, help="slices that Sensor-3D segments")
    parser.add_argument("--until", choices=STEPS, default=STEPS[-1], help="last step")
    parser.add_argument("--json", type=Path, help="where the results go")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    job = Job(given)
    for name in STEPS[: STEPS.index(given.until) + 1]:
        job.do(name)
    rows = job.done
    for name, row in rows.items():
        print(f"{name:16}", "  ".join(f"{key} {value}" for key, value in row.items()))
    if given.json:
        shape = [given.slices, given.rows, given.columns]
        write_json(given.json, {"machine": machine(), "command": command(), "shape": shape, "steps": rows})


class Job:
    """The steps and what was measured of them."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.work: Path = given.work
        self.record = self.work / "steps.json"
        self.done: dict[str, dict[str, Any]] = json.loads(self.record.read_text()) if self.record.is_file() else {}

    def do(self, name: str) -> None:
        """Run a step that was not run yet."""
        if name in self.done:
            return
        print(name, flush=True)
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "simulate": self.simulate,
            "ingest": self.ingest,
            "train unet": lambda: self.train("unet_ice+tld_3"),
            "train sensor3d": lambda: self.train("sensor3d_ice+tld_3"),
            "segment unet": self.segment_killed,
            "segment sensor3d": self.segment_part,
            "quantify": self.quantify,
            "export": self.export,
            "ingest plain": self.compare_ingest,
        }
        self.done[name] = steps[name]()
        write_json(self.record, self.done)

    def simulate(self) -> dict[str, Any]:
        """Simulate the images; three slices are labelled to train on and one to test on."""
        given = self.given
        size = ("--slices", given.slices, "--rows", given.rows, "--columns", given.columns)
        return self.timed(("simulate", self.work / "sample", *size, "--overwrite"), self.work / "sample")

    def ingest(self) -> dict[str, Any]:
        """Read the images into a store."""
        words = ("ingest", self.work / "sample" / "sample.yaml", self.store, "--overwrite")
        return self.timed(words, self.store)

    def train(self, variant: str) -> dict[str, Any]:
        """Train and score a network of size small."""
        run = self.work / variant
        words = ("train", self.store, run, "--variant", variant, "--epochs", self.given.epochs, "--overwrite")
        row = self.timed(words, run)
        scored = self.timed(("evaluate", self.store, run), run / "eval")
        scores = json.loads((run / "eval" / "test" / "scores.json").read_text())
        return {**row, "evaluate_seconds": scored["seconds"], "mean_iou": round(scores["mean_iou"], 4)}

    def segment_killed(self) -> dict[str, Any]:
        """Segment the stack, killed halfway and resumed; segment the slices around that place again."""
        words = ("segment", self.store, self.work / "unet_ice+tld_3", "--labels", "unet")
        half = self.given.slices // 2
        killed = self.timed(words, self.labels("unet"), stop=lambda: self.written("unet") > half)
        slices_before = self.written("unet")
        row = self.timed(words, self.labels("unet"))
        first = max(slices_before - 2, 0)
        part = (*words[:-1], "again", "--z", f"{first}:{first + 4}")
        again = self.timed(part, self.labels("again"))
        stack = Stack.open(self.store)
        slices = [z for z in range(first, first + 4) if z < self.given.slices]
        same = all(np.array_equal(stack.read_labels("unet", z), stack.read_labels("again", z)) for z in slices)
        seconds = round(killed["seconds"] + row["seconds"], 1)
        return {
            "seconds": seconds,
            "peak_mb": max(killed["peak_mb"], row["peak_mb"]),
            "disk_mb": row["disk_mb"],
            "seconds_per_mpixel": round(seconds / self.mpixel(self.given.slices), 3),
            "killed_after": {"seconds": killed["seconds"], "slices": slices_before},
            "same_around_the_kill": same,
            "again_seconds": again["seconds"],
        }

    def segment_part(self) -> dict[str, Any]:
        """Segment some slices with Sensor-3D."""
        run, parts = self.work / "sensor3d_ice+tld_3", self.given.parts
        words = ("segment", self.store, run, "--labels", "sensor3d", "--z", f"0:{parts}", "--overwrite")
        row = self.timed(words, self.labels("sensor3d"))
        return {**row, "slices": parts, "seconds_per_mpixel": round(row["seconds"] / self.mpixel(parts), 3)}

    def quantify(self) -> dict[str, Any]:
        """Measure everything that is measured without being asked for."""
        target = self.work / "quantities"
        return self.timed(("quantify", self.store, "--labels", "unet", "-o", target, "--overwrite"), target)

    def export(self) -> dict[str, Any]:
        """Write the labels as TIFFs, and compare with a plain loop that does the same."""
        target = self.work / "labels"
        row = self.timed(("labels", self.store, "export", "unet", "-o", target), target)
        labels = zarr.open_array(self.labels("unet") / "0", mode="r")
        begun = time.perf_counter()
        plain = self.work / "plain_labels"
        plain.mkdir()
        for z in range(self.given.slices):
            tifffile.imwrite(plain / f"{z}.tif", np.asarray(labels[z]), compression="zlib")
        seconds = round(time.perf_counter() - begun, 1)
        shutil.rmtree(plain)
        return {**row, "plain_loop_seconds": seconds, "speed_of_plain": round(seconds / row["seconds"], 2)}

    def compare_ingest(self) -> dict[str, Any]:
        """Ingest and a plain loop in turn; both into a second store, which is removed."""
        ours, plain = [], []
        for _ in range(ROUNDS):
            second = self.work / "second.ome.zarr"
            words = ("ingest", self.work / "sample" / "sample.yaml", second)
            ours.append(self.timed(words, second)["seconds"])
            shutil.rmtree(second)
            plain.append(self.plain_ingest())
        ratio = round(median(plain) / median(ours), 2)
        return {"seconds": median(ours), "plain_loop_seconds": median(plain), "speed_of_plain": ratio}

    def plain_ingest(self) -> float:
        """Read with tifffile, write the finest level with zarr in the store's own chunks and compression."""
        own = zarr.open_array(self.store / "0", mode="r")
        target = self.work / "plain.zarr"
        begun = time.perf_counter()
        made = zarr.create_array(
            target, shape=own.shape, chunks=own.chunks, shards=own.shards, dtype=own.dtype, compressors=own.compressors
        )
        folders = [self.work / "sample" / name for name in Stack.open(self.store).detectors]
        files = [sorted(folder.glob("*.tif*")) for folder in folders]
        for z in tqdm(range(self.given.slices), desc="plain loop", unit="slice"):
            for channel, paths in enumerate(files):
                made[channel, z] = tifffile.imread(paths[z])
        seconds = time.perf_counter() - begun
        shutil.rmtree(target)
        return round(seconds, 1)

    @property
    def store(self) -> Path:
        """The stack."""
        return self.work / "stack.ome.zarr"

    def labels(self, name: str) -> Path:
        """A label image of the stack."""
        return self.store / "labels" / name

    def mpixel(self, slices: int) -> float:
        """Megapixels of so many slices."""
        return float(slices * self.given.rows * self.given.columns) / 1e6

    def written(self, name: str) -> int:
        """How many slices of labels a segmentation has begun to write."""
        return len([*self.store.glob(f"labels/*{name}*/0/c/*")])

    def timed(self, words: tuple[object, ...], target: Path, stop: Callable[[], bool] | None = None) -> dict[str, Any]:
        """Run a command; return its time, its peak memory and the size of what it made."""
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "monai_app", *map(str, words)], stdout=subprocess.DEVNULL)
        while stop is not None and process.poll() is None:
            time.sleep(1)
            if stop():
                os.kill(process.pid, signal.SIGKILL)
                break
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and stop is None:
            raise SystemExit(f"{words[0]} ended with exit code {process.returncode}")
        return {
            "seconds": round(time.perf_counter() - begun, 1),
            "peak_mb": round(usage.ru_maxrss / 1024),
            "disk_mb": round(sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6),
        }


STEPS = (
    "simulate",
    "ingest",
    "train unet",
    "segment unet",
    "train sensor3d",
    "segment sensor3d",
    "quantify",
    "export",
    "ingest plain",
)

if __name__ == "__main__":
    main()
