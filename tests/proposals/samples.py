"""A stack whose four quarters are four phases, each of which one picture alone tells from the others."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from monai_app.stack import Stack, ingest

SIDE, SLICES, TARGET = 64, 6, 2
"""The phase that neighbours alone show looks like the matrix on the target slice."""

SAMPLE = """
name: quarters
voxel_nm: {z: 20, y: 10, x: 10}
detectors: {ICE: ICE, TLD: TLD}
phases:
  - {value: 1, name: matrix, colour: "#20304f"}
  - {value: 2, name: in ICE, colour: "#8fb3d9"}
  - {value: 3, name: in TLD, colour: "#d55e00"}
  - {value: 4, name: in neighbours, colour: "#009e73"}
annotations:
  source: annotations
  mapping: {1: matrix, 2: in ICE, 3: in TLD, 4: in neighbours}
  unlabelled: [0]
  train: [0]
  test: [4]
"""

Labels = npt.NDArray[np.uint8]


def truth() -> Labels:
    labels = np.ones((SIDE, SIDE), np.uint8)
    labels[: SIDE // 2, SIDE // 2 :] = 2
    labels[SIDE // 2 :, : SIDE // 2] = 3
    labels[SIDE // 2 :, SIDE // 2 :] = 4
    return labels


def strokes() -> Labels:
    """A short stroke in every quarter: 2 % of the slice."""
    painted = np.zeros((SIDE, SIDE), np.uint8)
    for row, column in ((12, 10), (14, 46), (44, 12), (46, 44)):
        part = (slice(row, row + 2), slice(column, column + 10))
        painted[part] = truth()[part]
    return painted


def write_quarters(folder: Path) -> Path:
    rng, labels = np.random.default_rng(0), truth()
    for detector in ("ICE", "TLD", "annotations"):
        (folder / detector).mkdir(parents=True)
    for z in range(SLICES):
        shown = {"ICE": (labels == 2) | ((labels == 4) & (z != TARGET)), "TLD": labels == 3}
        for detector, bright in shown.items():
            image = np.where(bright, 150, 80) + rng.normal(0, 8, labels.shape)
            tifffile.imwrite(folder / detector / f"slice_{z}.tif", image.astype(np.uint8))
    tifffile.imwrite(folder / "annotations" / "slice_0.tif", np.where(labels == 1, strokes(), 0).astype(np.uint8))
    tifffile.imwrite(folder / "annotations" / "slice_4.tif", labels)
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf8")
    return folder / "sample.yaml"


def ingest_quarters(folder: Path) -> Stack:
    """Ingest it: of slice 0, to train on, some of the matrix is painted; slice 4, to test on, is labelled whole."""
    return ingest(write_quarters(folder / "sample"), folder / "quarters.ome.zarr")
