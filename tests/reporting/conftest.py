"""A scored run, its labels and what was measured of them, which all tests of the report share."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from monai.transforms import NormalizeIntensity

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.model import load_model
from monai_app.bundle.segment import segment
from monai_app.files import file_sha256
from monai_app.inference import Model
from monai_app.metrics import count_pixels
from monai_app.pictures import as_png, draw_slice
from monai_app.provenance import provenance
from monai_app.quantities import StoredLabels, chosen_measures, quantify
from monai_app.quantities.report.folder import write_folder
from monai_app.reporting.sources import Sources, read_sources
from monai_app.stack import Stack
from monai_app.training.evaluation import (
    SECTIONS,
    EvaluatedSlice,
    SliceScores,
    StackScores,
    write_evaluation,
)
from monai_app.transforms import phase_labels
from tests.conftest import made_once


class Given(NamedTuple):
    """What a page is made of; tests must not change it."""

    run: Path
    store: Path
    quantities: Path


def score(model: Model, stack: Stack, folder: Path) -> None:
    """Score the test slice as `monai-app evaluate` does, without its process."""
    spec, z = model.spec, stack.test_slices[0]
    slab = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)(
        stack.read_slab(z, spec.detectors, spec.slices)
    )
    with torch.no_grad():
        logits = model.network(torch.as_tensor(slab)[None])[0]
    true, predicted = stack.read_annotation(z), phase_labels(logits)[0].numpy()
    evaluated = EvaluatedSlice(stack, z, spec, model.temperature, true, predicted, logits)
    confusion = count_pixels(true, predicted, len(spec.phases))
    found = SliceScores(z, confusion, {each.name: each.of_slice(evaluated) for each in SECTIONS})
    images = {name: stack.read_slab(z, [name], 1)[0] for name in spec.detectors}
    picture = as_png(draw_slice(images, true, predicted, spec.phases, "test"))
    record = {
        **provenance(stack, "run", file_sha256(folder.parent / "models" / "model.pt")),
        "temperature": model.temperature,
        "stack_ingested": stack.ingested,
        "store": stack.store_name,
    }
    write_evaluation(
        folder, [StackScores(record, [found], {f"slice_{z:04d}.png": picture})], spec.phase_names, SECTIONS
    )


@pytest.fixture(scope="session")
def given(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    def make(folder: Path) -> None:
        shutil.copytree(tiny_stack.path, folder / "tiny.ome.zarr")
        shutil.copytree(trained, folder / "run")
        stack = Stack.open(folder / "tiny.ome.zarr")
        model = load_model(folder / "run")
        score(model, stack, folder / "run" / "eval")
        segment(model, stack.path, "unet", Applied(confidence="max"))
        measures = chosen_measures(["fraction", "correction", "representativity", "chords"])
        write_folder(quantify(StoredLabels(stack, "unet"), measures), folder / "quantities")

    folder = made_once(tmp_path_factory, "report", make)
    return Given(folder / "run", folder / "tiny.ome.zarr", folder / "quantities")


@pytest.fixture(scope="session")
def sources(given: Given) -> Sources:
    return read_sources(given)
