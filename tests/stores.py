"""Stores that are replaced while something reads them, as ``ingest --overwrite`` does."""

import shutil
from pathlib import Path

import numpy as np
import tifffile

from monai_app.stack import Stack, ingest
from tests.conftest import write_tiny_sample


def another(folder: Path) -> Stack:
    """Ingest a stack of the tiny one's size, with other pixels."""
    description = write_tiny_sample(folder / "sample")
    for path in sorted((folder / "sample").glob("*/slice_*.tif")):
        if path.parent.name != "annotations":
            tifffile.imwrite(path, 255 - np.asarray(tifffile.imread(path)))
    return ingest(description, folder / "another.ome.zarr")


def put(store: Stack, path: Path) -> None:
    """Put a copy of a store in the place of another one."""
    shutil.rmtree(path)
    shutil.copytree(store.path, path)
