"""What a segmentation imports: memory and processor time of each kind of model, in all and by library.

Simulates and ingests a small stack, trains both networks for one step and exports the U-Net. Then processes take turns,
those of the checkout given as ``--before`` too: the stack is so small that importing is nearly all that they do. Peaks
are what the system says of the main process and, with ``--workers``, of the largest worker. A last process of each kind
is measured import by import (`import_costs.py`).

    python tools/benchmarks/imports.py --work /tmp/imports --before ../before --json imports.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from common import app, command, machine, settings_options, write_json

NETWORKS = {"unet": "unet_ice+tld_3", "sensor3d": "sensor3d_ice+tld_3"}
SETTINGS = ["crop=[96,96]", "window=[256,256]", "validation_block=64", "steps_per_epoch=1", "picture_interval=1000"]
FORMATS = {"torchscript": "exported.ts", "torch-export": "exported.pt2"}
MODELS = {
    "exported, TorchScript": "exported.ts",
    "exported, torch.export": "exported.pt2",
    "run folder, Sensor-3D": "sensor3d",
    "run folder, U-Net": "unet",
}
PLAIN = {"nothing": ["-c", "pass"], "help": ["-m", "monai_app", "--help"], "import torch": ["-c", "import torch"]}

SHOWN = 1.0
"""Megabytes from which a library is told by name."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for stack and models")
    parser.add_argument("--before", type=Path, help="checkout of another version, which takes turns with this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    make_models(work)
    checkouts = {"now": Path(__file__).parents[2]}
    if arguments.before:
        checkouts = {"before": arguments.before.resolve(), **checkouts}
    results = in_turn(checkouts, work, arguments.rounds)
    libraries = {
        f"{kind} | {name}": costs(checkout, words, work)
        for kind, words in kinds(work).items()
        for name, checkout in checkouts.items()
        if kind in MODELS
    }
    print_tables(results, libraries)
    if arguments.json:
        content = {"machine": machine(), "command": command(), "results": results, "libraries": libraries}
        write_json(arguments.json, content)


def in_turn(checkouts: dict[str, Path], work: Path, rounds: int) -> list[dict[str, Any]]:
    """Let all kinds of processes of all checkouts take turns; return the medians."""
    measured: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for kind, words in kinds(work).items():
            for name, checkout in checkouts.items():
                measured.setdefault(f"{kind} | {name}", []).append(run(checkout, words, work / "log"))
    return [{"process": kind, **medians(ones)} for kind, ones in measured.items()]


def kinds(work: Path) -> dict[str, list[str]]:
    """The words after ``python`` of every process that is measured."""
    segment = ["-m", "monai_app", "segment", str(work / "small.ome.zarr")]
    options = ["--z", "0", "--overwrite", "--labels"]
    models = {kind: [*segment, str(work / file), *options, "one"] for kind, file in MODELS.items()}
    workers = {f"{kind}, --workers 1": [*words, "--workers", "1"] for kind, words in models.items()}
    return {**PLAIN, **models, **workers}


def make_models(work: Path) -> None:
    """Make stack, run folders and exported files, unless they are there."""
    stack = work / "small.ome.zarr"
    if not stack.exists():
        app("simulate", work / "small", "--slices", 6, "--rows", 128, "--columns", 128, "--overwrite")
        app("ingest", work / "small" / "sample.yaml", stack)
    for name, variant in NETWORKS.items():
        if not (work / name / "models" / "model.pt").exists():
            app("train", stack, work / name, "--variant", variant, "--epochs", 1, *settings_options(SETTINGS))
    for kind, file in FORMATS.items():
        if not (work / file).exists():
            app("export", work / "unet", work / file, "--format", kind)


def run(checkout: Path, words: list[str], log: Path) -> dict[str, float]:
    """Run a Python of a checkout; return its processor time, in seconds, and the peaks of it and its workers, in MB."""
    peaks: dict[int, float] = {}
    with log.open("w+b") as output:
        process = subprocess.Popen([sys.executable, *words], env=environment(checkout), stdout=output, stderr=output)
        found, status, usage = 0, 0, None
        while not found:
            for each in family(process.pid):
                peaks[each] = max(peaks.get(each, 0), peak_mb(each))
            time.sleep(0.005)
            found, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words} failed:\n{log.read_text()[-3000:]}")
    assert usage is not None
    own = peaks.pop(process.pid)
    return {"seconds": usage.ru_utime + usage.ru_stime, "peak_mb": own, "worker_mb": max(peaks.values(), default=0.0)}


def family(pid: int) -> list[int]:
    """A process and those that it started."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def peak_mb(pid: int) -> float:
    """The most memory that a process held so far; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0.0)


def costs(checkout: Path, words: list[str], work: Path) -> dict[str, Any]:
    """What the imports of a process cost, by library."""
    target, recorder = work / "costs.json", Path(__file__).with_name("import_costs.py")
    module = words[words.index("-m") + 1 :]
    subprocess.run([sys.executable, recorder, target, *module], env=environment(checkout), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    libraries: dict[str, Any] = json.loads(target.read_text(encoding="utf8"))["libraries"]
    return libraries


def environment(checkout: Path) -> dict[str, str]:
    """The environment of a process that imports a checkout."""
    return {**os.environ, "PYTHONPATH": str(checkout)}


def medians(ones: list[dict[str, float]]) -> dict[str, float]:
    """The median of every measure."""
    return {name: round(statistics.median(one[name] for one in ones), 3) for name in ones[0]}


def print_tables(results: list[dict[str, Any]], libraries: dict[str, dict[str, Any]]) -> None:
    """Print what was measured."""
    print("| process | processor time, s | peak, MB | largest other process, MB |\n|---|---|---|---|")
    for row in results:
        print(f"| {row['process']} | {row['seconds']:.2f} | {row['peak_mb']:.0f} | {row['worker_mb']:.0f} |")
    for kind, found in libraries.items():
        told = [f"{name} {cost['mb']:.0f}" for name, cost in found.items() if cost["mb"] >= SHOWN]
        print(f"\n{kind}, MB: {', '.join(told)}")


if __name__ == "__main__":
    main()
