"""What readers make of damaged files and descriptions, and how fast `ingest` is beside a plain loop.

    python tools/benchmarks/readers.py --minutes 10 --target docs/results/readers.json

Damaged files of every format (`tests/io/damaging.py`) and changed descriptions (`tests/stack/ingestion/changing.py`)
are read in processes that a crash, a hang or a gigabyte of memory ends; what is wrong with a file has to be one line
that names it. The loop is tifffile's `imread` and zarr's assignment, which write the same chunks as `ingest`, byte for
byte: the means of the smaller levels are there before its time begins, and it neither checks nor hashes nor flushes.
The loop without means takes every second pixel for the smaller levels; of noise these are packed in less time. All in
turn, medians.
"""

import argparse
import logging
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from common import command, machine, write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from monai_app.files import file_sha256
from monai_app.io import Request
from monai_app.stack import DetectorDescription, SampleDescription, Voxel, ingest
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import halve_image, level_shapes
from tests.io.damaging import damaged, outcome, write_all
from tests.stack.ingestion import changing

MEMORY = 1 << 30
"""Bytes that reading a small file may take, beside what the imports take."""

HANG_S = 60
BATCH = 200
"""Files, and descriptions, that a process reads."""


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.batch is not None:
        read_batch(arguments.batch)
        return
    results = {
        "command": command(),
        "machine": machine(),
        "damaged": fuzz(arguments.minutes, arguments.seed),
        "ingest": compare_speed(arguments.slices, arguments.side, arguments.repeats),
    }
    write_json(arguments.target, results)


def fuzz(minutes: float, seed: int) -> dict[str, Any]:
    """Read damaged files and changed descriptions, batch after batch; a batch is named by its seed."""
    counts: Counter[str] = Counter()
    faults, most, until = [], 0, time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        line = [sys.executable, __file__, "--target", "none", "--batch", str(seed)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            hangs = done.returncode == -signal.SIGALRM
            why = f"hangs for {HANG_S} s" if hangs else f"ends with {done.returncode}: {done.stderr.strip()[-300:]}"
            faults.append(f"batch {seed}: {why}")
        else:
            *outcomes, memory = done.stdout.split()
            counts.update(outcomes)
            most = max(most, int(memory))
        seed += 1
    return {"minutes": minutes, **counts, "most_memory_mb": most >> 20, "faults": faults}


def read_batch(seed: int) -> None:
    """Damage and read files and descriptions; an exception that is no message of the package's ends the process."""
    logging.disable()
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = write_all(folder / "good")
        for path in good.values():
            assert outcome(path, Request()) == ""
        description = changing.write_sample(folder / "sample")
        text = description.read_text()
        assert changing.outcome(description) == ""
        start = memory("VmRSS")
        resource.setrlimit(resource.RLIMIT_DATA, (start + 4 * MEMORY, resource.RLIM_INFINITY))
        outcomes = [read_one(good, folder / "damaged", random) for _ in range(BATCH)]
        outcomes += [read_changed(description, text, random) for _ in range(BATCH)]
        most = memory("VmHWM") - start
        assert most < MEMORY, f"{most} bytes of memory"
    print(*outcomes, most)


def memory(entry: str) -> int:
    """The memory of this process in bytes: what it holds (VmRSS), or the most that it ever held (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(entry))


def read_one(good: dict[str, Path], target: Path, random: Random) -> str:
    """Damage and read a file; whether it was read or refused."""
    form = random.choice(sorted(good))
    request = Request(labels=random.random() < 0.5, mapped=random.random() < 0.5)
    path = damaged(good[form], target, random)
    signal.alarm(HANG_S)
    message = outcome(path, request)
    signal.alarm(0)
    assert "\n" not in message, message
    assert "more memory than there is" not in message, message
    assert not message or str(target) in message, message
    return "files_refused" if message else "files_read"


def read_changed(description: Path, good: str, random: Random) -> str:
    """Change and read a description; whether it was taken or refused."""
    changing.change(description, good, random)
    signal.alarm(HANG_S)
    message = changing.outcome(description)
    signal.alarm(0)
    return "descriptions_refused" if message else "descriptions_taken"


def compare_speed(slices: int, side: int, repeats: int) -> dict[str, Any]:
    """Time `ingest` and the two loops on the same TIFFs, in turn."""
    times: dict[str, list[float]] = {"ingest": [], "loop": [], "loop_without_means": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smaller = write_slices(folder / "ICE", slices, side)
        detectors = {"ICE": DetectorDescription(source=folder / "ICE")}
        sample = SampleDescription(name="s", voxel_nm=Voxel(z=1, y=1, x=1), detectors=detectors)
        for _ in range(repeats):
            with timed(times["loop_without_means"]):
                plain_loop(folder, lambda z, plane: [plane[::step, ::step] for step in (2, 4, 8)])
            with timed(times["loop"]):
                plain_loop(folder, lambda z, plane: smaller[z])
            with timed(times["ingest"]):
                ingest(sample, folder / "s.ome.zarr", overwrite=True)
        assert hashes(folder / "loop") == hashes(folder / "s.ome.zarr")
    middle = {way: median(each) for way, each in times.items()}
    parts = {f"part_of_the_speed_of_{way}": round(middle[way] / middle["ingest"], 3) for way in list(times)[1:]}
    return {"slices": slices, "side": side, "seconds": times, **parts}


def write_slices(folder: Path, slices: int, side: int) -> list[list[npt.NDArray[np.integer]]]:
    """Write TIFFs of noise; returns the smaller levels of every slice."""
    folder.mkdir()
    random, smaller = np.random.default_rng(0), []
    for z in range(slices):
        noisy = random.normal(128, 20, (side, side)).clip(0, 255).astype(np.uint8)
        tifffile.imwrite(folder / f"slice_{z:04d}.tif", noisy)
        levels = [noisy]
        for _ in level_shapes(side, side)[1:]:
            levels.append(halve_image(levels[-1]))
        smaller.append(levels[1:])
    return smaller


@contextmanager
def timed(seconds: list[float]) -> Iterator[None]:
    """Add the time that the body takes."""
    start = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - start)


def plain_loop(folder: Path, smaller: Callable[[int, npt.NDArray[Any]], list[npt.NDArray[Any]]]) -> None:
    """Read every file and write it and its smaller levels, with the chunks of the store."""
    paths = sorted((folder / "ICE").iterdir())
    root = zarr.open_group(str(folder / "loop"), mode="w")
    levels = layout.create_levels(root, (1, len(paths)), tifffile.imread(paths[0]).shape, np.dtype(np.uint8))
    for z, path in enumerate(paths):
        plane = tifffile.imread(path)
        for level, pixels in zip(levels, [plane, *smaller(z, plane)], strict=True):
            level[0, z] = pixels


def hashes(store: Path) -> dict[str, str]:
    """The SHA-256 of all chunks of a store."""
    return {str(path.relative_to(store)): file_sha256(path) for path in store.glob("[0-9]*/c/**/*") if path.is_file()}


if __name__ == "__main__":
    main()
