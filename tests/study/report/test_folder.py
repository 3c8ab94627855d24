"""The files of a study's results: one document, and what is made from it."""

import csv
import json
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from monai_app.metrics import read_scores
from monai_app.stack import Stack
from monai_app.study.report.folder import write_results
from monai_app.study.report.page import page_lines, verdict
from monai_app.study.report.section import Section
from tests.study.report.made_up import findings_made_up

COMMAND = "monai-app study sample.ome.zarr s"


@pytest.fixture(scope="module")
def folder(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    part = Section(
        "robust", "How robust are they?", ["It loses 0.1."], [{"variant": "unet_ICE_1", "loss": 0.1}], Figure()
    )
    write_results(findings_made_up(tiny_stack, folder), [part], folder, COMMAND)
    return folder


def test_a_gain_that_is_there_is_shown_and_one_that_is_not_is_not(folder: Path) -> None:
    rows = {(row["claim"], row["worse"]): row for row in read_scores(folder / "results.json")["differences"]}
    told = {key: row["verdict"] for key, row in rows.items()}
    assert told["detectors", "ICE"] == told["detectors", "TLD"] == "shown"
    assert told["slices", "U-Net of 1 slice"] == "not shown"
    assert verdict(rows["detectors", "ICE"]).startswith("ICE+TLD is better than ICE: +0.0")


def test_the_page_is_what_the_document_says(folder: Path) -> None:
    page = (folder / "results.md").read_text()
    assert page == "\n".join(page_lines(read_scores(folder / "results.json"))) + "\n"
    assert f"```\n{COMMAND}\n```" in page
    assert "## How robust are they?\n\nIt loses 0.1.\n\n![How robust are they?](robust.png)" in page
    assert re.search(r"\| s/Mpixel \|\n.*\n(\| .* \| 0\.50 \|\n){9}\n", page)


def test_a_further_part_has_a_table_and_a_figure_of_its_own(folder: Path) -> None:
    with (folder / "robust.csv").open(newline="") as rows:
        assert [*csv.DictReader(rows)] == [{"variant": "unet_ICE_1", "loss": "0.1"}]
    assert (folder / "robust.png").read_bytes().startswith(b"\x89PNG")


def test_the_document_says_how_it_came_about(folder: Path, tiny_stack: Stack) -> None:
    document = json.loads((folder / "results.json").read_text())
    assert document["command"] == COMMAND
    assert document["machine"].keys() >= {"processor", "cores", "python", "torch", "scikit-learn"}
    assert document["stacks"][0]["identity"] == tiny_stack.identity
    assert document["runs"][0]["threads_predicting"] == 2


@pytest.mark.parametrize(
    ("seeds", "says"), [((0,), "without an interval; 1 seed is too few"), ((0, 1), "; 2 seeds is too few")]
)
def test_few_seeds_are_said_to_show_nothing(
    tiny_stack: Stack, tmp_path: Path, seeds: tuple[int, ...], says: str
) -> None:
    write_results(findings_made_up(tiny_stack, tmp_path, seeds), [], tmp_path, COMMAND)
    lines = [
        line
        for line in (tmp_path / "results.md").read_text().splitlines()
        if " is not shown to be better than " in line
    ]
    assert len(lines) == 5
    assert all(says in line for line in lines)
