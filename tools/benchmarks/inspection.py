"""How many known faults `monai-app inspect` finds, what it says of stacks without faults, and how right it measures.

    python tools/benchmarks/inspection.py --isbi train_image.tif --target docs/results/inspection.json

Every fault is put into every slice of a stack in turn, one at a time: of the real slices of ISBI 2012 where they are
given, and of simulated stacks. A fault is found if the slice is named for the reason that is expected; what is named
beside it, and not without the fault either, is a false alarm.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from common import command, machine, write_json
from scipy.ndimage import gaussian_filter

from monai_app.inspection import Images, inspect
from monai_app.phantom import PhantomConfig, simulate
from monai_app.phantom.imaging.artefacts import noise_table

Pixels = npt.NDArray[np.uint8]
"""A stack of one detector: (slices, rows, columns)."""

SIMULATED: dict[str, dict[str, Any]] = {
    "default": {},
    "voxels 10 nm": {"seed": 1, "voxel_nm": {"z": 10.0, "y": 10.0, "x": 10.0}},
    "slices 80 nm": {"seed": 2, "voxel_nm": {"z": 80.0, "y": 20.0, "x": 20.0}},
    "twice the noise": {"seed": 3, "artefacts": {"noise": 2.0}},
    "3 times the curtains": {"seed": 4, "artefacts": {"curtaining": 3.0}},
    "5 times the drift": {"seed": 5, "artefacts": {"drift": 5.0}},
}
STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0)
TAIL = 6
"""Slices from the stack's own other end are misplaced: at least so far away."""


