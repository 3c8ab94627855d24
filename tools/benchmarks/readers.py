"""What readers make of damaged files, and how fast `ingest` is beside a plain loop that writes the same chunks.

    python tools/benchmarks/readers.py --minutes 10 --target docs/results/readers.json

Damaged files of every format (`tests/io/damaging.py`) are read in processes that a crash, a hang or a gigabyte of
memory would end; every failure has to be one line that names the file. The loop is tifffile's `imread` and zarr's
assignment, which write the chunks of `ingest` on all levels, without means, checks and a hash of all pixels; both in
turn, medians.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import tifffile
import zarr
from common import command, machine, write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from monai_app.io import Request
from monai_app.stack import DetectorDescription, SampleDescription, Voxel, ingest
from monai_app.stack.ngff import layout
from tests.io.damaging import damaged, outcome, write_all

MEMORY = 1 << 30
"""Bytes that reading a small file may take, beside what the imports take."""

HANG_S = 60
BATCH = 200
"""Files that a process reads."""


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
    """Read damaged files, batch after batch; a batch is named by its seed."""
    counts: Counter[str] = Counter()
    faults, most, until = [], 0, time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        line = [sys.executable, __file__, "--target", "none", "--batch", str(seed)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=HANG_S, check=False)
        except subprocess.TimeoutExpired:
            faults.append(f"batch {seed}: hangs")
            seed += 1
            continue
        if done.returncode:
            faults.append(f"batch {seed}: ends with {done.returncode}: {done.stderr.strip()[-300:]}")
        else:
            read, refused, memory = map(int, done.stdout.split()[-3:])
            counts.update(read=read, refused=refused)
            most = max(most, memory)
        seed += 1
    return {"minutes": minutes, **counts, "most_memory_mb": most >> 20, "faults": faults}


def read_batch(seed: int) -> None:
    """Damage and read files; an exception that is no message of the package's ends the process."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = write_all(folder / "good")
        for path in good.values():
            assert outcome(path, Request()) == ""
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (start + 4 * MEMORY, resource.RLIM_INFINITY))
        counts = Counter(read_one(good, folder / "damaged", random) for _ in range(BATCH))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - start
        assert memory < MEMORY, f"{memory} bytes"
    print(counts["read"], counts["refused"], memory)


def read_one(good: dict[str, Path], target: Path, random: Random) -> str:
    """Damage and read a file; whether it was read or refused."""
    form = random.choice(sorted(good))
    request = Request(labels=random.random() < 0.5, mapped=random.random() < 0.5)
    message = outcome(damaged(good[form], target, random), request)
    assert "\n" not in message, message
    assert not message or str(target) in message, message
    return "refused" if message else "read"


def compare_speed(slices: int, side: int, repeats: int) -> dict[str, Any]:
    """Time `ingest` and the plain loop on the same TIFFs, in turn."""
    times: dict[str, list[float]] = {"ingest": [], "loop": []}
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ICE").mkdir()
        for z in range(slices):
            noisy = random.normal(128, 20, (side, side)).clip(0, 255).astype(np.uint8)
            tifffile.imwrite(folder / "ICE" / f"slice_{z:04d}.tif", noisy)
        detectors = {"ICE": DetectorDescription(source=folder / "ICE")}
        sample = SampleDescription(name="s", voxel_nm=Voxel(z=1, y=1, x=1), detectors=detectors)
        for _ in range(repeats):
            start = time.perf_counter()
            plain_loop(sorted((folder / "ICE").iterdir()), folder / "loop", side)
            times["loop"].append(time.perf_counter() - start)
            start = time.perf_counter()
            ingest(sample, folder / "s.ome.zarr", overwrite=True)
            times["ingest"].append(time.perf_counter() - start)
    loop, own = median(times["loop"]), median(times["ingest"])
    return {"slices": slices, "side": side, "seconds": times, "part_of_the_loops_speed": round(loop / own, 3)}


def plain_loop(paths: list[Path], target: Path, side: int) -> None:
    """Read every file and write it to all levels, which take every second pixel, with the chunks of the store."""
    root = zarr.open_group(str(target), mode="w")
    levels = layout.create_levels(root, (1, len(paths)), (side, side), np.dtype(np.uint8))
    for z, path in enumerate(paths):
        plane = tifffile.imread(path)
        for number, level in enumerate(levels):
            level[0, z] = plane[:: 2**number, :: 2**number]


if __name__ == "__main__":
    main()
