"""Slices that are unlike the training slices are named, in few lines, with the reason."""

import csv
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import tifffile

from monai_app.bundle.stacks import describe_stack
from monai_app.inference import Model, Segmentation
from monai_app.inference.report.familiarity import look_at
from monai_app.stack import SampleDescription, Stack, ingest
from tests.conftest import write_tiny_sample
from tests.inference.models import model_of

CHANGES = {2: ("ICE", "noise"), 4: ("TLD", "sharpness"), 7: ("TLD", "brightness")}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The tiny sample, some of whose images were changed after its training slices were."""
    folder = tmp_path_factory.mktemp("changed")
    sample = write_tiny_sample(folder / "sample")
    rng = np.random.default_rng(1)
    for z, (detector, what) in CHANGES.items():
        path = sample.parent / detector / f"slice_{z}.tif"
        grey = tifffile.imread(path).astype(float)
        if what == "noise":
            grey += rng.normal(0, 15, grey.shape)
        grey = scipy.ndimage.gaussian_filter(grey, 1.5) if what == "sharpness" else grey
        grey = grey + 60 if what == "brightness" else grey
        tifffile.imwrite(path, np.clip(grey, 0, 255).astype(np.uint8))
    return ingest(SampleDescription.from_yaml(sample), folder / "changed.ome.zarr")


def trained_on(stack: Stack, folder: Path) -> Model:
    """A model that remembers how the training slices of a stack look."""
    model = model_of(folder)
    known = describe_stack(stack, model.spec.detectors, stack.train_slices)
    return model.described_by(model.spec.replaced(training_stacks=[known]))


def test_slices_like_the_training_slices_are_not_named(
    tiny_stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = look_at(tiny_stack, range(8), trained_on(tiny_stack, tmp_path).spec, tmp_path)
    assert found is not None
    assert found.attributes == {"slices": [], "reasons": []}
    assert caplog.text == ""
    assert look_at(tiny_stack, range(8), model_of(tmp_path).spec, tmp_path) is None  # of an earlier version


def test_others_are_named_with_the_reason_and_all_is_beside_the_labels(
    changed: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stack = Stack.open(shutil.copytree(changed.path, tmp_path / "own.ome.zarr"))
    Segmentation(trained_on(stack, tmp_path), str(stack.path), "net").run()
    told = stack.label_attributes("net")["unlike_training"]
    assert {2, 4, 7} <= set(told["slices"])
    for z, (detector, what) in CHANGES.items():
        assert any(line.startswith(f"slice {z}: {what} of {detector} ") for line in told["reasons"])
        assert f"different from the training slices: slice {z}: {what} of {detector} " in caplog.text
    with (stack.path / "labels" / "net" / "slices.csv").open() as file:
        rows = {(int(row["slice"]), row["detector"]): row for row in csv.DictReader(file)}
    assert len(rows) == 16
    assert {place for place, row in rows.items() if row["unlike"]} >= {(z, each) for z, (each, _) in CHANGES.items()}
    noise = [float(rows[z, "ICE"]["noise"]) for z in stack.train_slices]
    assert float(rows[2, "ICE"]["noise"]) == pytest.approx(np.hypot(15, np.mean(noise)), rel=0.1)


def test_many_are_ten_lines(caplog: pytest.LogCaptureFixture, tiny_stack: Stack, tmp_path: Path) -> None:
    spec = trained_on(tiny_stack, tmp_path).spec
    known = spec.training_stacks[0]
    narrow = {name: dict.fromkeys(own, (0.0, 1e-06)) for name, own in (known.appearance or {}).items()}
    caplog.set_level(logging.WARNING)
    narrowed = spec.replaced(training_stacks=[known.replaced(appearance=narrow)])
    found = look_at(tiny_stack, [0, 2, 4, 6], narrowed, tmp_path)
    assert found is not None
    assert len(found.attributes["reasons"]) > 20
    assert len(caplog.messages) == 10
    assert "more lines of such slices; see slices.csv in the folder of the result" in caplog.messages[-1]


def test_slices_are_measured_once_and_told_of_again(
    changed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spec, told = trained_on(changed, tmp_path).spec, []
    first = look_at(changed, [0, 2], spec, tmp_path, lambda *done: told.append(done))
    assert told == [(0, 2), (1, 2), (2, 2)]
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.delattr("monai_app.inference.report.familiarity.measure_appearance")
        assert look_at(changed, [0, 2], spec, tmp_path) == first
    assert "slice 2: noise of ICE" in caplog.text
    other = look_at(changed, [2, 4], spec, tmp_path)
    assert other is not None
    assert list(other.appearances) == [2, 4]


def test_slices_are_looked_at_after_the_estimate(
    tiny_stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))
    caplog.set_level(logging.INFO)
    said: list[str] = []
    monkeypatch.setattr("monai_app.inference.segmentation.look_at", lambda *_: said.extend(caplog.messages))
    Segmentation(trained_on(stack, tmp_path), str(stack.path), "net").run()
    assert said[-1].startswith("segmenting 8 slices of own.ome.zarr with ")
