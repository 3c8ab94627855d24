"""What the exact segmentation costs, beside MONAI's sliding window and the whole slice at once.

Simulates and ingests a stack, trains a U-Net (32 filters) and a Sensor-3D (16 filters) for a few steps, so that weights
and margins are a trained network's, and then segments the stack in turn, every measurement in a process of its own:

    engine           monai-app segment: all slices, from the store to the store
    engine lean      the same with tiles of 1024 columns, which take less memory and have a halo
    engine bfloat16  the same in bfloat16, where the hardware has it
    monai            SlidingWindowInferer (roi 512, overlap 0.25, gaussian), as bundles have it
    monai, c.-last   the same with network and image channels-last, as our bundles had it
    halo tiles       exact tiles of 1024 x 1024 with a halo, each computed at once (ExactInferer), channels-last
    whole slice      one forward pass a slice, channels-last

In every round the engine does all slices and the whole slice a part of them, so that it has done each once after all
rounds; sliding window and halo tiles do half of that part. Times are end to end without the start of Python: read from
the store, write labels. Memory is the peak of the process, in all and beyond what it held after imports and loading the
weights. Every label image is compared with the whole slice's.

    python tools/benchmarks/inference.py compare --work /tmp/inference --json inference.json
    python tools/benchmarks/inference.py grow --work /tmp/inference --json inference_grow.json --figure growth.png
    python tools/benchmarks/inference.py full --work /tmp/inference --json inference_full.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import app, command, machine, write_json

NETWORKS = {
    "unet": ["--variant", "unet_ice+tld_3", "--set", "features=[32, 64, 128, 256, 512, 32]"],
    "sensor3d": ["--variant", "sensor3d_ice+tld_3", "--set", "filters=16", "--set", "levels=3"],
}
SMALL = {"unet_small": ["--variant", "unet_ice+tld_3"]}
METHODS = ("engine", "engine lean", "engine bfloat16", "monai", "monai, c.-last", "halo tiles", "whole slice")
HALVED = ("monai", "monai, c.-last", "halo tiles")
"""Methods that do half of the slices: they take long, and every slice takes as long as the others."""

FULL = (156, 3868, 4062)
"""Slices, rows and columns of the stack that the project is for."""


def main() -> None:
    """Run a benchmark, or one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compare", "grow", "full", "measure"])
    parser.add_argument("--work", type=Path, required=True, help="folder for samples, stores and runs")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="of compare")
    parser.add_argument("--rounds", type=int, default=3, help="of compare")
    parser.add_argument("--slices", type=int, default=12, help="of the stack of compare")
    parser.add_argument("--side", type=int, default=2048, help="rows and columns of the stack of compare")
    parser.add_argument("--epochs", type=int, default=3, help="of the trainings")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--figure", type=Path, help="where the figure of grow goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a measurement as JSON, in a process of its own
    arguments = parser.parse_args()
    if arguments.what == "measure":
        print("RESULT " + json.dumps(MEASURES[json.loads(arguments.one)["method"]](**json.loads(arguments.one))))
        return
    arguments.work = arguments.work.resolve()
    content = {"compare": compare, "grow": grow, "full": full}[arguments.what](arguments)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), **content})


