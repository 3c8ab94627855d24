"""What exporting costs and keeps: logits and labels of exported files beside the network's, and the time to segment.

    python tools/benchmarks/export.py sample.ome.zarr runs/unet runs/sensor3d --target docs/results/export.json

Every run folder is exported in all formats into a folder of its own. Whole slices go through the network and through
the exported file; then the stack is segmented with the run folder and with each file, in turn, each in a process of its
own. Prints a table and writes JSON.
"""

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import app, command, machine, write_json
from monai.bundle import ConfigParser
from monai.transforms import NormalizeIntensity

from monai_app.export import open_exported
from monai_app.export.formats import SUFFIXES
from monai_app.inference import Model
from monai_app.stack import Stack
from monai_app.transforms import LoadSlabd


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", help="trained run folders of this stack")
    parser.add_argument("--target", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--slices", default="0:3", help="slices to segment for the times")
    parser.add_argument("--repeats", type=int, default=2)
    words = parser.parse_args()
    results = []
    for run in words.runs:
        with TemporaryDirectory() as folder:
            files = {kind: Path(folder) / f"model{suffix}" for kind, suffix in SUFFIXES.items()}
            for kind, file in files.items():
                app("export", run, file, "--format", kind)
            results.append({"run": run.name, "formats": parity(words.stack, run, files)})
            results[-1]["segmenting"] = times(words.stack, run, files, words.slices, words.repeats)
        show(results[-1])
    write_json(words.target, {"command": command(), "machine": {**machine(), **versions()}, "results": results})


def versions() -> dict[str, str]:
    """Return the versions of ONNX's packages."""
    import onnx
    import onnxruntime

    return {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}


def parity(path: Path, run: Path, files: dict[Any, Path]) -> list[dict[str, Any]]:
    """Compare every slice of the stack, whole, by the network and by each file."""
    stack, model = Stack.open(path), trained(run)
    networks = {kind: open_exported(str(file)).network for kind, file in files.items()}
    found = {kind: {"max_difference": 0.0, "differing": 0, "pixels": 0} for kind in files}
    shares = np.zeros(len(model.spec.phases), np.int64)
    for z in range(stack.shape[0]):
        image = whole_slab(model, stack, z)
        with torch.no_grad():
            expected = model.network(image)
            labels = expected.argmax(1)
            shares += np.bincount(labels.flatten().numpy(), minlength=len(shares))
            for kind, network in networks.items():
                given, row = network(image), found[kind]
                row["max_difference"] = max(row["max_difference"], (given - expected).abs().max().item())
                row["differing"] += int((given.argmax(1) != labels).sum())
                row["pixels"] += labels.numel()
    common = {"logits_std": round(expected.std().item(), 3), "phase_shares": (shares / shares.sum()).round(3).tolist()}
    return [{"format": kind, "bytes": files[kind].stat().st_size, **row, **common} for kind, row in found.items()]


def trained(run: Path) -> Model:
    """Return the run folder's model with its weights."""
    parser = ConfigParser()
    parser.read_config(str(run / "configs" / "inference.yaml"))
    parser["bundle_root"] = str(run)
    model: Model = parser.get_parsed_content("model")
    model.load()
    return model


def whole_slab(model: Model, stack: Stack, z: int) -> torch.Tensor:
    """Return (1, S*C, rows, columns), scaled and padded to the stride."""
    item: dict[Any, Any] = {"image": str(stack.path), "z": z}
    slab = LoadSlabd("image", model.spec)(item)["image"]
    normalise = NormalizeIntensity(model.spec.channel_mean, model.spec.channel_std, channel_wise=True)
    image = normalise(slab).as_tensor()[None]
    below, right = (-side % model.spec.stride for side in image.shape[2:])
    return torch.nn.functional.pad(image, (0, right, 0, below), mode="replicate")


def times(stack: Path, run: Path, files: dict[Any, Path], slices: str, repeats: int) -> list[dict[str, Any]]:
    """Segment with the run folder and with each file, in turn; the least of some repeats counts."""
    models = {"run folder": run, **files}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            app("segment", stack, model, "--labels", "bench_export", "--z", slices, "--overwrite")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            taken[name].append((time.perf_counter() - begin, cpu))
    least = {name: [min(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    wall, cpu = least["run folder"]
    return [
        {"model": name, "seconds": round(s, 2), "cpu_seconds": round(c, 2), "cpu_ratio": round(c / cpu, 2)}
        | {"ratio": round(s / wall, 2)}
        for name, (s, c) in least.items()
    ]


def show(result: dict[str, Any]) -> None:
    """Print the tables of one run folder."""
    print(f"{result['run']:<14}{'logits differ by':>18}{'labels':>8}{'pixels':>10}{'bytes':>10}")
    for row in result["formats"]:
        labels = f"{row['differing']:>8}{row['pixels']:>10}{row['bytes']:>10}"
        print(f"{row['format']:<14}{row['max_difference']:>18.1e}{labels}")
    for row in result["segmenting"]:
        print(f"{row['model']:<14}{row['seconds']:>8.1f} s, {row['cpu_seconds']:.1f} s of the processor", end="")
        print(f", {row['ratio']:.2f} and {row['cpu_ratio']:.2f} of the run folder's")


if __name__ == "__main__":
    main()
