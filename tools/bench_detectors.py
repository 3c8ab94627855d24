"""What each detector is worth: the U-Net on the simulated default sample with TLD alone, ICE alone and both.

Simulates and ingests the default sample, trains the small U-Net on each set of detectors (3 slices, one seed), scores
the test slice, prints a table and writes a JSON.

    python tools/bench_detectors.py --work /tmp/detectors --json detectors.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bench import app, command, machine, write_json

SETS = {"TLD": "TLD", "ICE": "ICE", "ICE+TLD": "ICE,TLD"}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the sample, the store and the runs")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of each training")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="detector sets to train on")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    work = arguments.work.resolve()
    stack = work / "cement.ome.zarr"
    if not stack.exists():
        app("simulate", work / "sample")
        app("ingest", work / "sample" / "sample.yaml", stack)
    results = [measure(stack, work, name, arguments.epochs) for name in arguments.sets]
    print_table(results)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


def measure(stack: Path, work: Path, name: str, epochs: int) -> dict[str, Any]:
    """Train on a set of detectors and score the test slice."""
    run = work / f"unet_{name.lower()}_3"
    app("train", stack, run, "--detectors", SETS[name], "--epochs", epochs, "--overwrite")
    app("evaluate", stack, run)
    scores = json.loads((run / "eval" / "scores.json").read_text())
    return {
        "detectors": name,
        "epochs": epochs,
        "mean_iou": scores["mean_iou"],
        "pixel_accuracy": scores["pixel_accuracy"],
        "iou": {row["phase"]: row["iou"] for row in scores["phases"]},
        "fraction_error": {row["phase"]: row["fraction_error"] for row in scores["phases"]},
    }


def print_table(results: list[dict[str, Any]]) -> None:
    """Print one column per set of detectors."""
    print("IoU             " + "".join(f"{row['detectors']:>10}" for row in results))
    for phase in results[0]["iou"]:
        print(f"{phase:<16}" + "".join(f"{row['iou'][phase]:>10.4f}" for row in results))
    for key in ("mean_iou", "pixel_accuracy"):
        print(f"{key:<16}" + "".join(f"{row[key]:>10.4g}" for row in results))


if __name__ == "__main__":
    main()
