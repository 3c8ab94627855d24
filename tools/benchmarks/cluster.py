"""What further workers bring: the same tiles on one core, in one process, on processes and on a Dask cluster.

Simulates and ingests a stack, trains a small U-Net for an epoch, and segments the stack by `monai-app segment` in turn:

    one core      one process that may use one core
    one process   one process that may use all cores
    processes     `--workers N`
    cluster       `--cluster` with N workers that were started before, each of which may use one core

``command`` is the time of the whole command, start of Python and of the processes of `--workers` included. ``tiles`` is
that of a tile once every worker has finished its first one, and ``of ideal`` what of N times the speed of one core
remains. ``processor`` is the processor time of a tile in all processes together: it says what sharing the work costs
where other programs compete for the cores. All numbers are medians of the rounds; labels are compared.

    python tools/benchmarks/cluster.py --work /tmp/cluster --json cluster.json
"""

import argparse
import contextlib
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import app, command, machine, write_json

METHODS = ("one core", "one process", "processes", "cluster")
SIDE = 1024
"""Rows and columns of a slice, which is a tile."""

POLL = 0.005
"""Seconds between two looks at what is done."""


def main() -> None:
    """Run the benchmark."""
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for sample, store and run")
    parser.add_argument("--workers", type=int, default=len(cores), help="N, at most one for each core")
    parser.add_argument("--tiles", type=int, default=8, help="slices for each worker")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds, in each of which every method segments the stack"
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    if not 1 <= arguments.workers <= len(cores):
        parser.error(f"--workers {arguments.workers}: this machine has {len(cores)} cores")
    if arguments.tiles < 2:
        parser.error(f"--tiles {arguments.tiles}: the first of every worker is not measured; give 2 or more")

    cores = cores[: arguments.workers]
    stack, run = made(arguments.work.resolve(), arguments.tiles * arguments.workers)
    with running_cluster(cores) as (address, servers):
        words = {"processes": ["--workers", str(len(cores))], "cluster": ["--cluster", address]}
        measured: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
        for number, method in itertools.product(range(arguments.rounds), METHODS):
            one = segment(stack, run, method, words.get(method, []), cores, servers)
            measured[method].append(one)
            print(f"round {number + 1}, {method}: {one['tiles']:.3f} s a tile", flush=True)
    results = summary(measured, len(cores), stack)
    show(results)
    if arguments.json:
        content = {"workers": len(cores), "load": os.getloadavg()[0], "results": results}
        write_json(arguments.json, {"machine": machine(), "command": command(), **content})


def made(work: Path, slices: int) -> tuple[Path, Path]:
    """Make the stack and the network, unless they are there."""
    stack, run = work / f"{slices}.ome.zarr", work / "unet"
    if not stack.exists():
        sample = work / f"{slices}"
        app("simulate", sample, "--slices", slices, "--rows", SIDE, "--columns", SIDE, "--overwrite")
        app("ingest", sample / "sample.yaml", stack)
    if not (run / "models" / "model.pt").exists():
        app("train", stack, run, "--variant", "unet_ice+tld_3", "--epochs", 1, "--set", "steps_per_epoch=10")
    return stack, run


# ---- one measurement -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running_cluster(cores: Sequence[int]) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Give the address of a scheduler with a worker on each core, and their processes."""
    import distributed

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    quiet = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", address.rpartition(":")[2], *quiet]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *quiet]
    servers = [started(scheduler, cores), *(started(worker, [core]) for core in cores)]
    try:
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(len(cores), timeout=60)
        yield address, servers
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def started(words: Sequence[str], cores: Sequence[int]) -> psutil.Popen:
    """Start a quiet process that may use some cores."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return psutil.Popen(words, preexec_fn=lambda: os.sched_setaffinity(0, cores), **silent)


def segment(
    stack: Path, run: Path, method: str, words: Sequence[str], cores: Sequence[int], servers: Sequence[psutil.Process]
) -> dict[str, float]:
    """Segment the stack; return the seconds of the command, and clock's and processors' seconds of a tile."""
    name = label_name(method)
    program = [sys.executable, "-m", "monai_app", "segment", str(stack), str(run), "--labels", name]
    begin = time.perf_counter()
    process = started(
        [*program, "--tile", str(SIDE), "--overwrite", *words], cores[:1] if method == "one core" else cores
    )
    journal = stack / "labels" / f".{name}.partial" / "journal.jsonl"
    marks: dict[int, tuple[float, float]] = {}
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            count = journal.read_bytes().count(b"\n")
            if count and count not in marks:
                marks[count] = time.perf_counter(), processor_time([process, *servers])
        time.sleep(POLL)
    if process.returncode:
        raise RuntimeError(f"{program} ended with {process.returncode}")
    seconds = time.perf_counter() - begin
    first, last = min(count for count in marks if count >= len(cores)), max(marks)
    clock, processor = (after - before for before, after in zip(marks[first], marks[last], strict=True))
    return {"command": seconds, "tiles": clock / (last - first), "processor": processor / (last - first)}


def processor_time(processes: Sequence[psutil.Process]) -> float:
    """Return the processor time of processes and of those that they started."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                total += times.user + times.system
    return total


# ---- what comes out --------------------------------------------------------------------------------------------------


def label_name(method: str) -> str:
    """Return the name of the labels that a method makes."""
    return method.replace(" ", "_")


def summary(measured: dict[str, list[dict[str, float]]], workers: int, stack: Path) -> list[dict[str, Any]]:
    """Return a row for each method: medians of the rounds, and ratios of them to those of one core."""
    medians = {
        method: {key: statistics.median(one[key] for one in ones) for key in ones[0]}
        for method, ones in measured.items()
    }
    base = medians["one core"]
    return [
        {
            "method": method,
            **{key: round(value, 3) for key, value in row.items()},
            "speed_up": round(base["tiles"] / row["tiles"], 3),
            "of_ideal": round(base["tiles"] / row["tiles"] / (1 if method == "one core" else workers), 3),
            "processor_ratio": round(row["processor"] / base["processor"], 3),
            "differing_labels": differing(stack, method),
        }
        for method, row in medians.items()
    ]


def differing(stack: Path, method: str) -> int:
    """Return how many labels are not those of one core."""
    from monai_app.stack import Stack

    opened = Stack.open(stack)
    planes = range(opened.shape[0])
    return sum(
        int(np.count_nonzero(opened.read_labels(label_name(method), z) != opened.read_labels("one_core", z)))
        for z in planes
    )


def show(results: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    names = ("command", "tiles", "processor", "speed_up", "of_ideal", "processor_ratio", "differing_labels")
    print(f"{'method':<14}" + "".join(f"{name.replace('_', ' '):>18}" for name in names))
    for row in results:
        print(f"{row['method']:<14}" + "".join(f"{row[name]:>18}" for name in names))


if __name__ == "__main__":
    main()
