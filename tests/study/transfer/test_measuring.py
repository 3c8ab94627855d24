"""Runs of a study on samples that they were not trained on."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.metrics import count_pixels
from monai_app.stack import Stack, annotate
from monai_app.study import Design, StudyRun, runs_of
from monai_app.study.baselines import cleaning
from monai_app.study.baselines.cleaned_images import CleanedImages
from monai_app.study.baselines.cleaned_stack import cleaned_stack, cleaning_of
from monai_app.study.baselines.process import train_and_score
from monai_app.study.prediction import slice_predictor
from monai_app.study.transfer import measuring
from monai_app.study.transfer.measuring import measure_transfer, read_transferred
from monai_app.training.evaluation import read_stack_scores
from tests.conftest import run_command
from tests.study.conftest import VARIANTS, design_file

VALIDATION = (0.25, 32)


def trained(stacks: Sequence[Stack], folder: Path, variant: str = "otsu_ICE+TLD_1") -> list[StudyRun]:
    """Thresholds of every stack."""
    runs = runs_of(Design(variants=(variant,), seeds=(0,)), stacks, folder)
    for run in runs:
        train_and_score(run.stack, run.variant, run.seed, run.folder, VALIDATION)
    return runs


def test_networks_score_on_another_sample_what_evaluate_finds(
    study: tuple[Path, str], tiny_stack: Stack, brighter_stack: Stack, tmp_path: Path
) -> None:
    """With the scaling of the sample that they were trained on: the other one is brighter."""
    folder = shutil.copytree(study[0], tmp_path / "s")
    stacks = [tiny_stack, brighter_stack]
    runs = runs_of(Design(variants=VARIANTS[:1], seeds=(0,)), stacks, folder)
    measure_transfer(runs, stacks)
    [found] = read_transferred(runs, stacks)  # the other stack's runs are not done
    run_command("-m", "monai_app", "evaluate", brighter_stack.path, found.run.folder)
    scores = read_stack_scores(found.run.folder, brighter_stack.identity)
    assert scores is not None
    np.testing.assert_array_equal(found.counts["brighter"], np.sum([each.confusion for each in scores.slices], axis=0))


def test_the_command_says_what_is_lost_on_other_samples(
    tiny_stack: Stack, brighter_stack: Stack, darker_stack: Stack, tmp_path: Path
) -> None:
    stacks = [tiny_stack, brighter_stack, darker_stack]
    trained(stacks, tmp_path / "s")
    design = design_file(tmp_path, variants=["otsu_ICE+TLD_1"])
    words = ["study", *(stack.path for stack in stacks), tmp_path / "s", "--design", design]
    for _ in range(2):
        found = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
        assert found.exit_code == 0
        assert "On other samples `otsu_ICE+TLD_1` is best" in found.stdout
    with (tmp_path / "s" / "transfer.csv").open(newline="") as rows:
        scores = {(row["trained_on"], row["tested_on"]): float(row["mean_iou_mean"]) for row in csv.DictReader(rows)}
    assert len(scores) == 9
    assert scores["brighter", "brighter"] > scores["darker", "brighter"] + 0.2  # thresholds are those of darker images
    assert (tmp_path / "s" / "transfer.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_measured_is_measured_again_only_of_other_annotations(
    tiny_stack: Stack, brighter_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Stack.open(shutil.copytree(brighter_stack.path, tmp_path / brighter_stack.path.name))
    runs = trained([tiny_stack, other], tmp_path / "s")
    measure_transfer(runs, [tiny_stack, other])
    before = {each.run.sample: each.counts for each in read_transferred(runs, [tiny_stack, other])}
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "slice_predictor", None)
        measure_transfer(runs, [tiny_stack, other])
    (z,) = other.test_slices
    annotate(other, {z: np.where(other.read_annotation(z) == 2, 2, 0).astype(np.uint8)}, role="test", source="test")
    changed = [tiny_stack, other.reopened()]
    assert [each.run.sample for each in read_transferred(runs[:1], changed)] == []
    measure_transfer(runs[:1], changed)
    [now] = read_transferred(runs[:1], changed)
    assert now.counts["brighter"][[0, 2]].sum() == 0 < before["tiny"]["brighter"][[0, 2]].sum()


def test_what_another_model_scored_is_not_taken_for_its(
    tiny_stack: Stack, brighter_stack: Stack, tmp_path: Path
) -> None:
    stacks = [tiny_stack, brighter_stack]
    runs = trained(stacks, tmp_path)
    measure_transfer(runs, stacks)
    scores = runs[0].folder / "scores.json"
    scores.write_text(json.dumps({**json.loads(scores.read_text()), "seconds": 1e6}))
    assert [each.run.sample for each in read_transferred(runs, stacks)] == ["brighter"]


def test_one_sample_has_no_others(tiny_stack: Stack, tmp_path: Path) -> None:
    runs = trained([tiny_stack], tmp_path)
    measure_transfer(runs, [tiny_stack])
    assert [*read_transferred(runs, [tiny_stack])] == []
    assert not [*tmp_path.rglob("*_transfer.json")]


def test_another_sample_is_cleaned_as_the_one_that_was_trained_on(
    tiny_stack: Stack, brighter_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = [tiny_stack, brighter_stack]
    copies = {}
    for stack, flatten in zip(stacks, (8.0, 0.0), strict=True):
        monkeypatch.setattr(cleaning, "CHOICES", {"destripe": (0.0,), "flatten": (flatten,), "denoise": (0.0,)})
        target = tmp_path / f"{stack.store_name}_cleaned.ome.zarr"
        copies[stack.store_name] = cleaned_stack(stack, target, VALIDATION)
    design = Design(variants=("otsu_ICE+TLD_1@cleaned",), seeds=(0,))
    run, _ = runs_of(design, stacks, tmp_path, copies)
    train_and_score(run.stack, run.variant, run.seed, run.folder, VALIDATION)
    measure_transfer([run], stacks)
    [found] = read_transferred([run], stacks)
    (z,) = brighter_stack.test_slices
    images = CleanedImages(brighter_stack, cleaning_of(copies["tiny"]))
    plane = brighter_stack.read_slab(z, ["TLD"], 1)[0]
    np.testing.assert_array_equal(images.read_slab(z, ["TLD"], 1)[0], cleaning.clean(plane, cleaning.Cleaning(0, 8.0)))
    labels = slice_predictor(run)(images, z)
    counts = count_pixels(brighter_stack.read_annotation(z), labels, len(brighter_stack.phases))
    np.testing.assert_array_equal(found.counts["brighter"], counts)
