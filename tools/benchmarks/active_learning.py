"""What proposing slices is worth: three proposed slices, three evenly spaced ones and three random ones, side by side.

Every sample is simulated with its truth. One half of them is what the simulator gives, which is alike from the first
slice to the last; the simulator has nothing that changes along z. So in the other half a stretch of 3 to 6 slices, at a
random place, comes from another simulation: other material, and other conditions of recording. All arms train with the
same settings and seed; the first slice of the proposed arm is the medoid, the others are proposed by the models trained
so far. Scored is the mean IoU, from one confusion matrix, over all slices that no arm was trained on.

What was measured is kept in WORK and not measured again.

    python tools/benchmarks/active_learning.py --work /tmp/active --json active_learning.json
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import yaml
from common import TINY_UNET, app, command, machine, settings_options, write_json
from scipy import stats

from monai_app.active_learning.agreement import Agreement, score_agreement
from monai_app.active_learning.selection import propose
from monai_app.active_learning.slice_scores import score_slices
from monai_app.bundle.model import load_model
from monai_app.inference import Predictor
from monai_app.phantom import PhantomConfig, simulate, write_sample
from monai_app.stack import Stack, ingest

KINDS = ("alike", "changing")
ARMS = ("proposed", "even", "random")
BUDGET = 3
"""Slices that an arm may annotate."""

VOXEL = {"z": 150, "y": 40, "x": 40}
"""So that the stack is long enough for its structure to change, and the field large enough for all phases."""

STRETCH = {
    "structure": {"pore_level": 0.6, "portlandite_radius_um": 0.7},
    "artefacts": {"curtaining": 2.0, "charging": 2.0, "shadowing": 1.5},
    "lens": {"composition": 0.7},
}
"""How a stretch of a changing sample differs from the rest."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for samples, runs and what was measured")
    parser.add_argument("--seeds", type=int, default=6, help="samples of each kind, their seeds 1, 2, 3, ...")
    parser.add_argument("--slices", type=int, default=24, help="slices of a sample")
    parser.add_argument("--side", type=int, default=256, help="rows and columns of a sample")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of every training")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="further bundle settings")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    settings = [*TINY_UNET, f"max_epochs={arguments.epochs}", *arguments.settings]
    results: list[dict[str, Any]] = []
    for seed, kind in product(range(1, arguments.seeds + 1), KINDS):
        folder = arguments.work.resolve() / f"{kind}_{seed}"
        results.append(measured(folder, kind, seed, (arguments.slices, arguments.side), settings))
        print_row(results[-1])
        if arguments.json:
            content = {"command": command(), "settings": settings, "voxel_nm": VOXEL, "stretch": STRETCH}
            content |= {"slices": arguments.slices, "side": arguments.side, "summary": summary(results)}
            write_json(arguments.json, {"machine": machine(), **content, "results": results})
    print_summary(summary(results))


def measured(folder: Path, kind: str, seed: int, size: tuple[int, int], settings: list[str]) -> dict[str, Any]:
    """Measure one sample, or give what was measured before with the same settings."""
    asked, kept = {"kind": kind, "seed": seed, "size": list(size), "settings": settings}, folder / "measured.json"
    if kept.exists() and (content := json.loads(kept.read_text()))["asked"] == asked:
        result: dict[str, Any] = content["result"]
        return result
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    result = Sample(folder, kind, seed, size, settings).measure()
    result["seconds"] = round(time.perf_counter() - start, 1)
    write_json(kept, {"asked": asked, "result": result})
    return result


