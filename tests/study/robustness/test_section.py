"""What artefacts cost, told from numbers."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from monai_app.stack import Stack
from monai_app.study import Design, runs_of
from monai_app.study.report.section import Section
from monai_app.study.robustness import section
from monai_app.study.robustness.measuring import Measured
from monai_app.study.robustness.strengths import UNCHANGED, Condition, Robustness

NOISE = Condition("noise", 0.1)
GAINS = Condition("gain", 0.5), Condition("gain", 2)


def counts(accuracy: float) -> np.ndarray:
    """Two phases of 1000 pixels each, of which a share is right."""
    right = round(1000 * accuracy)
    return np.array([[right, 1000 - right], [1000 - right, right]])


def told(lost: dict[str, Sequence[float]], stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Section:
    """The section where variants of accuracy 0.9 lose so much of it with every artefact, seed by seed."""
    seeds = range(len(next(iter(lost.values()))))
    strengths = Robustness(noise=(0.1,), gain=(0.5, 2))
    design = Design(variants=tuple(lost), seeds=tuple(seeds), robustness=strengths)
    runs = runs_of(design, [stack], folder, {stack.store_name: stack})
    found = [
        Measured(
            run,
            {
                UNCHANGED: counts(0.9),
                **{each: counts(0.9 - lost[run.variant.name][run.seed]) for each in (NOISE, *GAINS)},
            },
        )
        for run in runs
    ]
    monkeypatch.setattr(section, "read_measured", lambda *words: found)
    made = section.robustness_section(design, runs, {})
    assert made is not None
    return made


def test_the_variants_that_lose_least_are_named_with_intervals(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: dict[str, Sequence[float]] = {
        "unet_ICE_1": (0.1, 0.11, 0.12),
        "unet_TLD_1": (0.3, 0.31, 0.3),
        "forest_ICE_1": (0.1, 0.13, 0.1),
    }
    made = told(lost, tiny_stack, tmp_path, monkeypatch)
    (said,) = (line for line in made.lines if line.startswith("- noise 0.1"))
    assert "`unet_ICE_1` loses least, 0.1" in said or "`forest_ICE_1` loses least, 0.1" in said
    assert "`unet_TLD_1` most, 0.393 (0.378 to 0.408)" in said
    assert "not significantly different from the smallest loss: `" in said
    assert "`unet_TLD_1`" not in said.split("from the smallest loss")[1].split(";")[0]
    assert sum(line.startswith("- gain") for line in made.lines) == 2  # on either side of 1
    (row,) = (row for row in made.rows if (row["variant"], row["artefact"]) == ("unet_ICE_1", "noise"))
    before, after = 900 / 1100, np.mean([share / (2 - share) for share in (0.8, 0.79, 0.78)])
    assert row["loss"] == pytest.approx(before - after)
    assert row["mean_iou_mean"] == pytest.approx(after)
    assert row["loss_low"] < row["loss"] < row["loss_high"]
    assert row["seeds"] == 3


def test_two_seeds_have_no_interval(tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = told({"unet_ICE_1": (0.1, 0.11), "unet_TLD_1": (0.3, 0.3)}, tiny_stack, tmp_path, monkeypatch)
    (said,) = (line for line in made.lines if line.startswith("- noise"))
    assert "(" not in said
    assert "significantly" not in said
    assert np.isnan(made.rows[0]["loss_low"])


def test_the_figure_has_a_panel_an_artefact_and_a_curve_a_variant(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = told({"unet_ICE_1": (0.1,), "otsu_ICE_1@cleaned": (0.3,)}, tiny_stack, tmp_path, monkeypatch)
    assert made.figure is not None
    noise, gain = made.figure.axes
    assert [panel.get_title() for panel in (noise, gain)] == ["noise", "gain"]
    assert [len(panel.lines) for panel in (noise, gain)] == [2, 2]
    np.testing.assert_allclose(np.asarray(gain.lines[0].get_xdata()), [0.5, 1, 2])
    assert noise.lines[0].get_linestyle() != noise.lines[1].get_linestyle()


def test_seeds_without_one_of_the_samples_are_left_out(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sample loses little, one much; of the last seed the hard one is not measured."""
    other = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "other.ome.zarr"))
    design = Design(variants=("unet_ICE_1", "unet_TLD_1"), robustness=Robustness(noise=(0.1,)))
    runs = runs_of(design, [tiny_stack, other], tmp_path)
    lost = {"tiny": 0.1, "other": 0.4}
    found = [Measured(run, {UNCHANGED: counts(0.9), NOISE: counts(0.9 - lost[run.sample])}) for run in runs[:-2]]
    monkeypatch.setattr(section, "read_measured", lambda *words: found)
    made = section.robustness_section(design, runs, {})
    assert made is not None
    before, after = 900 / 1100, np.mean([share / (2 - share) for share in (0.8, 0.5)])
    for row in made.rows:
        assert (row["seeds"], row["loss"]) == (2, pytest.approx(before - after))
        assert row["mean_iou_std"] == pytest.approx(0)
    assert section.robustness_section(design, runs, {}) is not None
    found = found[:1]
    assert section.robustness_section(design, runs, {}) is None
