"""A study from the command line, with trainings of seconds."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import AnnotationError, ConfigError
from monai_app.stack import Stack, annotate, ingest
from monai_app.study import Design, default_design, read_design, read_outcomes, runs_of
from monai_app.study.design import check_design
from monai_app.study.execution import check_lengths, completion, is_done
from monai_app.study.robustness.strengths import Robustness
from monai_app.study.setup import begin_study
from tests.conftest import CHECKOUT, run_command, write_tiny_sample
from tests.study.conftest import VARIANTS, design_file


def test_every_variant_is_trained_with_every_seed_and_compared(study: tuple[Path, str], tiny_stack: Stack) -> None:
    folder, said = study
    document = json.loads((folder / "results.json").read_text())
    assert [row["variant"] for row in document["variants"]] == [*VARIANTS]
    assert [(row["variant"], row["seed"]) for row in document["runs"]] == [(name, 0) for name in VARIANTS]
    assert document["missing"] == []
    for row in document["runs"]:
        run = folder / "runs" / tiny_stack.store_name / row["variant"] / "seed_0"
        assert row["seconds"] >= 0
        if row["variant"].startswith("otsu"):
            assert (run / "scores.json").is_file()
            continue
        scores = json.loads((run / "eval" / "test" / "scores.json").read_text())
        assert row["mean_iou"] == pytest.approx(scores["mean_iou"])
        assert row["boundary_iou"] == pytest.approx(scores["boundary"]["mean"]["iou_2px"])
    [difference] = document["differences"]
    one, both, _ = (row["iou_mean"] for row in document["variants"])
    assert difference["value"] == pytest.approx(both - one)
    assert difference["verdict"] == "not shown"  # of one seed
    assert "ICE+TLD is not shown to be better than ICE" in said
    assert (folder / "results.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "comparisons.csv").open(newline="") as rows:
        assert [row["better"] for row in csv.DictReader(rows)] == ["ICE+TLD", "unet_ICE+TLD_1"]


def test_what_is_done_is_not_done_again_and_more_may_be_added(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(study[0], folder)
    trained = [*folder.glob("runs/*/*/seed_0/models/model.pt")]
    before = {path: path.stat().st_mtime_ns for path in trained}
    words = ["study", tiny_stack.path, folder, "--seeds", "0,1"]
    assert CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in trained} == before
    document = json.loads((folder / "results.json").read_text())
    assert document["seeds_compared"] == [0, 1]
    assert len(document["runs"]) == 6


def test_a_study_is_never_continued_otherwise_than_begun(study: tuple[Path, str], tiny_stack: Stack) -> None:
    found = run_command("-m", "monai_app", "study", tiny_stack.path, study[0], "--epochs", 2, check=False)
    assert found.returncode == 3
    assert "holds a study with epochs 1, and 2 is given" in found.stderr


def test_a_run_that_fails_leaves_the_others_and_is_named(tiny_stack: Stack, tmp_path: Path) -> None:
    design = design_file(tmp_path, variants=["unet_ICE_1", "otsu_ICE_1"])
    broken = tmp_path / "s" / "runs" / tiny_stack.store_name / "unet_ICE_1" / "seed_0"
    broken.mkdir(parents=True)
    (broken / "notes.txt").write_text("not a run folder")
    found = run_command("-m", "monai_app", "study", tiny_stack.path, tmp_path / "s", "--design", design, check=False)
    assert found.returncode == 3
    assert "1 of 2 runs failed" in found.stderr
    assert "unet_ICE_1, seed 0, tiny: monai-app: " in found.stderr
    assert (broken / "notes.txt").exists()
    assert (broken.parents[1] / "otsu_ICE_1" / "seed_0_cost.json").is_file()  # the others are measured


def test_the_commands_of_the_page_run(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On studies that are done."""
    monkeypatch.chdir(tmp_path)
    page = CHECKOUT / "docs" / "how-to" / "models" / "study.md"
    for name in ("study", "four"):
        runs = shutil.copytree(study[0], tmp_path / name) / "runs"
        (runs / tiny_stack.store_name).rename(runs / "sample")
        samples = {"sample": tiny_stack.ingested}
        (tmp_path / name / "samples.json").write_text(json.dumps(samples))
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    written, others, fewer, artefacts = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    for text, number in ((others, 5), (written + artefacts, 4), (fewer, 22)):
        (tmp_path / "four.yaml").write_text(text)
        design = read_design(tmp_path / "four.yaml")
        check_design(design, [tiny_stack])
        assert len(design.trained) == number
    shutil.copyfile(study[0] / "design.yaml", tmp_path / "four.yaml")
    monkeypatch.setattr(completion, "COMMAND", None)  # nothing is trained
    lines = re.findall(r"^monai-app (.*)", page.read_text(), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        found = CliRunner().invoke(app, line.split(), catch_exceptions=False)
        assert "better than ICE" in found.stdout
    named = set(re.findall(r"`(\w+\.(?:csv|png|json|md))`", page.read_text()))
    parts = {f"{name}.{kind}" for name in ("labels", "robustness", "transfer") for kind in ("csv", "png")}
    assert named - {"scores.json", *parts} == {
        path.name for path in (tmp_path / "study").iterdir() if path.is_file()
    } - {
        "design.yaml",
        "design.schema.json",
    }


def test_the_default_design_has_every_set_of_detectors(tiny_stack: Stack) -> None:
    design = default_design(tiny_stack)
    assert len(design.variants) == 9
    assert "sensor3d_ICE+TLD_3" in design.variants
    assert len(design.seeds) == 3


def test_runs_of_one_seed_come_before_those_of_the_next(tiny_stack: Stack, tmp_path: Path) -> None:
    runs = runs_of(Design(variants=VARIANTS, seeds=(3, 5)), [tiny_stack], tmp_path)
    assert [(run.seed, run.variant.name) for run in runs] == [(seed, name) for seed in (3, 5) for name in VARIANTS]
    assert not any(is_done(run) for run in runs)
    assert read_outcomes(runs) == []


def test_a_model_of_other_annotations_is_not_taken_for_this_study(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    folder = shutil.copytree(study[0], tmp_path / "s")
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / tiny_stack.path.name))
    annotate(stack, {1: stack.read_annotation(3)}, role="train", source="test")
    words = ["study", stack.path, folder]
    found = CliRunner().invoke(app, [*map(str, words)])
    assert "2 of 3 runs failed" in str(found.exception)
    assert "created from" in str(found.exception)
    assert json.loads((folder / "results.json").read_text())["seeds_compared"] == []


