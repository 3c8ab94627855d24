"""How well alignment finds known shifts: of simulated drift, of detectors of opposite contrast and of real images.

    python tools/benchmarks/alignment.py --data DATA --target docs/results/alignment.json

DATA holds `isbi2012/train_image.tif` (30 slices) and `nasa_ebc/*_image.tif` (single images); without it only simulated
images are measured. Errors are distances in pixels. Of steps from slice to slice the mean error is given apart, as the
lean: no program can tell structure that leans from a stage that creeps.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from common import command, machine, write_json
from scipy.ndimage import shift

from monai_app.io.opening import open_planes
from monai_app.io.sources import Source
from monai_app.phantom import PhantomConfig, simulate
from monai_app.progress import silent
from monai_app.stack import Align, Alignment
from monai_app.stack.alignment.estimation import estimate
from monai_app.stack.alignment.report import kept_step

APART = (12.3, -16.7)
"""Rows and columns by which the second detector is moved."""

LEAN = 1
"""Columns by which structure leans from slice to slice."""

BAD = (7, 8, 16)
"""Slices that show nothing of the sample: noise, black, noise."""

KINDS: dict[str, dict[str, float]] = {
    "usual": {"drift": 2.0},
    "curtains x 2.5, noise x 1.5": {"drift": 2.0, "curtaining": 2.5, "noise": 1.5},
}
"""Strengths of the simulator's artefacts; drift of 2 is a random walk with an sd of 1 px a slice."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with isbi2012 and nasa_ebc")
    parser.add_argument("--target", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seeds", type=int, default=3, help="simulated stacks of every kind")
    parser.add_argument("--size", type=int, default=1024, help="rows and columns of simulated slices")
    parser.add_argument("--slices", type=int, default=24, help="of simulated stacks, 20 at least")
    words = parser.parse_args()
    results = {
        "simulated": [simulated(kind, seed, words) for kind in KINDS for seed in range(words.seeds)],
        "leaning": [leaning(seed, words) for seed in range(words.seeds)],
    }
    if words.data is not None:
        known = walk(np.random.default_rng(1), 30)
        results["isbi2012"] = [isbi(words.data, steps, known) for steps in ("sub-pixel", "whole pixels")]
        results["nasa_ebc"] = list(nasa(words.data))
    for name, rows in results.items():
        print(name)
        for row in rows:
            print("  ", ", ".join(f"{key} {shown(value)}" for key, value in row.items()))
    write_json(words.target, {"command": command(), "machine": machine(), "results": results})


def shown(value: object) -> str:
    """Write a value for people."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def align(detectors: Mapping[str, np.ndarray], what: Align) -> Alignment:
    """Align arrays (slices, rows, columns) as `ingest` does: read from files."""
    with TemporaryDirectory() as name:
        sources: dict[str, Source] = {}
        for detector, pixels in detectors.items():
            path = Path(name, f"{detector}.tif")
            tifffile.imwrite(path, pixels, photometric="minisblack")
            sources[detector] = open_planes(path)
        return estimate(sources, what, silent)


def walk(rng: np.random.Generator, slices: int) -> np.ndarray:
    """A random walk (slices, 2) with an sd of 1 px a slice, and a jump of the stage in its middle."""
    steps = rng.normal(0, 1, (slices - 1, 2))
    steps[slices // 2] += (6, -9)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def moved(plane: np.ndarray, by: np.ndarray | tuple[float, float]) -> np.ndarray:
    """Move a plane (rows, columns) by rows and columns, by splines of the fifth order."""
    pixels = shift(plane.astype(np.float64), by, order=5, mode="reflect")
    return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)


def errors(found: np.ndarray, known: np.ndarray) -> dict[str, float]:
    """The errors of steps from slice to slice, without their mean, and their mean: px."""
    wrong = np.diff(found - known, axis=0)
    mean = wrong.mean(axis=0)
    distance = np.linalg.norm(wrong - mean, axis=1)
    return {
        "median_step_error": float(np.median(distance)),
        "90th_percentile": float(np.percentile(distance, 90)),
        "lean": float(np.linalg.norm(mean)),
    }


def phantom(kind: str, seed: int, words: argparse.Namespace, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate pixels (detectors, slices, rows, columns), and where the slices lie (slices, 2), px."""
    size = {"slices": words.slices, "rows": words.size, "columns": columns, "seed": seed}
    config = PhantomConfig.from_mapping({**size, "artefacts": KINDS[kind]})
    slices = list(simulate(config))
    pixels = np.stack([[item.images[detector.name] for item in slices] for detector in config.detectors])
    places = [
        (-item.position.drift_y_nm / config.voxel_nm.y, -item.position.drift_x_nm / config.voxel_nm.x)
        for item in slices
    ]
    return pixels, np.array(places)


def simulated(kind: str, seed: int, words: argparse.Namespace) -> dict[str, Any]:
    """Simulated drift with bad slices, a jump of brightness, and the second detector inverted and moved."""
    pixels, known = phantom(kind, seed, words, words.size)
    rng = np.random.default_rng(seed)
    pixels[1] = [moved(255 - plane, APART) for plane in pixels[1]]
    pixels[:, 12:] = pixels[:, 12:] // 2
    for z in BAD:
        pixels[:, z] = 0 if z == BAD[1] else rng.integers(0, 255, pixels[:, z].shape)
    start = time.perf_counter()
    found = align({"ICE": pixels[0], "TLD": pixels[1]}, Align("both"))
    seconds = time.perf_counter() - start
    good = [z for z in range(words.slices) if z not in BAD]
    before, left = (np.diff(places[good], axis=0) for places in (known, known - known[0] - np.array(found.slices)))
    return {
        "kind": kind,
        "seed": seed,
        **errors(np.array(found.measured)[good], known[good]),
        "detector_error": float(np.linalg.norm(np.subtract(found.detectors["TLD"].transform, APART))),
        "bad_flagged": len(set(BAD) & set(found.flagged)),
        "others_flagged": len(set(found.flagged) - set(BAD)),
        "median_step_before": float(np.median(np.linalg.norm(before, axis=1))),
        "median_step_after": float(np.median(np.linalg.norm(left, axis=1))),
        "seconds_per_mpixel": seconds / pixels.size * 1e6,
    }


def leaning(seed: int, words: argparse.Namespace) -> dict[str, Any]:
    """The step that stays in a stack that leans, beside that of the same stack when it does not."""
    wide, _ = phantom("usual", seed, words, words.size + LEAN * words.slices)
    row: dict[str, Any] = {"seed": seed, "lean_per_slice": float(LEAN)}
    for keep in ("line", "curve", "nothing"):
        steps = []
        for lean in (0, LEAN):
            begins = [lean * (words.slices - z) for z in range(words.slices)]
            pixels = np.stack([wide[1, z, :, begin : begin + words.size] for z, begin in enumerate(begins)])
            found = align({"TLD": pixels}, Align("slices", keep=keep))
            steps.append(np.zeros(2) if keep == "nothing" else kept_step(found))
        row[f"kept_by_{keep}"] = float((steps[1] - steps[0])[1])
    return row


def isbi(data: Path, steps: str, known: np.ndarray) -> dict[str, Any]:
    """The 30 slices of ISBI 2012, moved by a known walk, beside the same slices as they are."""
    pixels = tifffile.imread(data / "isbi2012" / "train_image.tif")
    known = np.rint(known) if steps == "whole pixels" else known
    shaken = np.stack([moved(plane, by) for plane, by in zip(pixels, known, strict=True)])
    before, after = (np.array(align({"TEM": each}, Align("slices")).measured) for each in (pixels, shaken))
    alone = errors(after, known)["median_step_error"]
    return {"steps": steps, **errors(after - before, known), "median_step_of_the_slices_themselves": alone}


def nasa(data: Path) -> Iterator[dict[str, Any]]:
    """NASA's images, each as a stack of one slice whose second detector is inverted, noisy and moved."""
    rng = np.random.default_rng(0)
    distances = []
    files = sorted((data / "nasa_ebc").glob("*_image.tif"))
    for file in files:
        plane = np.asarray(tifffile.imread(file))
        by = rng.uniform(-30, 30, 2)
        second = np.clip(255 - moved(plane, by) + rng.normal(0, 20, plane.shape), 0, 255).astype(np.uint8)
        found = align({"A": plane[None], "B": second[None]}, Align("detectors"))
        distances.append(float(np.linalg.norm(np.subtract(found.detectors["B"].transform, by))))
    yield {"images": len(files), "median_error": float(np.median(distances)), "worst_error": max(distances)}


if __name__ == "__main__":
    main()
