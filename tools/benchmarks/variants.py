"""The nine variants: what each network, number of slices and detector is worth on the simulated default sample.

Simulates and ingests the default sample; then trains each variant (small size, one seed), scores the test slice and
exports TorchScript, each with one command; prints a table and writes a JSON. Sensor-3D gets fewer epochs, which take it
about twice the U-Net's time.

    python tools/benchmarks/variants.py --work /tmp/variants --json variants.json
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import app, command, learning_curve, machine, read_scores, settings_options, write_json

from monai_app.bundle.configs.variants import variant_names


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the sample, the store and the runs")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of a U-Net")
    parser.add_argument("--epochs-sensor3d", type=int, default=10, help="epochs of a Sensor-3D")
    parser.add_argument("--variants", nargs="+", choices=variant_names(), default=variant_names(), metavar="VARIANT")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="further bundle settings")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    work = arguments.work.resolve()
    stack = work / "cement.ome.zarr"
    if not stack.exists():
        app("simulate", work / "sample")
        app("ingest", work / "sample" / "sample.yaml", stack)
    results = []
    for name in arguments.variants:
        epochs = arguments.epochs_sensor3d if name.startswith("sensor3d") else arguments.epochs
        results.append(measure(stack, work / name, name, epochs, arguments.settings))
        print_row(results[-1])
    print_table(results)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


def measure(stack: Path, run: Path, variant: str, epochs: int, settings: list[str]) -> dict[str, Any]:
    """Train a variant, score the test slice and export it."""
    start = time.perf_counter()
    app("train", stack, run, "--variant", variant, "--epochs", epochs, "--overwrite", *settings_options(settings))
    seconds = time.perf_counter() - start
    app("evaluate", stack, run)
    export(run)
    scores = read_scores(run)
    return {
        "variant": variant,
        "epochs": epochs,
        "train_seconds": round(seconds, 1),
        "validation": learning_curve(run),
        "mean_iou": scores["mean_iou"],
        "pixel_accuracy": scores["pixel_accuracy"],
        "iou": {row["phase"]: row["iou"] for row in scores["phases"]},
        "fraction_error": {row["phase"]: row["fraction_error"] for row in scores["phases"]},
    }


def export(run: Path) -> None:
    """Write the trained network as TorchScript with MONAI's own command."""
    words = ["-m", "monai.bundle", "ckpt_export", "--bundle_root", run]
    words += ["--config_file", run / "configs" / "inference.yaml", "--filepath", run / "model.ts"]
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def print_row(row: dict[str, Any]) -> None:
    """Print what one variant reached, as soon as it has."""
    print(f"{row['variant']:<20} {row['train_seconds']:>6.0f} s, mean IoU {row['mean_iou']:.4f}", flush=True)


def print_table(results: list[dict[str, Any]]) -> None:
    """Print one row per variant, the phases' IoU in columns."""
    phases = list(results[0]["iou"])
    print(f"{'IoU':<20}" + "".join(f"{phase:>13}" for phase in [*phases, "mean", "accuracy"]))
    for row in results:
        values = [*(row["iou"][phase] for phase in phases), row["mean_iou"], row["pixel_accuracy"]]
        print(f"{row['variant']:<20}" + "".join(f"{value:>13.4f}" for value in values))


if __name__ == "__main__":
    main()
