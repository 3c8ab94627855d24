"""What a study says of fewer labels, from scores that are made up."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monai_app.metrics import score
from monai_app.stack import Stack
from monai_app.study import Design, Outcome, StudyRun, compare, runs_of
from monai_app.study.claims import Contrast
from monai_app.study.design import FewerLabels
from monai_app.study.findings import findings
from monai_app.study.labels.contrasts import label_contrasts
from monai_app.study.labels.section import labels_section
from monai_app.study.labels.stacks import with_fewer_labels
from monai_app.study.report.folder import write_results
from monai_app.study.variants import read_study_variant

NAMES = ("unet_ICE_1", "forest_ICE_1")
AMOUNTS = ("1", "3", "5", "1+3", "1+5", "3+5", "1:40%blocks", "all:4%scribbles")
LABELS = FewerLabels(variants=NAMES, amounts=AMOUNTS)
DESIGN = Design(variants=(*NAMES, "unet_TLD_1"), labels=LABELS, settings={"validation_block": 32})
SAMPLES = ("tiny",)
RIGHT = {"1": 70, "3": 80, "5": 72, "1+3": 84, "1+5": 84, "3+5": 84, "1:40%blocks": 60, "all:4%scribbles": 50}
"""Percent of the pixels that is right with each amount; 90 with all, and up to 2 more by the seed."""


def counts(right: int) -> np.ndarray:
    """Nine blocks of two phases, a little different: (blocks, K, K)."""
    return np.stack([np.array([[right + n % 3, 100 - right], [100 - right, right]]) for n in range(9)])


@pytest.fixture(scope="module")
def runs(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[StudyRun]:
    folder = tmp_path_factory.mktemp("labels")
    return with_fewer_labels(runs_of(DESIGN, [tiny_stack], folder), DESIGN, folder)


@pytest.fixture(scope="module")
def outcomes(runs: list[StudyRun]) -> list[Outcome]:
    def outcome(run: StudyRun) -> Outcome:
        right = RIGHT[str(run.variant.labels)] if run.variant.labels else 90
        blocks = counts(right + run.seed)
        return Outcome(run, blocks, score(blocks.sum(axis=0), ["one", "other"]), 0.5, 1.0, None)

    return [outcome(run) for run in runs]


def test_a_table_sentences_and_a_row_for_every_run(outcomes: list[Outcome], tiny_stack: Stack) -> None:
    section = labels_section(DESIGN, outcomes, SAMPLES)
    assert section is not None
    assert len(section.rows) == 2 * 9 * 3
    row = next(row for row in section.rows if (row["labels"], row["seed"]) == ("3", 2))
    labelled = np.count_nonzero(tiny_stack.read_annotation(3))
    _, high, wide = tiny_stack.voxel_nm
    assert row["area_um2"] == pytest.approx(labelled * high * wide / 1e6)
    assert row["percent_of_slice"] == pytest.approx(100 * labelled / (96 * 80))
    table = [line.split(" | ") for line in section.lines if line.startswith("| ")]
    assert {cells[0].strip("| ") for cells in table} == {"labels", "all", *AMOUNTS}
    assert table[-1][0] == "| all"
    assert [len(cells) for cells in table] == [5] * 10
    [reached] = [line for line in section.lines if line.startswith("- `unet_ICE_1` reaches")]
    means = {each: np.mean([row["mean_iou"] for row in section.rows if row["labels"] == each]) for each in RIGHT}
    everything = np.mean([row["mean_iou"] for row in section.rows if row["labels"] == "all"])
    assert f"{everything:.3f} with all labels" in reached
    assert f"{means['1:40%blocks'] / everything:.0%} with 40 % of 1 slice in blocks" in reached
    assert f"{np.mean([means[z] for z in '135']) / everything:.0%} with 1 slice" in reached
    assert section.figure is not None


def test_the_choice_of_slices_stands_beside_chance(outcomes: list[Outcome]) -> None:
    section = labels_section(DESIGN, outcomes, SAMPLES)
    assert section is not None
    one, two = (line for line in section.lines if line.startswith("- `forest_ICE_1` with"))
    scores = {
        each: [row["mean_iou"] for row in section.rows if row["labels"] == each and row["variant"] == "forest_ICE_1"]
        for each in "135"
    }
    table = np.array([*scores.values()])
    choice, chance = (np.sqrt(table.var(axis=axis, ddof=1).mean()) for axis in (0, 1))
    assert f"{np.mean(scores['1']):.3f} (slice 1) to {np.mean(scores['3']):.3f} (slice 3)" in one
    assert f"standard deviation {choice:.3f} between choices of slices, {chance:.3f} between seeds" in one
    assert choice > chance
    assert "standard deviation 0.000 between choices" in two


def test_more_slices_are_compared_with_fewer(outcomes: list[Outcome]) -> None:
    section = labels_section(DESIGN, outcomes, SAMPLES)
    assert section is not None
    told = [line for line in section.lines if "interval" in line]
    assert len(told) == 6
    assert told[0].startswith("- unet_ICE_1 on labels of all slices is better than on those of 1 slice (1, 3, 5): +0.")


def test_a_pair_is_two_sets_of_slices_of_which_one_is_part_of_the_other() -> None:
    names = ["unet_ICE_1", *(f"unet_ICE_1@labels={each}" for each in ("4", "11", "18", "4+11", "4:10%blocks"))]
    found = {
        (each.better, each.worse): [worse.rpartition("=")[2] for _, worse in each.pairs]
        for each in label_contrasts([*map(read_study_variant, names)])
    }
    assert found == {
        ("unet_ICE_1 on labels of all slices", "on those of 1 slice (4, 11, 18)"): ["4", "11", "18"],
        ("unet_ICE_1 on labels of all slices", "on those of 2 slices (4+11)"): ["4+11"],
        ("unet_ICE_1 on labels of 2 slices (4+11)", "on those of 1 slice (4, 11)"): ["4", "11"],
    }


def test_pairs_that_share_a_training_count_as_one_observation_a_seed() -> None:
    rng = np.random.default_rng(0)
    names = ("all", "one", "other")
    found = {name: [np.stack([counts(int(rng.integers(60, 90))) for _ in range(4)])] for name in names}
    [difference] = compare(found, [Contrast("labels", "", "", (("all", "one"), ("all", "other")))])
    singles = [[score(seed.sum(axis=0), ["one", "other"]).mean_iou for seed in found[name][0]] for name in names]
    of_seeds = np.array(singles[0]) - np.mean(singles[1:], axis=0)
    assert difference.value == pytest.approx(of_seeds.mean())
    assert difference.of_seeds == pytest.approx(of_seeds.std(ddof=1) / 2)


def test_other_results_are_those_without_fewer_labels(
    runs: list[StudyRun], outcomes: list[Outcome], tmp_path: Path
) -> None:
    plain = Design(variants=DESIGN.variants, settings=DESIGN.settings)
    mine = [run for run in runs if run.variant.labels is None]
    alone = findings(plain, mine, [each for each in outcomes if each.run.variant.labels is None])
    found = findings(DESIGN, runs, outcomes[:-1])  # one with fewer labels is not done
    assert replace(found, design=plain) == alone
    section = labels_section(DESIGN, outcomes[:-1], SAMPLES)
    assert section is not None
    write_results(found, [section], tmp_path, "monai-app study")
    with (tmp_path / "labels.csv").open(newline="") as rows:
        assert len([*csv.DictReader(rows)]) == 53
    assert (tmp_path / "labels.png").read_bytes().startswith(b"\x89PNG")
    assert "## How few labels suffice?" in (tmp_path / "results.md").read_text(encoding="utf8")


def test_nothing_is_said_where_nothing_was_asked_or_done(outcomes: list[Outcome]) -> None:
    assert labels_section(Design(variants=NAMES), outcomes, SAMPLES) is None
    assert labels_section(DESIGN, [each for each in outcomes if each.run.variant.labels is None], SAMPLES) is None


def test_half_a_study_is_told_without_a_comparison(outcomes: list[Outcome]) -> None:
    lacking = "forest_ICE_1@labels=3+5"
    done = [each for each in outcomes if each.run.seed == 0 and each.run.variant.name != lacking]
    section = labels_section(DESIGN, done, SAMPLES)
    assert section is not None
    assert not any("interval" in line for line in section.lines)
    assert section.lines[-1] == "Not done: 33 runs with fewer labels."


def test_of_several_samples_only_seeds_with_all_are_told(outcomes: list[Outcome]) -> None:
    """Half a study of two samples: nothing of the other one is done with the last seed."""
    other = [replace(each, run=replace(each.run, sample="other")) for each in outcomes if each.run.seed < 2]
    section = labels_section(DESIGN, [*outcomes, *other], ("tiny", "other"))
    assert section is not None
    assert {row["seed"] for row in section.rows} == {0, 1}
    assert section.lines[-1] == "Not done: 16 runs with fewer labels."
    assert labels_section(DESIGN, outcomes, ("tiny", "other")) is None
