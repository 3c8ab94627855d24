"""Predicting is timed once for what a run learned."""

import json
import shutil
from pathlib import Path

import pytest

from monai_app.stack import Stack
from monai_app.study import Design, prediction, runs_of
from monai_app.study.baselines.cleaned_images import CleanedImages
from monai_app.study.execution import cost, measure_costs, read_cost
from monai_app.study.runs import StudyRun
from tests.study.conftest import VARIANTS


def test_predicting_is_timed_once_for_what_was_learned(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study's command timed them; a run that learned something else is timed again."""
    folder = shutil.copytree(study[0], tmp_path / "s")
    runs = runs_of(Design(variants=VARIANTS, seeds=(0,)), [tiny_stack], folder)
    document = json.loads((folder / "results.json").read_text())
    found = [read_cost(run) for run in runs]
    assert [row["seconds_per_megapixel"] for row in document["runs"]] == [
        each and each.seconds_per_megapixel for each in found
    ]
    assert all(each is not None and each.seconds_per_megapixel > 0 and each.threads >= 1 for each in found)
    timed = list[str]()

    def measured(run: StudyRun, raw: Stack) -> cost.Cost:
        timed.append(run.name)
        return cost.Cost(1.5, 2, "cpu")

    monkeypatch.setattr(cost, "_measured", measured)
    stacks = {tiny_stack.store_name: tiny_stack}
    measure_costs(runs, stacks)
    assert timed == []
    with runs[-1].learned.open("a") as scores:
        scores.write(" ")
    assert read_cost(runs[-1]) is None
    measure_costs(runs, stacks)
    assert timed == [runs[-1].name]
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    assert [read_cost(run) for run in runs] == [None] * 3  # they are those of fewer threads


def test_one_seed_of_a_variant_is_timed(tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of(Design(variants=("otsu_ICE_1", "otsu_TLD_1"), seeds=(4, 2)), [tiny_stack], tmp_path)
    for run in runs:
        run.learned.parent.mkdir(parents=True)
        identity = "another" if run.name == "otsu_TLD_1, seed 4, tiny" else tiny_stack.identity
        run.learned.write_text(json.dumps({"stack_identity": identity}))
    found = cost.Cost(1.5, 2, "cpu")
    monkeypatch.setattr(cost, "_measured", lambda run, raw: found)
    measure_costs(runs, {tiny_stack.store_name: tiny_stack})
    assert [run.seed for run in runs if run.folder.with_name(f"{run.folder.name}_cost.json").is_file()] == [4, 2]


def test_cleaning_is_part_of_the_time(tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design, copies = Design(variants=("otsu_ICE_1@cleaned",), seeds=(0,)), {tiny_stack.store_name: tiny_stack}
    (run,) = runs_of(design, [tiny_stack], tmp_path, copies)
    seen = list[object]()
    monkeypatch.setattr(cost, "slice_predictor", lambda run: lambda images, z: seen.append(images))
    monkeypatch.setattr(prediction, "cleaning_of", lambda copy: {})
    cost._measured(run, tiny_stack)
    assert len({id(images) for images in seen}) == 5
    assert all(isinstance(images, CleanedImages) for images in seen)
