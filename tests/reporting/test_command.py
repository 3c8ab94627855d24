"""The command line, and every command of the page on reports."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import ConfigError, TargetExistsError
from monai_app.reporting.pdf import BROWSER
from monai_app.stack import Stack
from monai_app.study.report.folder import write_results
from tests.conftest import CHECKOUT
from tests.reporting.conftest import Given
from tests.study.report.made_up import findings_made_up
from tests.test_docs import commands


def test_the_commands_of_the_page_on_reports_run(
    given: Given, tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source, name in zip(given, ("runs/unet", "sample.ome.zarr", "quantities"), strict=True):
        shutil.copytree(source, tmp_path / name)
    (tmp_path / "study").mkdir()
    write_results(
        findings_made_up(tiny_stack, tmp_path), [], tmp_path / "study", "monai-app study sample.ome.zarr study"
    )
    monkeypatch.chdir(tmp_path)
    written = []
    for words in commands(CHECKOUT / "docs" / "how-to" / "models" / "report.md", "monai-app"):
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        written.append(Path(words[words.index("-o") + 1]))
        assert f"report: {written[-1]}\n" in result.output
    text = [path.read_text(encoding="utf8") for path in written]
    headings = ["Scores", "Labels", "Quantities", "Study"]
    shown = [[name for name in headings if f'-title">{name}</h2>' in page] for page in text]
    assert shown == [headings[:3], ["Labels"], ["Scores"], ["Study"]]
    assert "This page was written without" not in text[0]


def test_nothing_is_replaced_or_begun_in_vain(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    words = ["report", str(given.run), "-o", str(page)]
    with pytest.raises(TargetExistsError, match=r"report\.html exists"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    monkeypatch.setenv(BROWSER, "no-such-browser")
    with pytest.raises(ConfigError, match="no-such-browser"):
        CliRunner().invoke(app, [*words, "--overwrite", "--pdf", str(tmp_path / "a.pdf")], catch_exceptions=False)
    assert page.read_text() == "mine"


def test_the_numbers_of_the_page_were_measured() -> None:
    pages = json.loads((CHECKOUT / "docs" / "results" / "report.json").read_text())["pages"]
    rows = [
        [
            f"{each['megabytes']} MB",
            f"{each['seconds']:.2f} s",
            f"{each['computing_seconds']:.2f} s",
            str(each["times_empty"]),
        ]
        for each in pages.values()
    ]
    page = (CHECKOUT / "docs" / "how-to" / "models" / "report.md").read_text()
    assert [row.split(" | ")[1:] for row in re.findall(r"^\| (.* MB .*) \|$", page, re.MULTILINE)] == rows
