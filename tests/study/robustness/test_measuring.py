"""Scores of trained models where artefacts are laid over their test slices."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.metrics import score
from monai_app.progress import silent
from monai_app.stack import Stack
from monai_app.study import Design, read_outcomes, runs_of
from monai_app.study.baselines import cleaning
from monai_app.study.baselines.process import train_and_score
from monai_app.study.robustness import measuring
from monai_app.study.robustness.measuring import measure_robustness, read_measured
from monai_app.study.robustness.strengths import UNCHANGED, Condition, Robustness
from monai_app.study.setup import begin_study, cleaned_stacks
from tests.study.conftest import VARIANTS

NOISE = Condition("noise", 0.2)


def test_a_study_that_is_done_is_tested_with_artefacts(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    """What is measured stays where further strengths are asked for."""
    folder = shutil.copytree(study[0], tmp_path / "s")
    design = yaml.safe_load((folder / "design.yaml").read_text())
    for strengths in ({"noise": [0.2]}, {"noise": [0.2], "gain": [0.5]}):
        (folder / "design.yaml").write_text(yaml.safe_dump({**design, "robustness": strengths}))
        words = ["study", tiny_stack.path, folder]
        said = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False).stdout
    assert "noise 0.2: `" in said
    assert (folder / "robustness.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((folder / "results.json").read_text())["sections"]["robustness"]["rows"]
    assert [(row["variant"], row["artefact"]) for row in rows] == [
        (name, artefact) for name in VARIANTS for artefact in ("noise", "gain")
    ]
    runs = runs_of(Design(variants=VARIANTS, seeds=(0,)), [tiny_stack], folder)
    measured = [*read_measured(runs, [NOISE], {tiny_stack.store_name: tiny_stack})]
    for one, outcome in zip(measured, read_outcomes(runs), strict=True):
        np.testing.assert_array_equal(one.counts[UNCHANGED], outcome.scores.confusion)
        assert one.score(UNCHANGED) == score(one.counts[UNCHANGED], ["", "", ""]).mean_iou
    *_, thresholds = measured  # networks that are hardly trained see one phase everywhere
    assert not np.array_equal(thresholds.counts[NOISE], thresholds.counts[UNCHANGED])


def test_what_is_measured_is_kept_and_that_of_other_models_is_not(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = runs_of(Design(variants=("otsu_ICE_1",), seeds=(0,)), [tiny_stack], tmp_path)
    stacks = {tiny_stack.store_name: tiny_stack}
    assert [*read_measured([run], [NOISE], stacks)] == []  # which is not done
    train_and_score(tiny_stack, run.variant, run.seed, run.folder, (0.25, 32))
    calls = list[tuple[int, int]]()
    measure_robustness([run], [NOISE], stacks, lambda *call: calls.append(call))
    assert calls[0] == (0, 2)
    assert calls[-1] == (2, 2)
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "slice_predictor", None)
        measure_robustness([run], [NOISE], stacks)
        assert len([*read_measured([run], [NOISE], stacks)]) == 1
    train_and_score(tiny_stack, run.variant, 1, run.folder, (0.25, 32))
    assert [*read_measured([run], [NOISE], stacks)] == []
    measure_robustness([run], [NOISE], stacks)
    assert len([*read_measured([run], [NOISE], stacks)]) == 1


def test_cleaned_variants_see_artefacts_that_are_cleaned(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged images are those that they were scored on, and shading is taken out again."""
    monkeypatch.setattr(cleaning, "CHOICES", {"destripe": (0.0,), "flatten": (16.0,), "denoise": (0.0,)})
    design = Design(variants=("otsu_ICE_1", "otsu_ICE_1@cleaned"), seeds=(0,))
    copies = cleaned_stacks(design, [tiny_stack], tmp_path, lambda name: nullcontext(silent))
    raw, cleaned = runs_of(design, [tiny_stack], tmp_path, copies)
    for run in (raw, cleaned):
        train_and_score(run.stack, run.variant, run.seed, run.folder, (0.25, 32))
    stacks, shading = {tiny_stack.store_name: tiny_stack}, Condition("shading", 0.6)
    measure_robustness([raw, cleaned], [shading], stacks)
    one, other = read_measured([raw, cleaned], [shading], stacks)
    np.testing.assert_array_equal(other.counts[UNCHANGED], read_outcomes([cleaned])[0].scores.confusion)
    assert other.loss(shading) < 0.9 * one.loss(shading)


def test_artefacts_may_be_added_and_are_never_left_out(tiny_stack: Stack, tmp_path: Path) -> None:
    folder, path = tmp_path / "s", tmp_path / "design.yaml"

    def begin(strengths: Robustness) -> None:
        design = Design(variants=("otsu_ICE_1",), robustness=strengths)
        path.write_text(yaml.safe_dump(design.model_dump(mode="json")))
        begin_study([tiny_stack.path, folder], path, None, None)

    begin(Robustness(noise=(0.1,)))
    begin(Robustness(noise=(0.1, 0.2), gain=(2,)))
    with pytest.raises(ConfigError, match=r"robustness noise 0\.2, gain 2, which are missing now"):
        begin(Robustness(noise=(0.1,)))
