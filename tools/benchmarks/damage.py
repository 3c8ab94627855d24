"""What damage is noticed: flipped bits, missing chunks and edited metadata; and what checksums cost.

    python tools/benchmarks/damage.py sample.ome.zarr runs/unet --target docs/results/damage.json

Works on copies of a stack that has annotations and labels (`unet`), and of a run folder. A change is silent if
what is read differs and nothing is said; one that changes nothing that is read is counted apart. Costs are the medians
of the processor time of `ingest` and `segment` with and without checksums, in turn, in one process, on noisy images.
"""

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import tifffile
import torch
import yaml
import zarr
from common import command, machine, write_json

from monai_app.bundle.model import load_model
from monai_app.errors import AppError
from monai_app.inference.segmentation import Segmentation
from monai_app.networks.weights import read_checkpoint
from monai_app.stack import Stack, ingest

LABELS = "unet"
"""The label image that is damaged; the stack has it."""

FLIPS = {"image": 400, "annotations": 200, "labels": 200, "model.pt": 200}
CHUNKS = {"image": "0/c", "annotations": "labels/annotation/0/c", "labels": f"labels/{LABELS}/0/c"}
EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "detectors swapped": lambda own: own["detectors"].reverse(),
    "three names": lambda own: own["detectors"].append("SE"),
    "one name": lambda own: own["detectors"].pop(),
    "train: [99]": lambda own: own.update(train=[99]),
    "train: [1.5]": lambda own: own.update(train=[1.5]),
    "train: 'abc'": lambda own: own.update(train="abc"),
    "train and test exchanged": lambda own: own.update(train=own["test"], test=own["train"]),
    "voxel size": lambda own: own["voxel_nm"].update(z=0),
    "phases exchanged": lambda own: own["phases"].reverse(),
    "phase renamed": lambda own: own["phases"][0].update(name="void"),
    "slice_names": lambda own: own["slice_names"].reverse(),
    "path as slice name": lambda own: own["slice_names"].__setitem__(0, "../../x"),
    "gap": lambda own: own.update(gaps=[1]),
    "identity": lambda own: own.update(identity="0" * 64),
    "shape": lambda own: own["shape"].__setitem__(1, own["shape"][1] - 1),
    "no checksum": lambda own: own.pop("checksum"),
    "format 1": lambda own: own.update(format=1),
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("run", type=Path, help="trained run folder of this stack")
    parser.add_argument("--target", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement of the costs; 0 measures none")
    parser.add_argument("--shape", type=int, nargs=3, default=(6, 2048, 2048), help="of the stack that is timed")
    words = parser.parse_args()
    with TemporaryDirectory() as name:
        store, run = Path(name, "s.ome.zarr"), Path(name, "run")
        shutil.copytree(words.stack, store, symlinks=False)
        shutil.copytree(words.run, run)
        rows = []
        for row in damage(store, run, np.random.default_rng(words.seed)):
            rows.append(row)
            print(
                f"{row['what']:<32}{row['tried']:>6} tried {row['silent']:>5} silent {row['no change']:>5} no change",
                flush=True,
            )
        costs = list(cost(Path(name), run, tuple(words.shape), words.repeats)) if words.repeats else []
        for row in costs:
            print(
                f"{row['command']:<10}{row['without']:>8.3f} s without {row['with']:>8.3f} s with, {row['ratio']:.3f}"
            )
    write_json(words.target, {"command": command(), "machine": machine(), "damage": rows, "costs": costs})


def damage(store: Path, run: Path, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Damage one thing after the other; rows of the table."""
    weights, whole = run / "models" / "model.pt", read_all(store)
    read_weights = lambda: [(name, value.numpy().tobytes()) for name, value in read_checkpoint(weights).items()]  # noqa: E731
    for what, count in FLIPS.items():
        files = [weights] if what == "model.pt" else chunk_files(store / CHUNKS[what])
        read: Callable[[], object] = read_weights
        if what != "model.pt":
            read = partial(read_pixels, store, what)
        before = read()
        tried: Counter[str] = Counter()
        for _ in range(count):
            file = files[rng.integers(len(files))]
            with restored(file) as content:
                bit = int(rng.integers(len(content) * 8))
                damaged = bytearray(content)
                damaged[bit // 8] ^= 1 << bit % 8
                file.write_bytes(damaged)
                tried[outcome(read, before)] += 1
        yield row(f"bit flipped: {what}", tried)
    for what, folder in CHUNKS.items():
        tried = Counter()
        for file in chunk_files(store / folder):
            with restored(file):
                file.unlink()
                tried[outcome(partial(read_pixels, store, what), whole[what])] += 1
        yield row(f"chunk missing: {what}", tried)
    for file in (store / "zarr.json", store / "labels/annotation/zarr.json", store / f"labels/{LABELS}/zarr.json"):
        tried = Counter()
        for edit in EDITS.values():
            with restored(file) as content:
                document = json.loads(content)
                try:
                    edit(document["attributes"]["monai_app"])
                except (KeyError, AttributeError, TypeError):
                    continue  # it says nothing of that
                file.write_text(json.dumps(document))
                tried[outcome(partial(read_all, store), whole)] += 1
        yield row(f"edited: {file.relative_to(store)}", tried)
    arrays = sorted(store.rglob("0/zarr.json"))
    for file in (path for path in arrays if not any(part.startswith(".") for part in path.parts)):
        tried = Counter()
        for _ in range(40):
            with restored(file) as content:
                bit = int(rng.integers(len(content) * 8))
                damaged = bytearray(content)
                damaged[bit // 8] ^= 1 << bit % 8
                file.write_bytes(damaged)
                tried[outcome(partial(read_all, store), whole)] += 1
        yield row(f"bit flipped: {file.relative_to(store)}", tried)


def read_all(store: Path) -> dict[str, Any]:
    """Read what commands read of a store."""
    stack = Stack.open(store)
    stack.label_attributes(LABELS)
    return {
        "said": (stack.detectors, stack.phases, stack.train_slices, stack.test_slices, stack.slice_names, stack.gaps),
        "sizes": (stack.voxel_nm, stack.identity, stack.ingested),
        **{kind: read_pixels(store, kind) for kind in CHUNKS},
    }


def read_pixels(store: Path, kind: str) -> list[bytes]:
    """Read what commands read of the image, the annotations or the labels."""
    stack = Stack.open(store)
    if kind == "annotations":
        return [stack.read_annotation(z).tobytes() for z in (*stack.train_slices, *stack.test_slices)]
    slices = range(stack.shape[0])
    if kind == "image":
        return [stack.read_slab(z, stack.detectors, 1).tobytes() for z in slices]
    return [stack.read_labels(LABELS, z).tobytes() for z in slices]


def outcome(read: Callable[[], object], before: object) -> str:
    """Say what becomes of damage."""
    try:
        return "no change" if read() == before else "silent"
    except AppError:
        return "noticed"


def row(what: str, tried: Counter[str]) -> dict[str, Any]:
    """Return a row of the table."""
    return {"what": what, "tried": tried.total(), **{name: tried[name] for name in ("noticed", "silent", "no change")}}


def chunk_files(folder: Path) -> list[Path]:
    """Return the files of chunks below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def restored(file: Path) -> Iterator[bytes]:
    """Give a file's content, and write it again afterwards."""
    content = file.read_bytes()
    try:
        yield content
    finally:
        file.write_bytes(content)


def cost(folder: Path, run: Path, shape: tuple[int, int, int], repeats: int) -> Iterator[dict[str, Any]]:
    """Time `ingest` and `segment` with and without checksums, in turn."""
    torch.set_num_threads(1)
    model = load_model(run)
    rng = np.random.default_rng(0)
    for name in model.spec.detectors:
        (folder / name).mkdir()
        for z in range(shape[0]):
            noise = rng.normal(128, 8, shape[1:]) + 40 * np.sin(np.arange(shape[2]) / 50 + z)
            tifffile.imwrite(folder / name / f"s_{z}.tif", noise.clip(0, 255).astype(np.uint8))
    detectors = {name: name for name in model.spec.detectors}
    description = {"name": "timed", "voxel_nm": {"z": 20.0, "y": 10.0, "x": 10.0}, "detectors": detectors}
    (folder / "timed.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for kind in ("without", "with"):
            target = folder / f"{kind}.ome.zarr"
            with checksums(kind == "with"):
                start = time.process_time()
                ingest(folder / "timed.yaml", target, overwrite=True)
                seconds.setdefault(("ingest", kind), []).append(time.process_time() - start)
                start = time.process_time()
                Segmentation(load_model(run), str(target), "timed", region={"slices": "0:2"}).run()
                seconds.setdefault(("segment", kind), []).append(time.process_time() - start)
    for name in ("ingest", "segment"):
        without, kept = median(seconds[name, "without"]), median(seconds[name, "with"])
        yield {"command": name, "without": without, "with": kept, "ratio": kept / without, "repeats": repeats}


@contextmanager
def checksums(kept: bool) -> Iterator[None]:
    """Make arrays as earlier versions did, where they are not kept."""
    make = zarr.Group.create_array

    def create(group: zarr.Group, *arguments: Any, **options: Any) -> Any:
        return make(group, *arguments, **{**options, "compressors": options["compressors"][:1], "config": None})

    if kept:
        yield
        return
    with (
        patch.object(zarr.Group, "create_array", create),
        patch("monai_app.stack.metadata.has_checksums", lambda _: True),
    ):
        yield


if __name__ == "__main__":
    main()
