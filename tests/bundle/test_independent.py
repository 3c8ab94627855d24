"""Micrographs that are not neighbours, the whole way: trained, evaluated and segmented, none sees another."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.stack import Stack, ingest
from tests.conftest import TINY_SENSOR3D, as_options, run_command, write_tiny_sample

Z = 6
"""The slice whose labels are looked at."""


def ingested(folder: Path, *, independent: bool, others_inverted: bool) -> Stack:
    """Ingest the tiny sample; the slices beside `Z` may have other pixels."""
    description = write_tiny_sample(folder / "sample")
    with description.open("a", encoding="utf8") as handle:
        handle.write("independent: true\n" if independent else "")
    for path in (folder / "sample").glob("ICE/slice_*.tif") if others_inverted else ():
        if path.stem in (f"slice_{Z - 1}", f"slice_{Z + 1}"):
            tifffile.imwrite(path, 255 - tifffile.imread(path))
    return ingest(description, folder / "tiny.ome.zarr")


def segmented(stack: Stack, run: Path) -> np.ndarray:
    """The probabilities of slice `Z`: (K, rows, columns)."""
    run_command("-m", "monai_app", "segment", stack.path, run, "--labels", "own", "--probability", "--z", str(Z))
    return stack.read_map("own", "probability", Z)


def test_a_model_of_independent_micrographs_looks_at_one_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = as_options({**TINY_SENSOR3D, "max_epochs": 1, "steps_per_epoch": 2})
    stack = ingested(tmp_path / "own", independent=True, others_inverted=False)
    run_command("-m", "monai_app", "train", stack.path, run, "--variant", "sensor3d_ice+tld_3", *settings)
    run_command("-m", "monai_app", "evaluate", stack.path, run)
    probabilities = segmented(stack, run)

    others = ingested(tmp_path / "others", independent=True, others_inverted=True)
    np.testing.assert_array_equal(segmented(others, run), probabilities)
    neighbours = ingested(tmp_path / "neighbours", independent=False, others_inverted=True)
    assert (segmented(neighbours, run) != probabilities).mean() > 0.1

    scores = json.loads((run / "eval" / "test" / "scores.json").read_text())
    truth, labels = stack.read_annotation(Z), stack.read_labels("own", Z)
    right = (labels == truth)[truth > 0].mean()
    assert scores["pixel_accuracy"] == pytest.approx(right)
