"""Every annotated slice is once the test slice of a model that was trained on the others."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from monai_app.bundle.configs.locate import NO_SIZE
from monai_app.bundle.leave_one_out import folds_of, held_out, ready
from monai_app.bundle.recipe import read_recipe
from monai_app.errors import AnnotationError, ConfigError
from monai_app.files import file_sha256
from monai_app.stack import Stack, annotate
from tests.conftest import TINY, as_options, run_command

SLICES = [1, 3, 6]


@dataclass(frozen=True)
class Run:
    """A run of one short epoch, its stack, and what leaving out each slice gave."""

    run: Path
    stack: Stack
    shown: str

    @property
    def scores(self) -> Path:
        return self.run / "eval" / "leave_one_out" / "own" / "scores.json"


@pytest.fixture(scope="module")
def left_out(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("left_out")
    store, run = shutil.copytree(tiny_stack.path, folder / "own.ome.zarr"), folder / "run"
    annotate(Stack.open(store), {5: None})
    settings = {**TINY, "max_epochs": 1, "steps_per_epoch": 2}
    run_command("-m", "monai_app", "train", store, run, "--size", "none", "--seed", "3", *as_options(settings))
    shown = run_command("-m", "monai_app", "evaluate", store, "--run", run, "--leave-one-out").stdout
    return Run(run, Stack.open(store), shown)


def fold(run: Path, z: int) -> Path:
    return run.with_name("run.leave_one_out") / "own" / f"slice_{z:04d}"


def test_each_slice_is_scored_by_a_model_that_never_saw_it(left_out: Run) -> None:
    document = json.loads(left_out.scores.read_text())
    assert (document["slices"], document["role"]) == (SLICES, "leave_one_out")
    for z, model, part in zip(SLICES, document["models"], document["parts"], strict=True):
        run = fold(left_out.run, z) / "run"
        settings = json.loads((run / "run.json").read_text())["settings"]
        assert settings["trained_on"]["slices"] == [each for each in SLICES if each != z]
        assert (settings["seed"], settings["steps_per_epoch"]) == (3, 2)
        assert model == {"slice": z, "weights_sha256": file_sha256(run / "models" / "model.pt")}
        assert part["slice"] == z
        labelled = np.count_nonzero(left_out.stack.read_annotation(z))
        assert np.sum(part["confusion"]) == labelled
        assert (left_out.scores.parent / f"slice_{z:04d}.png").is_file()
    assert len({model["weights_sha256"] for model in document["models"]}) == len(SLICES)


def test_scores_are_pooled_and_their_spread_over_slices_is_told(left_out: Run) -> None:
    document = json.loads(left_out.scores.read_text())
    parts = document["parts"]
    np.testing.assert_array_equal(np.sum([part["confusion"] for part in parts], axis=0), document["confusion"])
    over, ious = document["over_slices"], [part["mean_iou"] for part in parts]
    assert over["mean_iou"]["mean"] == pytest.approx(np.mean(ious))
    assert over["mean_iou"]["std"] == pytest.approx(np.std(ious, ddof=1))
    assert over["phases"][0]["iou"]["greatest"] == max(part["phases"][0]["iou"] for part in parts)
    assert document["intervals"]["blocks"] == sum(part["intervals"]["blocks"] for part in parts)
    for line in ("slice 1 is left out (1 of 3)", f"own, slice 6: mean IoU {ious[2]:.4f}", "+-"):
        assert line in left_out.shown


def test_a_killed_evaluation_goes_on_with_what_is_missing(left_out: Run, tmp_path: Path) -> None:
    for path in (left_out.run, fold(left_out.run, 1).parents[1]):
        shutil.copytree(path, tmp_path / path.name, symlinks=True)
    run = tmp_path / "run"
    before = json.loads(left_out.scores.read_text())
    shutil.rmtree(fold(run, 3) / "run" / "eval" / "test")  # killed while this was scored
    shutil.rmtree(fold(run, 6) / "own.ome.zarr" / "labels")  # and while this stack was made
    kept = {z: (fold(run, z) / "run" / "models" / "model.pt").stat().st_mtime_ns for z in SLICES}
    shutil.rmtree(run / "eval" / "leave_one_out")
    shown = run_command("-m", "monai_app", "evaluate", left_out.stack.path, "--run", run, "--leave-one-out").stdout
    assert shown.count("$ python -m monai.bundle run") == 2  # train, which has nothing to do, and evaluate
    assert kept == {z: (fold(run, z) / "run" / "models" / "model.pt").stat().st_mtime_ns for z in SLICES}
    after = json.loads((run / "eval" / "leave_one_out" / "own" / "scores.json").read_text())
    assert after == before


def test_folds_of_other_annotations_are_trained_again(left_out: Run, tmp_path: Path) -> None:
    for path in (left_out.run, fold(left_out.run, 1).parents[1], left_out.stack.path):
        shutil.copytree(path, tmp_path / path.name, symlinks=True)
    stack, run = Stack.open(tmp_path / "own.ome.zarr"), tmp_path / "run"
    (own, *_), recipe = folds_of(stack, run), read_recipe(run, NO_SIZE, {})
    assert not ready(own, held_out(stack, own), recipe, 1)
    stack = annotate(stack, {5: np.ones(stack.shape[1:], np.uint8)})
    assert ready(own, held_out(stack, own), recipe, 1)
    settings = json.loads((own.run / "run.json").read_text())["settings"]
    assert settings["trained_on"]["slices"] == [3, 5, 6]
    assert not (own.run / "models" / "model.pt").exists()


def test_a_fold_has_the_pixels_and_annotations_of_the_stack(left_out: Run) -> None:
    for each in folds_of(left_out.stack, left_out.run):
        taken = held_out(left_out.stack, each)
        assert (taken.test_slices, taken.ingested) == ((each.z,), left_out.stack.ingested)
        assert taken.path == fold(left_out.run, each.z) / "own.ome.zarr"
        np.testing.assert_array_equal(taken.read_annotation(3), left_out.stack.read_annotation(3))
        assert taken.identity == held_out(left_out.stack, each).identity


def test_runs_and_stacks_that_leave_nothing_out_are_refused(left_out: Run, tmp_path: Path) -> None:
    own = Stack.open(shutil.copytree(left_out.stack.path, tmp_path / "own.ome.zarr"))
    with pytest.raises(AnnotationError, match=r"has 2 annotated slice\(s\), and leaving one out takes at least 3"):
        folds_of(annotate(own, {1: None}), left_out.run)
    run = Path(shutil.copytree(left_out.run, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "pretrained": {}}))
    with pytest.raises(ConfigError, match="began with the weights of another model"):
        folds_of(own, run)
    record["settings"]["trained_on"] = [record["settings"]["trained_on"]] * 2
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="was trained on several stacks"):
        folds_of(own, run)
    words = ("-m", "monai_app", "evaluate", own.path, "--run", left_out.run, "--leave-one-out", "--detector", "ICE=TLD")
    refused = run_command(*words, check=False)
    assert (refused.returncode, "--leave-one-out trains on one stack" in refused.stderr) == (2, True)