def test_stacks_of_different_phases_are_not_studied_together(tiny_stack: Stack, tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample", slices=7)
    description.write_text(description.read_text().replace("pore", "void"))
    other = ingest(description, tmp_path / "other.ome.zarr")
    with pytest.raises(AnnotationError, match="must agree in name and order"):
        begin_study([tiny_stack.path, other.path, tmp_path / "s"], None, None, None)


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({"continuations": [{"continues": 1, "max_epochs": 1}]}, "1 epoch, in parts"),
        ({"settings": {"max_epochs": 40}}, "40 epochs"),
        ({"minutes": 2.5}, "2.5 minutes"),
    ],
)
def test_a_run_that_was_trained_longer_is_not_compared(
    changes: dict[str, Any], length: str, study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    runs = runs_of(Design(variants=VARIANTS, seeds=(0,)), [tiny_stack], shutil.copytree(study[0], tmp_path / "s"))
    design = Design(variants=VARIANTS, epochs=1)
    check_lengths(runs, design)
    record = runs[1].folder / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **changes}))
    with pytest.raises(
        ConfigError, match=f"seed_0 was trained for {length}, and a study compares uninterrupted trainings of 1 epoch"
    ):
        check_lengths(runs, design)


def test_no_sample_is_left_out_or_replaced_later(tiny_stack: Stack, tmp_path: Path) -> None:
    other = ingest(write_tiny_sample(tmp_path / "sample", slices=7), tmp_path / "other.ome.zarr")
    design = design_file(tmp_path)
    begin_study([tiny_stack.path, tmp_path / "s"], design, None, None)
    begin_study([tiny_stack.path, other.path, tmp_path / "s"], None, None, None)  # one may be added
    annotate(other, {1: other.read_annotation(3)}, role="train", source="test")
    begin_study([other.path, tiny_stack.path, tmp_path / "s"], None, None, None)
    with pytest.raises(ConfigError, match=r"sample other, which is missing now; add other\.ome\.zarr"):
        begin_study([tiny_stack.path, tmp_path / "s"], None, None, None)
    ingest(write_tiny_sample(tmp_path / "again", slices=9), other.path, overwrite=True)
    with pytest.raises(ConfigError, match="another sample other"):
        begin_study([tiny_stack.path, other.path, tmp_path / "s"], None, None, None)


@pytest.mark.parametrize("settings", [{"minutes": 5}, {"pace": [[1, 1]]}])
def test_a_budget_of_time_is_refused(settings: dict[str, Any], tiny_stack: Stack) -> None:
    with pytest.raises(
        ConfigError, match="limits training by time, but all trainings must see the same number of pixels"
    ):
        check_design(Design(variants=VARIANTS, settings=settings), [tiny_stack])


def test_a_shift_that_no_variant_sees_is_refused(tiny_stack: Stack) -> None:
    shifted = Robustness(detector_shift=(2,))
    check_design(Design(variants=VARIANTS, robustness=shifted), [tiny_stack])
    with pytest.raises(ConfigError, match="but the first, ICE, and no variant sees another"):
        check_design(Design(variants=("unet_ICE_1", "unet_ICE_3"), robustness=shifted), [tiny_stack])
    for artefact in ("detector_shift", "drift"):
        with pytest.raises(ConfigError, match=r"0\.5"):
            Design(variants=VARIANTS, robustness={artefact: (0.5,)})  # type: ignore[arg-type]


def test_single_micrographs_are_drawn_as_wholes(study: tuple[Path, str], tiny_stack: Stack) -> None:
    stack = Stack.open(tiny_stack.path)
    runs = runs_of(Design(variants=VARIANTS, seeds=(0,)), [stack], study[0])
    neighbours = read_outcomes(runs)
    stack.gaps = tuple(range(1, stack.shape[0]))
    for one, other in zip(read_outcomes(runs), neighbours, strict=True):
        assert len(one.blocks) == len(stack.test_slices) < len(other.blocks)
        np.testing.assert_array_equal(one.blocks.sum(axis=0), other.blocks.sum(axis=0))
