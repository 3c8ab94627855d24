"""What docs say of studies is what their results say."""

from pathlib import Path

import make_results
import pytest

from monai_app.stack import Stack
from monai_app.study.report.folder import write_results
from tests.conftest import CHECKOUT
from tests.study.report.made_up import findings_made_up


@pytest.mark.parametrize("page", make_results.pages(), ids=lambda page: page.name)
def test_docs_say_what_the_results_of_studies_say(page: Path) -> None:
    assert make_results.fill(page) == page.read_text(encoding="utf8"), "run tools/make_results.py"


def test_results_of_studies_stand_in_the_docs() -> None:
    assert CHECKOUT / "docs" / "explanation" / "results.md" in make_results.pages()


def test_blocks_are_filled_and_all_else_is_left(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("results", "images", "study"):
        (tmp_path / "docs" / name).mkdir(parents=True)
    monkeypatch.setattr(make_results, "CHECKOUT", tmp_path)
    monkeypatch.setattr(make_results, "DOCS", tmp_path / "docs")
    folder = tmp_path / "docs" / "study"
    write_results(findings_made_up(tiny_stack, folder), [], folder, "monai-app study a.ome.zarr s")
    make_results.take(folder, "nine")
    parts = ["table", "figure", "verdicts", "origin"]
    blocks = [f"<!-- study:nine:{part} -->\nstale\n<!-- end of study -->" for part in parts]
    text = "\n".join(["# A page", *blocks, "The end."])
    (tmp_path / "README.md").write_text(text)
    (tmp_path / "docs" / "page.md").write_text(text)
    filled = make_results.fill(tmp_path / "docs" / "page.md")
    assert filled.startswith("# A page\n<!-- study:nine:table -->\n\n| variant |")
    assert filled.endswith("<!-- end of study -->\nThe end.")
    assert "stale" not in filled
    assert "(images/study_nine_results.png)" in filled
    assert "(docs/images/study_nine_results.png)" in make_results.fill(tmp_path / "README.md")
    assert (tmp_path / "docs" / "images" / "study_nine_results.png").is_file()
    assert "- ICE+TLD is better than ICE" in filled
    assert "monai-app study a.ome.zarr s" in filled
    (tmp_path / "docs" / "page.md").write_text(filled)
    assert make_results.fill(tmp_path / "docs" / "page.md") == filled
