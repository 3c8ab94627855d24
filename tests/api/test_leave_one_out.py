"""Every annotated slice is once the test slice of a model that was trained on the others."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from monai_app.api.given import ignore
from monai_app.api.leave_one_out import score_each_left_out
from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.templates import NO_SIZE
from monai_app.bundle.leave_one_out import folds_of, held_out, ready
from monai_app.bundle.recipe import read_recipe
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.files import file_sha256
from monai_app.networks.calibration import temperature_of
from monai_app.networks.weights import read_checkpoint, save_checkpoint
from monai_app.stack import Stack, annotate
from tests.conftest import CHECKOUT, TINY, run_command
from tests.test_docs import commands

SLICES = [1, 3, 6]


@dataclass(frozen=True)
class Run:
    """A run, its stack of three annotated slices, and what leaving out each of them gave."""

    run: Path
    stack: Stack
    shown: str

    @property
    def scores(self) -> Path:
        return self.run / "eval" / "leave_one_out" / "sample" / "scores.json"


@pytest.fixture(scope="module")
def left_out(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """By the commands of the page on evaluation."""
    folder = tmp_path_factory.mktemp("left_out")
    store, run = shutil.copytree(tiny_stack.path, folder / "sample.ome.zarr"), folder / "runs" / "unet"
    annotate(Stack.open(store), {5: None})
    shutil.copytree(trained, run)
    _, last = commands(CHECKOUT / "docs" / "how-to" / "models" / "evaluation.md", "monai-app")
    done = run_command("-m", "monai_app", *last, cwd=folder)
    shown = done.stderr + done.stdout
    return Run(run, Stack.open(store), shown)


def fold(run: Path, z: int) -> Path:
    return run.with_name("unet.leave_one_out") / "sample" / f"slice_{z:04d}"


def test_each_slice_is_scored_by_a_model_that_never_saw_it(left_out: Run) -> None:
    document = json.loads(left_out.scores.read_text())
    assert (document["slices"], document["role"]) == (SLICES, "leave_one_out")
    for z, model, part in zip(SLICES, document["models"], document["parts"], strict=True):
        run = fold(left_out.run, z) / "run"
        settings = json.loads((run / "run.json").read_text())["settings"]
        assert settings["trained_on"]["slices"] == [each for each in SLICES if each != z]
        assert (settings["steps_per_epoch"], settings["features"]) == (3, TINY["features"])
        weights = run / "models" / "model.pt"
        sha256 = file_sha256(weights)
        assert model == {"slice": z, "weights_sha256": sha256, "temperature": temperature_of(weights, sha256)}
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
    assert {document["intervals"]["blocks"]} == {
        part["intervals"]["blocks"] for part in parts
    }  # near slices share them
    for line in ("slice 1 is left out (1 of 3)", f"sample, slice 6: mean IoU {ious[2]:.4f}", "+-"):
        assert line in left_out.shown


def test_a_killed_evaluation_goes_on_with_what_is_missing(
    left_out: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(left_out, tmp_path)
    own = fold(run, 3) / "run"
    (own / "eval" / "test").rename(own / "eval" / "kept")  # killed while this was scored
    shutil.rmtree(fold(run, 6) / "sample.ome.zarr" / "labels")  # and while this stack was made
    unfinished = fold(run, 6) / "run" / "models" / "last.ckpt"  # though somebody evaluated it by hand
    save_checkpoint({**read_checkpoint(unfinished), "finished": False}, unfinished)
    called = []

    def evaluated(place: Path, command: BundleCommand, *_: object) -> None:
        called.append((place, command.config_files[-1].name))
        if len(called) == 2:
            (own / "eval" / "kept").rename(own / "eval" / "test")

    monkeypatch.setattr("monai_app.api.leave_one_out.run_trusted", evaluated)
    score_each_left_out(left_out.stack, run, 1, {}, ignore, None)
    both = ("train.yaml", "evaluate.yaml")  # the training finds that it is complete
    assert called == [(place, name) for place in (own, fold(run, 6) / "run") for name in both]
    after = run / left_out.scores.relative_to(left_out.run)
    assert json.loads(after.read_text()) == json.loads(left_out.scores.read_text())


def copied(left_out: Run, tmp_path: Path) -> Path:
    """The run and its folds, to be changed."""
    for path in (left_out.run, fold(left_out.run, 1).parents[1]):
        shutil.copytree(path, tmp_path / "runs" / path.name, symlinks=True)
    shutil.rmtree(tmp_path / "runs" / "unet" / "eval" / "leave_one_out")
    return tmp_path / "runs" / "unet"


def test_folds_of_other_annotations_are_trained_again(left_out: Run, tmp_path: Path) -> None:
    run, stack = (
        copied(left_out, tmp_path),
        Stack.open(shutil.copytree(left_out.stack.path, tmp_path / "sample.ome.zarr")),
    )
    (own, *_), recipe = folds_of(stack, run), read_recipe(run, NO_SIZE, {})
    stack = annotate(stack, {5: np.ones(stack.shape[1:], np.uint8)})
    assert ready(own, held_out(stack, own), recipe, 1)
    settings = json.loads((own.run / "run.json").read_text())["settings"]
    assert settings["trained_on"]["slices"] == [3, 5, 6]
    assert not (own.run / "models" / "model.pt").exists()


def test_a_fold_has_the_pixels_and_annotations_of_the_stack(left_out: Run) -> None:
    for each in folds_of(left_out.stack, left_out.run):
        taken = held_out(left_out.stack, each)
        assert (taken.test_slices, taken.ingested) == ((each.z,), left_out.stack.ingested)
        assert taken.path == fold(left_out.run, each.z) / "sample.ome.zarr"
        np.testing.assert_array_equal(taken.read_annotation(3), left_out.stack.read_annotation(3))
        assert taken.identity == held_out(left_out.stack, each).identity


def test_a_stack_that_is_annotated_meanwhile_is_not_mixed(left_out: Run, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(left_out.stack.path, tmp_path / "sample.ome.zarr"))
    first, *_ = folds_of(stack, left_out.run)
    annotate(stack, {5: np.ones(stack.shape[1:], np.uint8)})
    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        held_out(stack, replace(first, folder=tmp_path / "fold"))


def test_runs_and_stacks_that_leave_nothing_out_are_refused(left_out: Run, tmp_path: Path) -> None:
    own = Stack.open(shutil.copytree(left_out.stack.path, tmp_path / "sample.ome.zarr"))
    with pytest.raises(AnnotationError, match=r"has 2 annotated slices, and leave-one-out needs at least 3"):
        folds_of(annotate(own, {1: None}), left_out.run)
    run = Path(shutil.copytree(left_out.run, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "pretrained": {}}))
    with pytest.raises(ConfigError, match="started from the weights of another model"):
        folds_of(own, run)
    record["settings"]["trained_on"] = [record["settings"]["trained_on"]] * 2
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="was trained on several stacks"):
        folds_of(own, run)
    words = ("-m", "monai_app", "evaluate", own.path, "--run", left_out.run, "--leave-one-out", "--detector", "ICE=TLD")
    refused = run_command(*words, check=False)
    assert (refused.returncode, "(--leave-one-out) trains on one stack" in refused.stderr) == (3, True)