class Slices:
    """A detector in memory."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.names = tuple(f"slice_{z:04d}" for z in range(len(pixels)))

    def __len__(self) -> int:
        return len(self.pixels)

    def plane(self, index: int, /) -> Pixels:
        """One slice."""
        plane: Pixels = self.pixels[index]
        return plane

    def planes(self) -> Iterator[Pixels]:
        """All of them."""
        return iter(self.pixels)


def findings(**detectors: Pixels) -> set[tuple[str, tuple[int, ...]]]:
    """What is found: kinds and slices."""
    found = inspect(Images(Path(), {name: Slices(pixels) for name, pixels in detectors.items()})).findings
    return {(finding.kind, finding.slices) for finding in found}


def swap(stack: Pixels, z: int) -> Pixels:
    """Exchange a slice with the next one."""
    return stack[[*range(z), z + 1, z, *range(z + 2, len(stack))]]


def repeat(stack: Pixels, z: int) -> Pixels:
    """Put a copy of a slice in the place of the next one."""
    return stack[[*range(z + 1), z, *range(z + 2, len(stack))]]


def misplace(stack: Pixels, z: int) -> Pixels:
    """Put the slice before its place, TAIL slices on."""
    order = [other for other in range(len(stack)) if other != z]
    order.insert((z + TAIL) % len(stack), z)
    return stack[order]


def changed(change: Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]) -> Callable[[Pixels, int], Pixels]:
    """A fault that changes the pixels of a slice."""

    def fault(stack: Pixels, z: int) -> Pixels:
        copy = stack.copy()
        copy[z] = np.clip(np.rint(change(stack[z].astype(np.float64))), 0, 255)
        return copy

    return fault


FAULTS: dict[str, tuple[Callable[[Pixels, int], Pixels], set[str], Callable[[int, int], tuple[int, ...]]]] = {
    "swapped with the next": (swap, {"swapped"}, lambda z, n: (z, z + 1)),
    "copied over the next": (repeat, {"repeated"}, lambda z, n: (z + 1,)),
    f"moved by {TAIL} slices": (misplace, {"misplaced"}, lambda z, n: ((z + TAIL) % n,)),
    "black": (changed(np.zeros_like), {"blank"}, lambda z, n: (z,)),
    "blurred, sd 2 px": (changed(lambda grey: gaussian_filter(grey, 2)), {"blurred", "noise"}, lambda z, n: (z,)),
    "brighter by 30 %": (changed(lambda grey: 1.3 * grey), {"brightness"}, lambda z, n: (z,)),
    "contrast halved": (changed(lambda grey: grey.mean() + (grey - grey.mean()) / 2), {"contrast"}, lambda z, n: (z,)),
    "shifted by 40 px": (changed(lambda grey: np.roll(grey, 40, 1)), {"shifted", "jump"}, lambda z, n: (z,)),
}
"""Fault -> what makes it, the kinds that are expected, and the slices that they name."""


def count_faults(stack: Pixels) -> dict[str, Any]:
    """Put every fault into every slice; how many are found, and what else is said."""
    without, rows = findings(image=stack), {}
    for name, (make, kinds, named) in FAULTS.items():
        last = len(stack) - (1 if name in ("swapped with the next", "copied over the next") else 0)
        found = false = 0
        for z in range(last):
            said, places = findings(image=make(stack, z)), named(z, len(stack))
            found += any((kind, places) in said for kind in kinds)
            false += len(
                {each for each in said - without if not set(each[1]) & set(range(z - 1, z + 2)) and each[1] != places}
            )
        rows[name] = {"found": found, "of": last, "false_alarms": false}
    return {"slices": len(stack), "without_faults": sorted(map(str, without)), "faults": rows}


def simulated(slices: int, **settings: Any) -> dict[str, Pixels]:
    """Simulate a stack: detector -> pixels."""
    config = PhantomConfig.from_mapping({"slices": slices, "rows": 384, "columns": 384, **settings})
    images = [item.images for item in simulate(config)]
    return {name: np.stack([image[name] for image in images]) for name in images[0]}


def measured(strengths: Sequence[float]) -> list[dict[str, Any]]:
    """Curtains and noise at several strengths, beside what was simulated."""
    clean = simulated(3, artefacts={"noise": 0.0})
    config, rows = PhantomConfig(), []
    for strength in strengths:
        for what in ("curtaining", "noise"):
            images = simulated(3, artefacts={what: strength})
            table = inspect(Images(Path(), {name: Slices(pixels) for name, pixels in images.items()})).table
            for detector in config.detectors:
                row: dict[str, Any] = {"what": what, "strength": strength, "detector": detector.name}
                row["measured"] = round(table.usual(detector.name, what), 4)
                if what == "noise":
                    spread = noise_table(detector.electrons, detector.read_noise, strength).std(axis=1)
                    row["simulated"] = round(float(np.sqrt((spread[clean[detector.name]] ** 2).mean())), 2)
                else:
                    values = table.values[detector.name]
                    angles = [[*pair] for pair in zip(values["curtain_angle"], values["curtain_angle_2"], strict=True)]
                    row["angles"] = [sorted(round(float(a), 1) for a in pair if not np.isnan(a)) for pair in angles]
                rows.append(row)
    return rows


def speed(side: int, slices: int = 6) -> dict[str, Any]:
    """Processor time for slices of two detectors in memory."""
    rng = np.random.default_rng(0)
    base = gaussian_filter(rng.normal(size=(side, side)), 3) * 300 + 120
    images = {name: np.clip(base + rng.normal(0, 10, (slices, side, side)), 0, 255).astype(np.uint8) for name in "AB"}
    start = time.process_time()
    findings(**images)
    spent = time.process_time() - start
    return {"side": side, "mpixel_per_s": round(2 * slices * side**2 / spent / 1e6, 1)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--isbi", type=Path, help="train_image.tif of ISBI 2012")
    parser.add_argument("--target", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    stacks = {name: simulated(24, **settings)["ICE"] for name, settings in SIMULATED.items()}
    if options.isbi is not None:
        stacks = {"ISBI 2012": tifffile.imread(options.isbi), **stacks}
    result: dict[str, Any] = {"command": command(), "machine": machine(), "stacks": {}}
    for name, stack in stacks.items():
        counted = result["stacks"][name] = count_faults(stack)
        print(name, counted["without_faults"] or "nothing unusual")
        for fault, row in counted["faults"].items():
            print(f"  {fault}: {row['found']} of {row['of']}, {row['false_alarms']} false alarms")
    result["measured"] = measured(STRENGTHS)
    result["speed"] = [speed(side) for side in (512, 2048, 4096)]
    for row in (*result["measured"], *result["speed"]):
        print(row)
    write_json(options.target, result)


if __name__ == "__main__":
    main()
