"""Whether the intervals of `monai-app quantify` hold the true fractions as often as they say.

    python tools/benchmarks/interval_coverage.py --work WORK --json docs/results/interval_coverage.json

One small model is trained on one simulated stack and segments others, of other seeds and of two thicknesses. The truth
of one slice of each, drawn at random, is its only annotation; the truth of all slices says whether the intervals of the
corrected fractions hold. Numbers of blocks that the program does not use are measured beside its own.
Representativity is measured on volumes cut from overlapping spheres, of which the fraction in all of the material is
known (Torquato 2002, doi 10.1007/978-1-4757-6355-3).
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import TINY_UNET, app, command, machine, settings_options, write_json

from monai_app.bundle.model import load_model
from monai_app.inference import Predictor
from monai_app.metrics.blocks import BLOCKS
from monai_app.phantom import PHASES, PhantomConfig, simulate, write_sample
from monai_app.quantities.uncertainty.cells import CellCounts, choose_grid
from monai_app.quantities.uncertainty.representativity import represent
from monai_app.quantities.uncertainty.segmentation import correct_fractions, gather_evidence
from monai_app.stack.slabs import ArrayStack

Labels = npt.NDArray[np.uint8]

VOXEL = {"z": 80.0, "y": 40.0, "x": 40.0}
SIDE = 256
"""Rows and columns of a simulated stack: 10 um."""

THICKNESSES = (24, 72)
"""Slices of the stacks: 1.9 and 5.8 um."""

NUMBERS = (4, BLOCKS, 16, 36)
"""Blocks of a slice that are compared."""

FIRST_SEED = 2001
"""The method was chosen on seeds below."""

SETTINGS = [*TINY_UNET, "max_epochs=16"]

VOLUMES = {"cube": (40, 80, 80), "slab": (12, 160, 160)}
"""Voxels of volumes cut from a Boolean model; a voxel is twice as thick as it is wide."""

RADII = (5, 8, 12)
"""Of spheres, in voxels along x."""

FRACTIONS = (0.05, 0.2, 0.5, 0.8)
"""Of the space between the spheres."""


def main() -> None:
    """Run both experiments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the sample and the model")
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    parser.add_argument("--stacks", type=int, default=40, help="simulated stacks of each thickness")
    parser.add_argument("--volumes", type=int, default=40, help="volumes of each Boolean model")
    words = parser.parse_args()
    content: dict[str, Any] = {"machine": machine(), "command": command(), "settings": SETTINGS, "voxel_nm": VOXEL}
    predictor = Predictor(load_model(trained(words.work)))
    seeds = range(FIRST_SEED, FIRST_SEED + words.stacks)
    stacks = [
        row
        for slices, seed in product(THICKNESSES, seeds)
        for row in correct(*segmented(predictor, slices, seed), seed)
    ]
    content |= {"pooled": by(stacks, "slices", "blocks"), "segmentation": by(stacks, "slices", "blocks", "phase")}
    write_json(words.json, content)
    volumes = [
        row
        for number, (name, radius, fraction) in enumerate(product(VOLUMES, RADII, FRACTIONS))
        for row in represented(name, radius, fraction, words.volumes, number)
    ]
    content |= {"representativity": by(volumes, "volume", "radius"), "fractions": by(volumes, "fraction")}
    content |= {"all_volumes": by(volumes)}
    write_json(words.json, content)
    for title in ("pooled", "segmentation", "representativity", "fractions", "all_volumes"):
        print(title, *content[title], sep="\n")


def trained(work: Path) -> Path:
    """Train the model, unless it was."""
    run = work / "model"
    if not (run / "models" / "model.pt").exists():
        config = PhantomConfig.from_mapping({"slices": 24, "rows": SIDE, "columns": SIDE, "voxel_nm": VOXEL})
        write_sample(config, work / "sample", overwrite=True)
        app("ingest", work / "sample" / "sample.yaml", work / "sample.ome.zarr", "--overwrite")
        app("train", work / "sample.ome.zarr", run, *settings_options(SETTINGS))
    return run


def segmented(predictor: Predictor, slices: int, seed: int) -> tuple[Labels, Labels]:
    """Simulate a stack and segment it: the truth and the labels, (slices, rows, columns)."""
    size = {"slices": slices, "rows": SIDE, "columns": SIDE}
    config = PhantomConfig.from_mapping({**size, "voxel_nm": VOXEL, "seed": seed})
    items = list(simulate(config))
    names = [detector.name for detector in config.detectors]
    stack = ArrayStack(names, np.stack([[item.images[name] for item in items] for name in names]))
    labels = np.stack([planes["labels"] for _, planes in predictor.predict(stack, range(slices))])
    return np.stack([item.truth for item in items]), labels


