"""What a bundle's settings are worth: short trainings under several of them, their validation curves side by side.

Each trial lays settings over the small size; ``-`` changes nothing. Choose by the validation, not by the test slice.

    python tools/benchmarks/settings.py --stack sample.ome.zarr --work /tmp/trials --try - --try "norm=none dropout=0.1"
"""

import argparse
import shlex
from pathlib import Path
from typing import Any

from common import app, command, learning_curve, machine, read_scores, settings_options, write_json


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", type=Path, required=True, help="ingested stack, NAME.ome.zarr")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--bundle", default="fibsem_sensor3d_segmentation", help="bundle to train")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each trial")
    parser.add_argument("--try", dest="trials", action="append", required=True, help="a trial's NAME=VALUE ...")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    results = []
    for number, trial in enumerate(arguments.trials):
        settings = [] if trial == "-" else shlex.split(trial)
        run = arguments.work.resolve() / f"trial_{number}"
        results.append(measure(arguments.stack.resolve(), run, arguments.bundle, arguments.epochs, settings))
        print_row(results[-1])
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


def measure(stack: Path, run: Path, bundle: str, epochs: int, settings: list[str]) -> dict[str, Any]:
    """Train under some settings and score the test slice."""
    options = ["--bundle", bundle, "--epochs", str(epochs), *settings_options(settings)]
    app("train", stack, run, "--overwrite", *options)
    app("evaluate", stack, run)
    scores = read_scores(run)
    return {"settings": settings, "validation": learning_curve(run), "mean_iou": scores["mean_iou"]}


def print_row(row: dict[str, Any]) -> None:
    """Print one trial's curve."""
    curve = " ".join(f"{value:.3f}" for value in row["validation"])
    print(f"{' '.join(row['settings']) or '-':<44} validation {curve}, test {row['mean_iou']:.4f}", flush=True)


if __name__ == "__main__":
    main()
