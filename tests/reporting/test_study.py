"""A study on the page."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from monai_app.errors import ConfigError
from monai_app.metrics import read_scores
from monai_app.reporting.agreement import check_agreement
from monai_app.reporting.content import Block, Files, Listing, Note, Picture, Plot, Table, Text
from monai_app.reporting.page import write_page
from monai_app.reporting.sections.files import files
from monai_app.reporting.sections.methods import methods
from monai_app.reporting.sections.study import study
from monai_app.reporting.sources import Sources, Store, read_sources
from monai_app.stack import Stack, annotate
from monai_app.study import Design, runs_of
from monai_app.study.report.folder import write_results
from monai_app.study.report.page import part_lines, verdict
from monai_app.study.report.section import Section
from monai_app.study.robustness import section as robustness
from monai_app.study.robustness.measuring import Measured
from monai_app.study.robustness.strengths import UNCHANGED, Robustness
from tests.reporting.conftest import Given
from tests.study.report.made_up import findings_made_up

LINES = [
    "Artefacts were laid over it.",
    "",
    "| variant | strong |",
    "|---|---|",
    "| `unet_ICE_1` | **0.7** |",
    "",
    "- a",
    "- b",
]


@pytest.fixture(scope="module")
def folder(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "nine"
    folder.mkdir()
    part = Section("robustness", "How robust are they?", LINES, [{"variant": "unet_ICE_1", "strong": 0.7}], Figure())
    write_results(findings_made_up(tiny_stack, folder), [part], folder, "monai-app study sample.ome.zarr nine")
    return folder


def test_what_a_study_found_stands_on_the_page(folder: Path, tmp_path: Path) -> None:
    sources = read_sources([folder])
    section = study(sources)
    assert section is not None
    assert sources.study is not None
    scores, part = (block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in scores.rows] == [row["variant"] for row in sources.study.document["variants"]]
    assert part.rows == [["unet_ICE_1", "0.7"]]
    listed = [line for block in section.blocks if isinstance(block, Listing) for line in block.lines]
    assert listed == [*map(verdict, sources.study.document["differences"]), "a", "b"]
    seeds, differences = (block for block in section.blocks if isinstance(block, Plot))
    assert len(seeds.figure["data"][0]["x"]) == 27
    assert list(differences.figure["data"][1]["x"]) == [row["value"] for row in sources.study.document["differences"]]
    (picture,) = (block for block in section.blocks if isinstance(block, Picture))
    assert picture.png == (folder / "robustness.png").read_bytes()
    write_page(sources, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "ICE+TLD is better than ICE" in page
    assert "This page was written without" not in page


def test_headings_of_a_part_name_its_tables(
    folder: Path, tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = Design(variants=("unet_ICE_1",), seeds=(0,), robustness=Robustness(noise=(0.1,), gain=(0.5, 2)))
    (run,) = runs_of(design, [tiny_stack], tmp_path)
    counts = np.eye(len(tiny_stack.phases), dtype=np.int64)
    measured = Measured(run, dict.fromkeys((UNCHANGED, *design.robustness.conditions), counts))
    monkeypatch.setattr(robustness, "read_measured", lambda *words: [measured])
    made = robustness.robustness_section(design, [run], {})
    assert made is not None
    blocks = blocks_of(folder, tmp_path, ["Two lines", "of one.", "", *made.lines, "", "|", "|odd|", "|-|", "|a|b|"])
    tables = [block for block in blocks if isinstance(block, Table)]
    noise, gain = "Noise (sd, share of the grey range)", "Gain (factor)"
    assert [(table.caption, table.columns) for table in tables[1:3]] == [
        (noise, ["variant", "unchanged", "0.1"]),
        (gain, ["variant", "unchanged", "0.5", "2"]),
    ]
    assert tables[2].rows == [["unet_ICE_1", "1.000", "1.000", "1.000"]]
    assert [block.heading for block in blocks if isinstance(block, Listing)][-4:] == [noise, "", gain, ""]
    assert "Two lines of one." in [block.text for block in blocks if isinstance(block, Note)]


def test_a_part_needs_no_figure(tiny_stack: Stack, tmp_path: Path) -> None:
    part = Section("labels", "How few?", ["Few."], [])
    write_results(findings_made_up(tiny_stack, tmp_path), [part], tmp_path, "monai-app study sample.ome.zarr nine")
    section = study(read_sources([tmp_path]))
    assert section is not None
    assert not [block for block in section.blocks if isinstance(block, Picture)]
    assert [*part_lines(read_scores(tmp_path / "results.json")["sections"]["labels"])] == ["Few."]


def test_methods_claim_the_seeds_and_intervals_that_there_are(folder: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    def told(study: Path) -> tuple[str, Sequence[str]]:
        text, references = methods(read_sources([study])).blocks
        assert isinstance(text, Text)
        assert isinstance(references, Listing)
        return text.paragraphs[0], references.lines

    said, cited = told(folder)
    assert said.startswith(
        "9 variants were trained under the same conditions with 3 seeds each, and scored on the same test slices. Inter"
    )
    assert len(cited) == 2
    write_results(findings_made_up(tiny_stack, tmp_path, (0,)), [], tmp_path, "monai-app study sample.ome.zarr nine")
    one_seed = "9 variants were trained under the same conditions with 1 seed each, and scored on the same test slices."
    assert told(tmp_path) == (one_seed, [])


def blocks_of(folder: Path, tmp_path: Path, lines: Sequence[str]) -> Sequence[Block]:
    """Return the blocks of a study that has a part with such lines."""
    document = json.loads((folder / "results.json").read_text())
    document["sections"]["robustness"]["lines"] = lines
    (tmp_path / "results.json").write_text(json.dumps(document))
    section = study(read_sources([tmp_path]))
    assert section is not None
    return section.blocks


def test_its_tables_are_offered_and_no_file_beside_it(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder, tmp_path / "nine")
    document = json.loads((own / "results.json").read_text())
    (tmp_path / "secret.csv").write_text("secret")
    document["sections"]["../secret"] = {"title": "", "lines": [], "rows": [], "figure": "../secret.csv"}
    (own / "results.json").write_text(json.dumps(document))
    section = files(read_sources([own]))
    assert section is not None
    (block,) = section.blocks
    assert isinstance(block, Files)
    names = [path.name for path, _ in block.files]
    assert names == ["results.json", "variants.csv", "runs.csv", "comparisons.csv", "robustness.csv"]
    made = study(read_sources([own]))
    assert made is not None
    assert len([each for each in made.blocks if isinstance(each, Picture)]) == 1


def damaged(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return apply


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:100], "is damaged"),
        (damaged(lambda document: document.pop("phases")), "phases"),
        (damaged(lambda document: document["variants"][0].pop("iou_mean")), "a variant has no iou_mean"),
        (damaged(lambda document: document["differences"][0].update(verdict="yes")), "verdict"),
        (damaged(lambda document: document["variants"][0].pop("seeds")), "a variant has no seeds"),
        (damaged(lambda document: document["differences"][0].pop("samples_low")), "samples_low"),
        (damaged(lambda document: document["differences"][0].pop("samples_corrected_high")), "samples_corrected_high"),
    ],
)
def test_a_damaged_document_is_refused(folder: Path, tmp_path: Path, change: Callable[[str], str], says: str) -> None:
    (tmp_path / "results.json").write_text(change((folder / "results.json").read_text()))
    with pytest.raises(ConfigError, match=f"(?s){says}.*monai-app study"):
        read_sources([tmp_path])


def test_what_a_study_says_nothing_of_is_not_shown_beside_it(given: Given, folder: Path, tmp_path: Path) -> None:
    found = read_sources([folder]).study
    with pytest.raises(ConfigError, match=r"is not a run of the study .*; give one of its runs"):
        check_agreement(Sources(read_sources([given.run]).run, study=found))
    stack = Stack.open(shutil.copytree(given.store, tmp_path / "tiny.ome.zarr"))
    check_agreement(Sources(store=Store(stack, None), study=found))
    annotate(stack, {1: stack.read_annotation(3)}, role="train", source="test")
    with pytest.raises(ConfigError, match=r"does not include .* with its current annotations"):
        check_agreement(Sources(store=Store(Stack.open(stack.path), None), study=found))