def correct(truth: Labels, labels: Labels, seed: int) -> Iterable[dict[str, Any]]:
    """Correct the fractions of labels by one slice: a row for each number of blocks and phase."""
    z = int(np.random.default_rng(seed).integers(len(truth)))
    of_truth, voxels = (
        np.stack([np.bincount(plane.ravel(), minlength=1 + len(PHASES))[1:] for plane in each])
        for each in (truth, labels)
    )
    for number in NUMBERS:
        evidence = gather_evidence(
            [(z, truth[z], labels[z])], len(PHASES), (VOXEL["z"], VOXEL["y"], VOXEL["x"]), number
        )
        for k, found in enumerate(correct_fractions(voxels, evidence)):
            yield {
                "slices": len(truth),
                "blocks": number,
                "phase": PHASES[k].name,
                "true": float(of_truth[:, k].sum() / truth.size),
                "labelled": found.labelled,
                "corrected": found.corrected,
                "low": found.low,
                "high": found.high,
                "reliable": not found.unreliable,
            }


def represented(name: str, radius: float, fraction: float, volumes: int, seed: int) -> Iterable[dict[str, Any]]:
    """Cut volumes from a Boolean model and estimate how representative their fractions are: a row for each."""
    for number in range(volumes):
        between = 1 + spheres(VOLUMES[name], radius, fraction, np.random.default_rng([seed, number]))
        cells = CellCounts(choose_grid(VOLUMES[name], (2.0, 1.0, 1.0)), 2)
        for z, plane in enumerate(between):
            cells.add(z, plane)
        found = represent(cells.counts, cells.grid.cell_nm, 2.0)[0]
        yield {
            "volume": name,
            "radius": radius,
            "fraction": fraction,
            "true": fraction,
            "labelled": found.fraction,
            "corrected": found.fraction,
            "low": found.low,
            "high": found.high,
            "reliable": not found.unreliable,
        }


def spheres(shape: tuple[int, int, int], radius: float, between: float, rng: np.random.Generator) -> Labels:
    """Throw overlapping spheres: (z, y, x), 1 in spheres; voxels are twice as thick as wide.

    Args:
        shape: slices, rows, columns.
        radius: in voxels along x.
        between: fraction of the space between them.
        rng: of centres and their number.
    """
    size = np.array([2.0, 1.0, 1.0])
    box = shape * size + 2 * radius
    density = -np.log(between) / (4 / 3 * np.pi * radius**3)
    inside = np.zeros(shape, np.uint8)
    for centre in rng.uniform(size=(rng.poisson(density * box.prod()), 3)) * box - radius:
        first = np.maximum(np.ceil((centre - radius) / size), 0).astype(int)
        end = np.minimum(np.floor((centre + radius) / size).astype(int) + 1, shape)
        if (first < end).all():
            z, y, x = ((np.arange(a, b) * s - c) ** 2 for a, b, s, c in zip(first, end, size, centre, strict=True))
            part = inside[tuple(map(slice, first, end))]
            part |= z[:, None, None] + y[:, None] + x < radius**2
    return inside


def by(rows: Sequence[Mapping[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Say for each group of rows how many intervals hold the true fraction, of all and of those that are not marked."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [dict(zip(keys, group, strict=True)) | summary(of) for group, of in groups.items()]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum up the intervals of some rows."""
    true, low, high, labelled, corrected = (
        np.array([row[key] for row in rows]) for key in ("true", "low", "high", "labelled", "corrected")
    )
    holds, reliable = (low <= true) & (true <= high), np.array([row["reliable"] for row in rows])
    share = partial(round, ndigits=3)
    return {
        "intervals": len(rows),
        "held": share(float(holds.mean())),
        "marked": share(float((~reliable).mean())),
        "held_unmarked": share(float(holds[reliable].mean())) if reliable.any() else None,
        "median_width": round(float(np.nanmedian(high - low)), 4),
        "mean_error": round(float(np.abs(labelled - true).mean()), 4),
        "mean_error_corrected": round(float(np.abs(corrected - true).mean()), 4),
    }


if __name__ == "__main__":
    main()
