"""How long each measure of `monai-app quantify` takes, and how much memory, each in a process of its own.

    python tools/benchmarks/quantify.py --shape 64 2048 2048 --target docs/results/quantify.json

The labels are smoothed noise at four thresholds, five phases whose features are some tens of pixels wide: a part of
1024 x 1024, mirrored over the slices. Other shapes and measures that the target holds stay in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import yaml
from common import machine, write_json
from scipy.ndimage import gaussian_filter

from monai_app.quantities import MEASURES
from monai_app.stack import Stack, ingest

PART = 1024
SMOOTHING = (4.0, 8.0, 8.0)
SHARES = (0.1, 0.3, 0.6, 0.8)
VOXEL = {"z": 10, "y": 5, "x": 5}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 2048, 2048), metavar=("SLICES", "ROWS", "COLUMNS"))
    parser.add_argument("--measures", nargs="+", default=list(MEASURES), help="all where none is named")
    parser.add_argument("--target", type=Path, default=Path("docs/results/quantify.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = make_stack(Path(folder), tuple(arguments.shape))
        measures = {name: run(store, name, Path(folder) / "found") for name in arguments.measures}
    shapes = json.loads(arguments.target.read_text())["shapes"] if arguments.target.is_file() else {}
    shape = " x ".join(map(str, arguments.shape))
    kept = shapes.get(shape, {}).get("measures", {})
    result = {"machine": machine(), "voxel_nm": list(VOXEL.values()), "measures": {**kept, **measures}}
    write_json(arguments.target, {"shapes": {**shapes, shape: result}})


def make_stack(folder: Path, shape: tuple[int, int, int]) -> Path:
    """Make a stack of empty images with a label image ``phases``."""
    with tifffile.TiffWriter(folder / "images.tif", bigtiff=True) as images:
        for z in range(shape[0]):
            images.write(np.full(shape[1:], z, np.uint8), compression="zlib")
    phases = [{"value": n, "name": f"phase {n}", "colour": f"#{40 * n:02x}8080"} for n in range(1, len(SHARES) + 2)]
    description = {
        "name": "noise",
        "voxel_nm": VOXEL,
        "detectors": {"SE": "images.tif"},
        "phases": phases,
        "accept": ["constant_detectors", "constant_slices"],
    }
    (folder / "sample.yaml").write_text(yaml.safe_dump(description))
    stack: Stack = ingest(folder / "sample.yaml", folder / "noise.ome.zarr")
    stack.write_labels("phases", planes(shape))
    return stack.path


def planes(shape: tuple[int, int, int]) -> Iterator[npt.NDArray[np.uint8]]:
    """The labels, slice after slice."""
    slices, rows, columns = shape
    noise = np.random.default_rng(0).standard_normal((slices, PART, PART), np.float32)
    field = gaussian_filter(noise, SMOOTHING)
    bounds = np.quantile(field[:, ::8, ::8], SHARES)
    for plane in field:
        part = (1 + np.digitize(plane, bounds)).astype(np.uint8)
        yield np.pad(part, [(0, max(length - PART, 0)) for length in (rows, columns)], "symmetric")[:rows, :columns]


def run(store: Path, measure: str, folder: Path) -> dict[str, Any]:
    """Take a measure: seconds of the whole command and of its steps, and the most memory that the process held, GiB."""
    words = ["quantify", str(store), "--labels", "phases", "-o", str(folder), "--measure", measure, "--overwrite"]
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "monai_app", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{measure}: ended with {status}")
    document = json.loads((folder / "quantities.json").read_text())
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "steps": document["seconds"],
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
    }


if __name__ == "__main__":
    main()
