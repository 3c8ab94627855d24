"""How good proposals are where a person painted 1 or 2 % of one slice, and how long they take.

On simulated samples, and on the ISBI 2012 membranes where --data is given, strokes are drawn within each phase of a
slice. A forest trained on nothing else proposes that slice and the next one; the mean IoU of the pixels that nobody
painted stands beside that of scikit-image's trainable segmentation with the same strokes, of one detector each.
Prints tables and writes a JSON.

    python tools/benchmarks/proposals.py --work /tmp/proposals --data ../shared/data/isbi2012 --json proposals.json

The data: ISBI 2012 challenge, Cardona et al. 2010, PLoS Biol 8:e1000502; Arganda-Carreras et al. 2015,
Front. Neuroanat. 9:142.
"""

import argparse
import os
import resource
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import isbi
import numpy as np
import numpy.typing as npt
import tifffile
from common import app, command, machine, write_json

from monai_app.proposals import train_forest
from monai_app.stack import Stack

Labels = npt.NDArray[np.uint8]

SIDE = 512
SHARES = (0.01, 0.02)
SIZES = ((512, 512), (1024, 1024), (2048, 2048), (3868, 4062))
STROKE = 40
"""Longest stroke, in pixels; it is 3 pixels wide."""

TILED = """
name: tiled
voxel_nm: {z: 40, y: 20, x: 20}
detectors: {ICE: ICE, TLD: TLD}
phases:
  - {value: 1, name: pore, colour: "#000000"}
  - {value: 2, name: hydrate, colour: "#56b4e9"}
  - {value: 3, name: portlandite, colour: "#009e73"}
  - {value: 4, name: clinker, colour: "#e69f00"}
  - {value: 5, name: aggregate, colour: "#cc79a7"}
"""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for samples and stores")
    parser.add_argument("--data", type=Path, help="folder of ISBI 2012 with train_image.tif and train_label.tif")
    parser.add_argument("--samples", type=int, default=3, help="simulated samples")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)

    samples = [simulated(work, seed) for seed in range(1, arguments.samples + 1)]
    seconds = [measure_seconds(work, samples[0], shape) for shape in SIZES]  # first, while little memory is taken
    rows = [row for seed, sample in enumerate(samples, 1) for row in of_simulated(sample, seed)]
    if arguments.data:
        rows += of_isbi(arguments.data.resolve(), work)
    if arguments.json:
        content = {"machine": machine(), "command": command(), "quality": rows, "seconds": seconds}
        write_json(arguments.json, content)


def simulated(work: Path, seed: int) -> Path:
    """Simulate and ingest a sample of 5 slices unless that was done before, and return its folder."""
    folder = work / f"sample_{seed}"
    if not folder.exists():
        app("simulate", folder, "--slices", 5, "--rows", SIDE, "--columns", SIDE, "--seed", seed)
    if not (work / f"sample_{seed}.ome.zarr").exists():
        app("ingest", folder / "sample.yaml", work / f"sample_{seed}.ome.zarr")
    return folder


def truth_of(sample: Path, z: int) -> Labels:
    """Return the phases of all pixels of a slice of a simulated sample."""
    return np.asarray(tifffile.imread(sample / "truth" / f"slice_{z:04}.tif"))


def strokes(truth: Labels, share: float, seed: int) -> Labels:
    """Draw strokes within every phase until it has an equal part of the share of all pixels, or half of its own."""
    rng, painted = np.random.default_rng(seed), np.zeros_like(truth)
    phases = [int(phase) for phase in np.unique(truth)]
    for phase in phases:
        pixels = np.argwhere(truth == phase)
        while (painted == phase).sum() < min(share * truth.size / len(phases), len(pixels) / 2):
            draw_stroke(truth, painted, pixels[rng.integers(len(pixels))].astype(float), phase, rng)
    return painted


def draw_stroke(
    truth: Labels, painted: Labels, place: npt.NDArray[np.float64], phase: int, rng: np.random.Generator
) -> None:
    """Draw a bent stroke from a place on, until it would leave the phase; pixels of another phase stay."""
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(STROKE):
        row, column = (round(each) for each in place)
        inside = 0 <= row < truth.shape[0] and 0 <= column < truth.shape[1]
        if not inside or truth[row, column] != phase:
            return
        brush = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
        painted[brush][truth[brush] == phase] = phase
        place += np.sin(angle), np.cos(angle)
        angle += rng.normal(0, 0.15)


def of_simulated(sample: Path, seed: int) -> list[dict[str, Any]]:
    """Score proposals of one sample: strokes on a training slice, the slice itself and one beside it."""
    stack = Stack.open(sample.with_name(f"{sample.name}.ome.zarr"))
    z, beside = next(
        (z, near) for z in stack.train_slices for near in (z - 1, z + 1) if near not in stack.test_slices and near >= 0
    )
    return compare(stack, {each: truth_of(sample, each) for each in (z, beside)}, f"simulated, seed {seed}", seed)