class Sample:
    """A simulated sample of which slices can be annotated.

    Args:
        folder: where it is made.
        kind: one of `KINDS`.
        seed: of the simulator, of the place of the stretch and of the random arm.
        size: slices, and rows and columns.
        settings: of every training.
    """

    def __init__(self, folder: Path, kind: str, seed: int, size: tuple[int, int], settings: list[str]) -> None:
        self.folder, self.kind, self.seed, self.settings = folder, kind, seed, settings
        self.slices, side = size
        self._config = {"slices": self.slices, "rows": side, "columns": side, "voxel_nm": VOXEL, "seed": seed}
        self._rng = np.random.default_rng([seed, KINDS.index(kind)])
        folder.mkdir(parents=True)
        write_sample(PhantomConfig.from_mapping(self._config), folder / "sample", [0], [self.slices - 1])
        self.stretch = self._change() if kind == "changing" else None

    def measure(self) -> dict[str, Any]:
        """Train and score all arms."""
        plain = self._stack("plain", [0])
        chosen, proposed = self._propose(plain)
        even = [(2 * number + 1) * self.slices // (2 * BUDGET) for number in range(BUDGET)]
        random = sorted(self._rng.choice(self.slices, BUDGET, replace=False).tolist())
        arms = {"proposed": chosen, "even": even, "random": random}
        predictors = {"proposed": proposed} | {name: self._train(name, arms[name]) for name in ARMS[1:]}
        left = [z for z in range(self.slices) if z not in {*chosen, *even, *random}]
        found = {name: self._score(plain, predictors[name], left) for name in ARMS}
        return {
            "kind": self.kind,
            "seed": self.seed,
            "stretch": self.stretch,
            "annotated": arms,
            "scored": left,
            "mean_iou": {name: round(found[name].mean_iou, 4) for name in ARMS},
            "in_stretch": {name: self._of_stretch(found[name]) for name in ARMS},
            "pixel_accuracy": {name: round(found[name].total.pixel_accuracy, 4) for name in ARMS},
        }

    def _change(self) -> list[int]:
        """Put slices of another simulation in the place of a stretch; return its first slice and its end."""
        count = min(int(self._rng.integers(3, 7)), self.slices // 2)
        first = int(self._rng.integers(0, self.slices - count + 1))
        other = {**self._config, **STRETCH, "seed": 1000 + self.seed, "slices": count}
        for item in simulate(PhantomConfig.from_mapping(other)):
            for name, image in {**item.images, "truth": item.truth}.items():
                path = self.folder / "sample" / name / f"slice_{first + item.z:04d}.tif"
                tifffile.imwrite(path, image, photometric="minisblack")
        return [first, first + count]

    def _propose(self, plain: Stack) -> tuple[list[int], Predictor]:
        """Choose the slices one after the other; the predictor is that of all of them."""
        candidates = range(self.slices)
        chosen = [propose({score.z: score for score in score_slices(plain, candidates)}).z]
        while True:
            predictor = self._train(f"proposed_{len(chosen)}", chosen)
            if len(chosen) == BUDGET:
                return chosen, predictor
            scores = {score.z: score for score in score_slices(plain, candidates, predictor)}
            chosen.append(propose(scores, chosen).z)

    def _train(self, name: str, annotated: Sequence[int]) -> Predictor:
        stack, run = self._stack(name, annotated), self.folder / f"run_{name}"
        app("train", stack.path, run, "--variant", "unet_ice+tld_1", *settings_options(self.settings))
        return Predictor(load_model(run))

    def _stack(self, name: str, annotated: Sequence[int]) -> Stack:
        """The sample as a store in which these slices are annotated."""
        sample = self.folder / "sample"
        (sample / name).mkdir()
        for z in annotated:
            shutil.copy(sample / "truth" / f"slice_{z:04d}.tif", sample / name)
        description = yaml.safe_load((sample / "sample.yaml").read_text())
        description["annotations"] |= {"source": name, "train": sorted(annotated), "test": []}
        path = sample / f"{name}.yaml"
        path.write_text(yaml.safe_dump(description))
        return ingest(path, self.folder / f"{name}.ome.zarr")

    def _score(self, plain: Stack, predictor: Predictor, slices: Sequence[int]) -> Agreement:
        found = predictor.predict(plain, slices)
        return score_agreement(((z, self._truth(z), planes["labels"]) for z, planes in found), plain.phases)

    def _truth(self, z: int) -> npt.NDArray[np.uint8]:
        truth: npt.NDArray[np.uint8] = tifffile.imread(self.folder / "sample" / "truth" / f"slice_{z:04d}.tif")
        return truth

    def _of_stretch(self, found: Agreement) -> float | None:
        """Pixel accuracy in the stretch: few phases are in so few slices, so their IoU would jump."""
        rows = [row for row in found.slices if self.stretch and self.stretch[0] <= row.z < self.stretch[1]]
        labelled = sum(row.labelled for row in rows)
        return round(sum(row.pixel_accuracy * row.labelled for row in rows) / labelled, 4) if labelled else None


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the proposed arm with each other one, over each kind of sample and over all."""
    rows = []
    for kind, other in product((*KINDS, "all"), ARMS[1:]):
        pairs = [row["mean_iou"] for row in results if kind in (row["kind"], "all")]
        differences = [pair["proposed"] - pair[other] for pair in pairs]
        if not differences:
            continue
        wins = sum(difference > 0 for difference in differences)
        row = {"samples": kind, "against": other, "count": len(pairs), "wins": wins}
        row |= {name: round(float(np.mean([pair[name] for pair in pairs])), 4) for name in ("proposed", other)}
        rows.append(row | interval(differences))
    return rows


def interval(differences: list[float]) -> dict[str, Any]:
    """Mean of paired differences, its 95 % interval by Student's t, and the p-value of the two-sided sign test."""
    mean, count = float(np.mean(differences)), len(differences)
    untied = [difference for difference in differences if difference]
    wins = sum(difference > 0 for difference in untied)
    found: dict[str, Any] = {"difference": round(mean, 4)}
    if count > 1:
        reach = float(stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / np.sqrt(count))
        found["interval_95"] = [round(mean - reach, 4), round(mean + reach, 4)]
    if untied:
        found["sign_test_p"] = round(float(stats.binomtest(wins, len(untied)).pvalue), 4)
    return found


def print_row(row: dict[str, Any]) -> None:
    """Print one sample, as soon as it is measured."""
    scores = ", ".join(f"{name} {row['annotated'][name]} {row['mean_iou'][name]:.4f}" for name in ARMS)
    print(f"{row['kind']:<9} {row['seed']:>3} {row['seconds']:>5.0f} s  stretch {row['stretch']}  {scores}", flush=True)


def print_summary(rows: list[dict[str, Any]]) -> None:
    """Print the comparisons."""
    for row in rows:
        low, high = row.get("interval_95", (float("nan"), float("nan")))
        print(
            f"{row['samples']:<9} proposed {row['proposed']:.4f}, {row['against']} {row[row['against']]:.4f}: "
            f"{row['difference']:+.4f} ({low:+.4f} to {high:+.4f}), better on {row['wins']} of {row['count']}"
        )


if __name__ == "__main__":
    main()
