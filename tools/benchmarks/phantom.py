"""How fast the simulator is, and how hard its images are for classifiers that see single pixels.

Speed: slices of 2048 x 2048, both detectors and the truth, nothing written; the first slice (which computes the planes
below it) apart. Ambiguity: a decision tree on the grey values of one pixel, trained on slice 0 of a default stack and
judged on slice 11, with ICE, TLD and both.

    python tools/benchmarks/phantom.py --json phantom.json
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import command, machine, write_json
from sklearn.metrics import balanced_accuracy_score, jaccard_score
from sklearn.tree import DecisionTreeClassifier

from monai_app.phantom import PhantomConfig, PhantomSlice, simulate

SIDE = 2048


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=8, help="slices whose time is measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds whose ambiguity is measured")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    results = {"speed": speed(arguments.slices), "ambiguity": [row for s in arguments.seeds for row in ambiguity(s)]}
    print(results["speed"])
    for row in results["ambiguity"]:
        print(row)
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), **results})


def speed(slices: int) -> dict[str, float]:
    """Measure the seconds per slice, after the first, and Mpixel/s per detector with both computed."""
    stack = simulate(PhantomConfig(slices=slices + 1, rows=SIDE, columns=SIDE))
    seconds = []
    for _ in range(slices + 1):
        start = time.perf_counter()
        next(stack)
        seconds.append(time.perf_counter() - start)
    typical = statistics.median(seconds[1:])
    return {"first_slice_s": seconds[0], "slice_s": typical, "mpixel_per_s_per_detector": SIDE**2 / typical / 1e6}


def ambiguity(seed: int) -> list[dict[str, Any]]:
    """Judge classifiers of single pixels on another slice of the same stack."""
    train, test = (item for item in simulate(PhantomConfig(slices=12, seed=seed)) if item.z in (0, 11))
    rows = []
    for detectors in (["ICE"], ["TLD"], ["ICE", "TLD"]):
        tree = DecisionTreeClassifier(min_samples_leaf=300, class_weight="balanced", random_state=0)
        tree.fit(pixels(train, detectors), train.truth.ravel())
        guess, truth = tree.predict(pixels(test, detectors)), test.truth.ravel()
        scores = {
            "balanced_accuracy": float(balanced_accuracy_score(truth, guess)),
            "mean_iou": float(jaccard_score(truth, guess, average="macro")),
        }
        rows.append({"seed": seed, "detectors": "+".join(detectors), **scores})
    return rows


def pixels(item: PhantomSlice, detectors: list[str]) -> np.ndarray:
    """Return the grey values as (pixels, detectors)."""
    return np.stack([item.images[name].ravel() for name in detectors], axis=1)


if __name__ == "__main__":
    main()