# ---- the benchmarks --------------------------------------------------------------------------------------------------


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Engine against sliding window and whole slice."""
    stack = made_stack(arguments.work, arguments.slices, arguments.side, arguments.side)
    peak = convolution_peak()
    print(f"best convolution: {peak:.0f} GFLOP/s", flush=True)
    results = []
    for network in arguments.networks:
        run = trained_run(arguments.work, stack, network, NETWORKS[network], arguments.epochs)
        flops = flops_per_pixel(run)
        parts = [list(range(number, arguments.slices, arguments.rounds)) for number in range(arguments.rounds)]
        measured: dict[str, list[dict[str, Any]]] = {method: [] for method in arguments.methods}
        for number, part in enumerate(parts):
            for method in arguments.methods:
                some = half(part) if method in HALVED else part
                one = measure(arguments.work, method, stack, run, some)
                if one is not None:
                    measured[method].append(one)
                    print(
                        f"{network}, {method}, round {number + 1}: {one['seconds_per_mpixel']:.3f} s/Mpixel", flush=True
                    )
        for method, ones in measured.items():
            if ones:
                differing = differing_pixels(stack, run, method, parts)
                results.append(summary(network, method, ones, flops, peak, differing))
    print_table(results)
    return {"convolution_peak_gflops": round(peak, 1), "results": results}


def grow(arguments: argparse.Namespace) -> dict[str, Any]:
    """The engine on 1, 4 and 16 times the slices and the slice area; memory of 8 and of 64 slices."""
    base = made_stack(arguments.work, 8, 512, 512)
    run = trained_run(arguments.work, base, "unet_small", SMALL["unet_small"], 1)
    sizes = [(5, 512, 512), (20, 512, 512), (80, 512, 512), (5, 1024, 1024), (5, 2048, 2048)]
    sizes += [(8, 1024, 1024), (64, 1024, 1024)]
    results = []
    for slices, rows, columns in sizes:
        stack = made_stack(arguments.work, slices, rows, columns)
        ones = [measure(arguments.work, "engine", stack, run, []) for _ in range(arguments.rounds)]
        row = {"slices": slices, "rows": rows, "columns": columns, **medians([one for one in ones if one])}
        results.append(row)
        print(
            f"{slices:>3} x {rows:>4} x {columns:>4}: {row['seconds']:7.2f} s, peak {row['peak_mb']:6.0f} MB",
            flush=True,
        )
    if arguments.figure:
        draw_growth(results, arguments.figure)
    return {"network": "unet small, 3 slices, 2 detectors", "results": results}


def full(arguments: argparse.Namespace) -> dict[str, Any]:
    """A measured part of the full-size stack, and what that makes for the whole of it."""
    slices, rows, columns = FULL
    part = 8
    stack = made_stack(arguments.work, part, rows, columns)
    base = made_stack(arguments.work, 8, 512, 512)
    run = trained_run(arguments.work, base, "unet_small", SMALL["unet_small"], 1)
    one = measure(arguments.work, "engine", stack, run, [])
    projected = one["seconds"] / part * slices if one else 0.0
    print(f"{part} slices of {rows} x {columns}: {one}; {slices} slices: {projected / 60:.1f} min", flush=True)
    return {"network": "unet small, 3 slices, 2 detectors", "measured_slices": part, "measured": one,
            "projected_slices": slices, "projected_seconds": round(projected)}  # fmt: skip


# ---- what they are run on --------------------------------------------------------------------------------------------


def made_stack(work: Path, slices: int, rows: int, columns: int) -> Path:
    """Simulate and ingest a stack, unless it is there."""
    name = f"{slices}x{rows}x{columns}"
    stack = work / f"{name}.ome.zarr"
    if not stack.exists():
        app("simulate", work / name, "--slices", slices, "--rows", rows, "--columns", columns, "--overwrite")
        app("ingest", work / name / "sample.yaml", stack)
    return stack


def trained_run(work: Path, stack: Path, name: str, options: list[str], epochs: int) -> Path:
    """Train a network for a few epochs, unless it is there."""
    run = work / name
    app("train", stack, run, *options, "--epochs", epochs, "--set", f"val_interval={epochs}")
    return run


def measure(work: Path, method: str, stack: Path, run: Path, part: list[int]) -> dict[str, Any] | None:
    """Measure one method in a process of its own; None where the machine cannot."""
    one = {"method": method, "stack": str(stack), "run": str(run), "part": part}
    words = [sys.executable, __file__, "measure", "--work", str(work), "--one", json.dumps(one)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 3 and "bfloat16" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(f"{method} on {stack.name} failed:\n{done.stderr[-3000:]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result


# ---- one measurement -------------------------------------------------------------------------------------------------


def engine(method: str, stack: str, run: str, part: list[int], device: str = "cpu") -> dict[str, Any]:
    """Segment the whole stack as the bundle does."""
    from monai_app.errors import AppError

    overrides: dict[str, Any] = {"labels_name": label_name(run, method, part), "overwrite": True, "device": device}
    more: dict[str, dict[str, Any]] = {
        "engine lean": {"tile": [4096, 1024]},
        "engine bfloat16": {"precision": "bfloat16"},
    }
    overrides |= more.get(method, {})
    parser = bundle(run, stack, overrides)
    segmentation = parser.get_parsed_content("segmentation")
    segmentation.model.load()

    def work() -> None:
        try:
            segmentation.run()
        except AppError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    from monai_app.stack import Stack

    slices, rows, columns = Stack.open(stack).shape
    return timed(work, slices * rows * columns)


def plain(method: str, stack: str, run: str, part: list[int], device: str = "cpu") -> dict[str, Any]:
    """Segment some slices by MONAI's sliding window or at once, one after the other."""
    import torch
    from monai.inferers import Inferer, SlidingWindowInferer
    from monai.transforms import NormalizeIntensity
    from torch.nn.functional import pad

    from monai_app.domain.region import Rect
    from monai_app.inference import ExactInferer
    from monai_app.stack import Stack
    from monai_app.transforms import LoadSlabd, phase_labels

    parser = bundle(run, stack, {})
    model = parser.get_parsed_content("segmentation").model
    model.load()
    layout = torch.contiguous_format if method == "monai" else torch.channels_last
    network = model.network.to(device, memory_format=layout)
    spec = model.spec
    load = LoadSlabd("image", spec)
    normalise = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)
    window: Inferer = SlidingWindowInferer(roi_size=(512, 512), sw_batch_size=1, overlap=0.25, mode="gaussian")
    if method == "halo tiles":
        window = ExactInferer((1024, 1024), model.spec.stride)
    source = Stack.open(stack)
    _, rows, columns = source.shape
    below, right = -rows % model.spec.stride, -columns % model.spec.stride

    def work() -> None:
        name = label_name(run, method, part)
        with source.write_result(name, fingerprint={}, overwrite=True) as result, torch.no_grad():
            for z in part:
                image = torch.as_tensor(normalise(load({"image": stack, "z": z})["image"])).as_subclass(torch.Tensor)[
                    None
                ]
                image = image.to(device).contiguous(memory_format=layout)
                if method == "whole slice":
                    image = pad(image, (0, right, 0, below), mode="replicate")
                    logits = network(image)[..., :rows, :columns]
                else:
                    logits = window(image, network)
                labels = phase_labels(logits[0])[0].cpu().numpy()
                result.arrays.write(z, Rect.whole(source.shape), {"labels": labels})
            result.finish(part)

    return timed(work, len(part) * rows * columns)


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "engine": engine,
    "engine lean": engine,
    "engine bfloat16": engine,
    "monai": plain,
    "monai, c.-last": plain,
    "halo tiles": plain,
    "whole slice": plain,
}


