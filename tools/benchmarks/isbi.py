"""Proof on real data: the ISBI 2012 membranes, trained on slices 5, 12, 20 and scored on slice 27.

Trains a bundle through ``monai-app train`` for given wall-clock times, on 1 slice and on 3 slices, scores the
weights that the validation picked with ``monai-app evaluate``, prints a table and writes a JSON. The number of epochs
for a time is found by a short calibration on the machine at hand: the learning-rate schedule must know its end.

    python tools/benchmarks/isbi.py --data ../shared/data --work /tmp/isbi --minutes 8 15 --slices 1 3
    python tools/benchmarks/isbi.py --data ../shared/data --work /tmp/isbi --network sensor3d --slices 3

The data: ISBI 2012 challenge, Cardona et al. 2010, PLoS Biol 8:e1000502; Arganda-Carreras et al. 2015,
Front. Neuroanat. 9:142.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import app, command, machine, read_scores, settings_options, write_json
from study_data import real

from monai_app.bundle.configs.templates import config_path
from monai_app.study import read_design

SETTINGS = [f"{name}={value}" for name, value in read_design(config_path("studies", "isbi2012")).settings.items()]
"""As in the study of these images."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with isbi2012/, see study_data.py")
    parser.add_argument("--work", type=Path, required=True, help="folder for the store and the runs")
    parser.add_argument("--network", choices=("unet", "sensor3d"), default="unet", help="whose bundle is trained")
    parser.add_argument("--minutes", type=float, nargs="+", default=[8, 15], help="wall-clock time of each training")
    parser.add_argument("--slices", type=int, nargs="+", default=[1, 3], help="slices in the slab")
    parser.add_argument("--set", dest="settings", action="append", default=SETTINGS, help="further bundle settings")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    stack = real(arguments.work.resolve(), "isbi2012", arguments.data)
    results = []
    for slices in arguments.slices:
        training = Training(stack, arguments.network, slices, arguments.settings)
        start, epoch = calibrate(training)
        for minutes in arguments.minutes:
            row = measure_within(minutes, start, epoch, training)
            results.append(row)
            print_row(row)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


@dataclass(frozen=True)
class Training:
    """What is trained, but for the number of epochs."""

    stack: Path
    network: str
    slices: int
    settings: list[str]

    def folder(self, name: str) -> Path:
        """Return the run folder of that name."""
        return self.stack.parent / f"{self.network}_{self.slices}_{name}"

    def train(self, name: str, epochs: int) -> float:
        """Train from the start and return the seconds it took, starting the program included."""
        bundle = f"fibsem_{self.network}_segmentation"
        options = ["--bundle", bundle, "--slices", self.slices, *settings_options(self.settings)]
        start = time.perf_counter()
        app("train", self.stack, self.folder(name), "--epochs", epochs, "--overwrite", *options)
        return time.perf_counter() - start


def calibrate(training: Training) -> tuple[float, float]:
    """Return the seconds that starting takes and the seconds of an epoch, from two short trainings."""
    seconds = {epochs: training.train("calibration", epochs) for epochs in (1, 3)}
    epoch = (seconds[3] - seconds[1]) / 2
    return max(seconds[1] - epoch, 0.0), epoch


def measure_within(minutes: float, start: float, epoch: float, training: Training) -> dict[str, Any]:
    """Train as many epochs as fit; again with fewer where the machine was slower than in the calibration."""
    while True:
        epochs = max(1, int((minutes * 60 - start) / epoch))
        row = measure(training, epochs, minutes)
        if row["train_seconds"] <= minutes * 60 or epochs == 1:
            return row
        print_row(row)
        epoch = 1.02 * (row["train_seconds"] - start) / epochs


def measure(training: Training, epochs: int, minutes: float) -> dict[str, Any]:
    """Train for a number of epochs and score the test slice."""
    name = f"{minutes:g}min"
    seconds = training.train(name, epochs)
    app("evaluate", training.stack, training.folder(name))
    scores = read_scores(training.folder(name))
    membrane = next(row for row in scores["phases"] if row["phase"] == "membrane")
    return {
        "network": training.network,
        "slices": training.slices,
        "minutes": minutes,
        "epochs": epochs,
        "train_seconds": round(seconds, 1),
        "mean_iou": scores["mean_iou"],
        "membrane_iou": membrane["iou"],
        "pixel_accuracy": scores["pixel_accuracy"],
    }


def print_row(row: dict[str, Any]) -> None:
    """Print one line of the table."""
    print(
        f"{row['network']}, {row['slices']} slice(s), {row['minutes']:g} min "
        f"({row['train_seconds']:.0f} s, {row['epochs']} epochs): "
        f"mean IoU {row['mean_iou']:.4f}, membrane {row['membrane_iou']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