def of_isbi(data: Path, work: Path) -> list[dict[str, Any]]:
    """Score proposals of the membranes."""
    stack = Stack.open(isbi.ingest(data, work))
    labels = np.asarray(tifffile.imread(data / "train_label.tif")).astype(np.uint8) + 1
    rows = []
    for z in stack.train_slices:
        rows += compare(stack, {each: labels[each] for each in (z, z + 1)}, f"ISBI 2012, slice {z}", z)
    return rows


def compare(stack: Stack, truth: dict[int, Labels], what: str, seed: int) -> list[dict[str, Any]]:
    """Score all ways of labelling on the painted slice, the first one, and on the one beside it."""
    (z, _), rows = truth, []
    blank = dict.fromkeys(stack.train_slices, np.zeros(stack.shape[1:], np.uint8))
    for share in SHARES:
        painted = strokes(truth[z], share, seed)
        forest = train_forest(stack, {**blank, z: painted})
        ways = {"proposal": {each: forest.propose(each).labels for each in truth}}
        for detector in stack.detectors:
            ways[f"scikit-image, {detector}"] = trainable(stack, detector, painted, tuple(truth))
        for way, found in ways.items():
            scores = [mean_iou_of(truth[each], found[each], painted if each == z else None) for each in truth]
            rows.append({"sample": what, "share": share, "way": way, "same_slice": scores[0], "beside": scores[1]})
            print(f"{what}, {share:.0%} painted, {way}: {scores[0]:.3f}, slice beside it {scores[1]:.3f}", flush=True)
    return rows


def mean_iou_of(truth: Labels, found: Labels, painted: Labels | None) -> float:
    """Return the mean IoU over the phases of the pixels that nobody painted."""
    from monai_app.metrics import count_pixels, mean_iou  # imports torch, whose memory is not that of a proposal

    counted = truth if painted is None else np.where(painted > 0, 0, truth)
    return round(mean_iou(count_pixels(counted, found, int(truth.max())), annotated_only=True), 4)


def trainable(stack: Stack, detector: str, painted: Labels, zs: tuple[int, int]) -> dict[int, Labels]:
    """Segment slices as scikit-image's example of trainable segmentation does, by one detector."""
    from skimage.feature import multiscale_basic_features
    from skimage.future import TrainableSegmenter
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=50, n_jobs=-1, max_depth=10, max_samples=0.05, random_state=0)
    segmenter = TrainableSegmenter(forest, lambda image: multiscale_basic_features(image, sigma_min=1, sigma_max=16))
    images = {z: stack.read_slab(z, [detector], 1)[0] for z in zs}
    segmenter.fit(images[zs[0]], painted)
    return {z: segmenter.predict(image).astype(np.uint8) for z, image in images.items()}


def measure_seconds(work: Path, sample: Path, shape: tuple[int, int]) -> dict[str, Any]:
    """Measure a proposal of a slice of that size with 1 % of it painted: the simulated slices, side by side."""
    stack = tiled(work, sample, shape)
    painted = strokes(fill(truth_of(sample, 1), shape), SHARES[0], 0)
    times = [clock()]
    forest = train_forest(stack, {1: painted})
    times.append(clock())
    forest.propose(1)
    times.append(clock())
    (train, train_cpu), (predict, predict_cpu) = (
        tuple(round(b - a, 2) for a, b in zip(*pair, strict=True)) for pair in pairwise(times)
    )
    row = {
        "rows": shape[0],
        "columns": shape[1],
        "train_seconds": train,
        "propose_seconds": predict,
        "processor_seconds": round(train_cpu + predict_cpu, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "cores": len(os.sched_getaffinity(0)),
    }
    print(row, flush=True)
    return row


def clock() -> tuple[float, float]:
    """Return the time of the clock and of the processor, in seconds."""
    return time.perf_counter(), time.process_time()


def fill(plane: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Repeat a plane until it has that shape."""
    repeated = np.tile(plane, [-(-side // length) for side, length in zip(shape, plane.shape, strict=True)])
    return np.ascontiguousarray(repeated[: shape[0], : shape[1]])


def tiled(work: Path, sample: Path, shape: tuple[int, int]) -> Stack:
    """Ingest three slices of that size unless that was done before."""
    folder, store = work / f"tiled_{shape[0]}", work / f"tiled_{shape[0]}.ome.zarr"
    if not store.exists():
        for detector in ("ICE", "TLD"):
            (folder / detector).mkdir(parents=True, exist_ok=True)
            for z in range(3):
                image = np.asarray(tifffile.imread(sample / detector / f"slice_{z:04}.tif"))
                tifffile.imwrite(folder / detector / f"slice_{z:04}.tif", fill(image, shape))
        (folder / "sample.yaml").write_text(TILED)
        app("ingest", folder / "sample.yaml", store)
    return Stack.open(store)


if __name__ == "__main__":
    main()