def bundle(run: str, stack: str, overrides: dict[str, Any]) -> Any:
    """Parse a run folder's inference config."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(ConfigParser.load_config_file(f"{run}/configs/inference.yaml"))
    for name, value in {"bundle_root": run, "dataset_dir": stack, **overrides}.items():
        parser[name] = value
    return parser


def timed(work: Callable[[], None], pixels: int) -> dict[str, Any]:
    """Time some work and find the memory it takes."""
    import psutil

    held = psutil.Process().memory_info().rss / 1e6
    begin = time.perf_counter()
    work()
    seconds = time.perf_counter() - begin
    # Not getrusage's ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return {
        "seconds": round(seconds, 2),
        "seconds_per_mpixel": seconds / pixels * 1e6,
        "peak_mb": round(peak),
        "peak_beyond_loading_mb": round(peak - held),
    }


def half(part: list[int]) -> list[int]:
    """The first half of some slices, one at least."""
    return part[: max(len(part) // 2, 1)]


def label_name(run: str, method: str, part: list[int]) -> str:
    """Name the label image that a method makes of a part of the slices; the engine's holds them all."""
    end = "" if method.startswith("engine") else f"_{part[0]}"
    return f"{Path(run).name}_{method}{end}".replace(" ", "_").replace(",", "")


