"""Samples on disk for the tests of the stack store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import yaml

from monai_app.stack.ngff.own import with_checksum

REAL_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def pixels(slices: int, rows: int, columns: int, dtype: str = "uint8", seed: int = 0) -> npt.NDArray[np.integer]:
    """Random pixels with an asymmetric mark: a bright row 1 from column 2 on, on the first slice."""
    rng = np.random.default_rng(seed)
    top = int(np.iinfo(dtype).max)
    stack = rng.integers(0, top, (slices, rows, columns), dtype=dtype)
    stack[0, min(1, rows - 1), min(2, columns - 1) :] = top
    return stack


def write_folder(folder: Path, stack: npt.NDArray[Any], pattern: str = "slice_{}.tif", **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for z, plane in enumerate(stack):
        tifffile.imwrite(folder / pattern.format(z), plane, **options)
    return folder


class SampleFolder:
    """A sample on disk that tests bend: images, annotations and a description."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: dict[str, npt.NDArray[np.integer]] = {}
        self.content: dict[str, Any] = {"name": "sample", "voxel_nm": {"z": 20.0, "y": 10.0, "x": 5.0}, "detectors": {}}

    @property
    def target(self) -> Path:
        return self.root / "sample.ome.zarr"

    def detector(self, name: str, stack: npt.NDArray[np.integer], **options: Any) -> None:
        self.images[name] = stack
        write_folder(self.root / name, stack, **options)
        self.content["detectors"][name] = name

    def annotate(
        self, labels: dict[int, npt.NDArray[np.integer]], train: list[Any], test: list[Any], **entries: object
    ) -> None:
        (self.root / "annotations").mkdir(exist_ok=True)
        for z, plane in labels.items():
            tifffile.imwrite(self.root / "annotations" / f"slice_{z}.tif", plane)
        self.content["phases"] = [
            {"value": 1, "name": "pore", "colour": "#20304f"},
            {"value": 2, "name": "hydrate", "colour": "#C0B090"},
        ]
        self.content["annotations"] = {
            "source": "annotations",
            "mapping": {0: "pore", 7: "hydrate"},
            "unlabelled": [255],
            "train": train,
            "test": test,
            **entries,
        }

    def write(self) -> Path:
        path = self.root / "sample.yaml"
        path.write_text(yaml.safe_dump(self.content, sort_keys=False))
        return path


def label_plane(rows: int, columns: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(np.array([0, 7, 255], np.uint8), (rows, columns))


def edit_own(
    file: Path, change: Callable[[dict[str, Any]], object], *, renewed: bool = False, version: int = 2
) -> None:
    """Edit our metadata in a group's file; ``renewed`` makes the checksum right again, version 1 has none."""
    content = json.loads(file.read_text())
    own = content["attributes"]["monai_app"]
    change(own)
    if version == 1:
        own = {name: value for name, value in own.items() if name != "checksum"} | {"format": 1}
    content["attributes"]["monai_app"] = with_checksum(own) if renewed else own
    file.write_text(json.dumps(content))


def become_another(store: Path) -> None:
    """Make a store of another ingestion of one, without annotations."""
    shutil.rmtree(store / "labels")
    edit_own(store / "zarr.json", lambda own: own.update(identity="ab" * 32), renewed=True)