# ---- what comes out --------------------------------------------------------------------------------------------------


def summary(
    network: str, method: str, ones: list[dict[str, Any]], flops: float, peak: float, differing: dict[str, int] | None
) -> dict[str, Any]:
    """Medians of the rounds and what follows from them."""
    row = {"network": network, "method": method, "rounds": len(ones), **medians(ones)}
    gflops = flops / row["seconds_per_mpixel"] / 1e3
    row |= {"gflops": round(gflops, 1), "share_of_peak": round(gflops / peak, 3), **(differing or {})}
    return row


def medians(ones: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number."""
    return {key: statistics.median(one[key] for one in ones) for key in ones[0]}


def differing_pixels(stack: Path, run: Path, method: str, parts: list[list[int]]) -> dict[str, int] | None:
    """Count the pixels whose label is not the whole slice's; None where that was not measured."""
    from monai_app.stack import Stack

    source = Stack.open(stack)
    count, pixels = 0, 0
    for part in parts:
        some = half(part) if method in HALVED else part
        names = [label_name(str(run), which, part) for which in (method, "whole slice")]
        if not set(names) <= set(source.label_names()):
            return None
        for z in some:
            labels, expected = (source.read_labels(name, z) for name in names)
            count, pixels = count + int((labels != expected).sum()), pixels + labels.size
    return {"differing": count, "of_pixels": pixels}


def flops_per_pixel(run: Path) -> float:
    """Operations of the plain network per pixel, twice the multiplications, by torch's counter."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = bundle(str(run), "", {}).get_parsed_content("segmentation::model")
    side = 16 * model.spec.stride
    image = torch.zeros(1, len(model.spec.channel_name), side, side)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.network.eval()(image)
    return float(counter.get_total_flops() / side**2)


def convolution_peak() -> float:
    """The best of some large 3 x 3 convolutions, channels-last, in GFLOP/s."""
    import torch

    best = 0.0
    for channels, side in ((64, 512), (128, 256), (256, 128), (32, 1024)):
        shapes = ((1, channels, side, side), (channels, channels, 3, 3))
        image, weight = (torch.randn(shape).to(memory_format=torch.channels_last) for shape in shapes)
        for _ in range(10):
            begin = time.perf_counter()
            torch.conv2d(image, weight, padding=1)
            seconds = time.perf_counter() - begin
            best = max(best, 2 * 9 * channels**2 * side**2 / seconds / 1e9)
    return best


def print_table(results: list[dict[str, Any]]) -> None:
    """Print one row per network and method."""
    heads = ("s/Mpixel", "peak MB", "beyond MB", "GFLOP/s", "of peak", "differing")
    print(f"{'':<28}" + "".join(f"{head:>11}" for head in heads))
    for row in results:
        values = (row["peak_mb"], row["peak_beyond_loading_mb"], row["gflops"])
        cells = [f"{row['seconds_per_mpixel']:.3f}", *(f"{value:.0f}" for value in values)]
        cells += [f"{100 * row['share_of_peak']:.0f} %", str(row.get("differing", "-"))]
        print(f"{row['network'] + ', ' + row['method']:<28}" + "".join(f"{cell:>11}" for cell in cells))


def draw_growth(results: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory over the pixels of the stack."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    kinds = {
        "more slices of 512 x 512": (512, None),
        "5 slices, larger": (None, 5),
        "more slices of 1024 x 1024": (1024, None),
    }
    for axes, key, title in zip(
        figure.subplots(1, 2), ("seconds", "peak_mb"), ("time in s", "peak memory in MB"), strict=True
    ):
        for label, (rows, slices) in kinds.items():
            chosen = [row for row in results if rows in (None, row["rows"]) and slices in (None, row["slices"])]
            chosen.sort(key=lambda row: row["slices"] * row["rows"] * row["columns"])
            sizes = [row["slices"] * row["rows"] * row["columns"] / 1e6 for row in chosen]
            axes.plot(sizes, [row[key] for row in chosen], "o-", label=label)
        axes.set(xlabel="Mpixel in the stack", title=title, ylim=(0, None))
        axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
