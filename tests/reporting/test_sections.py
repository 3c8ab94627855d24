"""Sections say what the files say, and what is missing."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from monai_app.metrics import read_scores
from monai_app.progress import silent
from monai_app.reporting.agreement import remarks
from monai_app.reporting.content import (
    Block,
    Cell,
    Facts,
    Files,
    Listing,
    Note,
    Picture,
    Plot,
    Section,
    Table,
    Text,
    Widget,
)
from monai_app.reporting.curves import Curves, read_curves, smooth
from monai_app.reporting.sections import sections_of
from monai_app.reporting.sections.files import files
from monai_app.reporting.sections.labels import labels
from monai_app.reporting.sections.methods import methods
from monai_app.reporting.sections.model import model
from monai_app.reporting.sections.pictures import compared
from monai_app.reporting.sections.quantities import quantities
from monai_app.reporting.sections.sample import sample
from monai_app.reporting.sections.scores import scores
from monai_app.reporting.sources import Sources
from monai_app.stack import Stack
from tests.conftest import TINY
from tests.reporting.conftest import Given

_Kind = TypeVar("_Kind", bound=Block)


@pytest.fixture(scope="module")
def sections(sources: Sources) -> dict[str, Section]:
    return {each.name: each for each in sections_of(sources, 2_000_000, silent)}


def of_kind(section: Section | None, kind: type[_Kind]) -> list[_Kind]:
    assert section is not None
    return [block for block in section.blocks if isinstance(block, kind)]


def facts(section: Section | None) -> dict[str, str]:
    return dict(row for block in of_kind(section, Facts) for row in block.rows)


def names(row: Sequence[Cell]) -> list[str]:
    return [cell if isinstance(cell, str) else cell.name for cell in row]


def missing(section: Section | None) -> str:
    return " ".join(note.text for note in of_kind(section, Note) if note.tone == "missing")


def test_every_section_is_there_with_a_lead(sections: dict[str, Section]) -> None:
    order = "summary sample model test scores calibration labels slices quantities methods files"
    assert list(sections) == order.split()
    for section in sections.values():
        assert section.lead.endswith(".")
        assert all(plot.alt for plot in of_kind(section, Plot))


def test_the_sample_is_the_store_s(sections: dict[str, Section], given: Given) -> None:
    told = facts(sections["sample"])
    assert told["slices × rows × columns"] == "8 × 96 × 80"
    assert told["size (z, y, x)"] == "160 nm × 960 nm × 800 nm"
    (table,) = of_kind(sections["sample"], Table)
    stack = Stack.open(given.store)
    counts = np.bincount(stack.read_annotation(6).ravel(), minlength=4)
    shares = [f"{100 * share:.1f} %" for share in counts[1:] / counts[1:].sum()]
    labelled = f"{100 * counts[1:].sum() / counts.sum():.1f} %"
    assert [names(row) for row in table.rows][3] == ["6", "test", "ingested", labelled, *shares]


def test_settings_that_differ_and_curves_are_those_of_the_run(sections: dict[str, Section], given: Given) -> None:
    (table,) = of_kind(sections["model"], Table)
    told = {str(name): (value, default) for name, value, default in table.rows}
    assert told["max_epochs"] == (str(TINY["max_epochs"]), "100")
    assert not {"detectors", "phases", "scaling"} & told.keys()
    loss, validation = of_kind(sections["model"], Plot)
    curves = read_curves(given.run / "eval")
    assert curves is not None
    assert loss.figure["data"][0]["x"] == list(range(1, 7))
    assert loss.figure["data"][0]["y"] == list(curves.loss.values())
    assert validation.figure["data"][0]["y"] == list(curves.validation.values())
    best = max(curves.validation, key=lambda epoch: curves.validation[epoch])
    assert facts(sections["model"])["kept weights"].startswith(f"of epoch {best}, ")
    assert facts(sections["model"])["trained on"] == "tiny, slices 1, 3, 5"


def test_scores_are_those_of_the_document(sections: dict[str, Section], given: Given) -> None:
    document = read_scores(given.run / "eval" / "test" / "scores.json")
    pooled, per_slice, boundaries, structure = of_kind(sections["scores"], Table)
    for number, row in enumerate(document["phases"]):
        ends = document["intervals"]["phases"][number]
        shown = f"{row['iou']:.3f} ({ends['iou_low']:.3f} to {ends['iou_high']:.3f})"
        assert names(pooled.rows[number])[0] == row["phase"]
        assert str(pooled.rows[number][1]).removesuffix(" *") == shown
        assert pooled.rows[number][2] == f"{row['dice']:.3f}"
        assert boundaries.rows[number][1] == f"{document['boundary']['phases'][number]['iou_1px']:.3f}"
        components = document["structure"]["phases"][number]["components_predicted"]
        assert structure.rows[number][5] == f"{components:,}"
    assert per_slice.rows[0][0] == "tiny, slice 6"
    assert str(per_slice.rows[0][1]).startswith(f"{document['mean_iou']:.3f} (")
    (plot,) = of_kind(sections["scores"], Plot)
    counts = document["confusion"]
    assert plot.figure["data"][0]["text"] == [[f"{each:,}" for each in row] for row in counts]
    np.testing.assert_allclose(np.sum(plot.figure["data"][0]["z"], axis=1), 100)
    told = facts(sections["calibration"])
    assert told["temperature"] == f"{document['temperature']:.3f}"
    assert told["without"] == f"{100 * document['confidence']['uncalibrated']['ece']:.2f} %"


def test_boundaries_and_components_are_left_out_where_nothing_is_known_of_them(sources: Sources) -> None:
    assert sources.run is not None
    assert sources.run.scores is not None
    found = sources.run.scores
    sparse = {**found.pooled, "structure": {**found.pooled["structure"], "area_um2": 0.0}}
    earlier = {name: value for name, value in found.pooled.items() if name != "structure"}
    for pooled, told in ((sparse, 1), (earlier, 0)):
        section = scores(Sources(run=replace(sources.run, scores=replace(found, pooled=pooled))))
        assert len(of_kind(section, Table)) == 3
        assert sum("labelled without holes" in note.text for note in of_kind(section, Note)) == told


def test_confidence_is_that_of_the_table(sections: dict[str, Section], sources: Sources) -> None:
    mean, _ = of_kind(sections["labels"], Plot)
    assert sources.labels is not None
    rows = (sources.labels.folder / "confidence.csv").read_text().splitlines()[1:9]
    assert mean.figure["data"][0]["y"] == [float(row.split(",")[2]) for row in rows]
    assert facts(sections["labels"])["slices"] == "0 to 7, 8 of 8"


def test_slices_unlike_the_training_s_are_named_and_marked(sources: Sources) -> None:
    assert sources.store is not None
    assert sources.labels is not None
    found = {"slices": [2, 3], "reasons": ["slices 2 to 3: noise of TLD 9.0, training slices 4.0 to 4.5"]}
    own = replace(sources.labels, attributes={**sources.labels.attributes, "unlike_training": found})
    section = labels(Sources(store=replace(sources.store, labels=own)))
    assert [each.lines for each in of_kind(section, Listing)] == [found["reasons"]]
    marks = of_kind(section, Plot)[0].figure["data"][1]
    assert (marks["mode"], marks["x"]) == ("markers", [2, 3])


def test_quantities_keep_both_error_bars_apart(sections: dict[str, Section], given: Given) -> None:
    document = json.loads((given.quantities / "quantities.json").read_text())
    plots = of_kind(sections["quantities"], Plot)
    for plot, measure, name in zip(plots, ("correction", "representativity"), ("corrected", "material"), strict=False):
        numbers = document["measures"][measure]["quantities"][f"{name}_fraction"]
        shown = dict(zip(*(plot.figure["data"][0][axis] for axis in "yx"), strict=True))
        assert shown == {phase: each["value"] for phase, each in numbers.items()}
    chords = [plot for plot in plots if plot.caption.startswith("Chords along")]
    assert [plot.figure["layout"]["xaxis"]["title"]["text"] for plot in chords] == ["length, µm"] * 3
    panel = document["measures"]["chords"]["figures"][0]
    assert chords[0].figure["data"][0]["y"] == panel["curves"]["pore"][1]


def test_the_paragraph_has_versions_numbers_and_sources(sections: dict[str, Section], given: Given) -> None:
    (text,) = of_kind(sections["methods"], Text)
    document = read_scores(given.run / "eval" / "test" / "scores.json")
    for part in (
        "monai-app 0.1.0",
        "MONAI 1.",
        "slices 1, 3, 5 of tiny",
        f"mean IoU was {document['mean_iou']:.3f}",
        "numpy ",
    ):
        assert part in text.paragraphs[0]
    (cited,) = of_kind(sections["methods"], Listing)
    assert all("doi 10." in line for line in cited.lines)
    assert any("10.1103/physreve.47.2950" in line for line in cited.lines)
    assert not any("10.21105/joss.05358" in line for line in cited.lines)  # no tortuosity


def test_the_paragraph_claims_what_is_recorded_alone(sources: Sources) -> None:
    assert sources.run is not None
    assert sources.store is not None
    assert sources.labels is not None
    own = replace(sources.labels, attributes={**sources.labels.attributes, "monai_app": "9.9.9"})
    run = replace(sources.run, record={**sources.run.record, "monai_app": "0.0.7"})
    told = paragraph(Sources(run, replace(sources.store, labels=own)))
    assert "segmented into 3 phases" in told
    assert "with monai-app 9.9.9, which" in told
    assert "was trained with monai-app 0.0.7 on slices" in told
    assert "each pixel from its complete receptive field." in told
    by_hand = replace(sources.labels, attributes={})
    assert paragraph(Sources(store=replace(sources.store, labels=by_hand))).endswith(
        f"slices were segmented (PyTorch {torch.__version__.split('+')[0]})."
    )


def paragraph(sources: Sources) -> str:
    return of_kind(methods(sources), Text)[0].paragraphs[0]


def test_confidence_by_entropy_is_called_so(sources: Sources) -> None:
    assert sources.store is not None
    assert sources.labels is not None
    for kind, says in (
        ("max", "Confidence is the probability of"),
        ("entropy", "Confidence is 1 minus the normalised entropy"),
    ):
        own = replace(sources.labels, confidence=kind)
        section = labels(Sources(store=replace(sources.store, labels=own)))
        assert section is not None
        assert says in section.lead


def test_files_are_those_on_the_disk(sections: dict[str, Section]) -> None:
    (offered,) = of_kind(sections["files"], Files)
    found = [f"{path.parent.name}/{path.name}" for path, _ in offered.files]
    assert found[:5] == [
        "test/scores.json",
        "test/scores.csv",
        "unet/confidence.csv",
        "unet/slices.csv",
        "quantities/quantities.json",
    ]
    assert {"quantities/phases.csv", "quantities/chords.csv"} <= {*found}
    assert all(path.is_file() for path, _ in offered.files)


def test_only_files_of_quantify_are_offered(sources: Sources, given: Given, tmp_path: Path) -> None:
    assert sources.quantities is not None
    shutil.copytree(given.quantities, tmp_path / "quantities")
    for name in ("secret.json", "notes.csv"):
        (tmp_path / "quantities" / name).write_text("mine")
    (offered,) = of_kind(files(Sources(quantities=replace(sources.quantities, path=tmp_path / "quantities"))), Files)
    offered_names = {path.name for path, _ in offered.files}
    assert {"quantities.json", "phases.csv", "chords.csv"} <= offered_names
    assert not offered_names & {"secret.json", "notes.csv"}


def test_long_curves_are_thinned_and_finite(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SummaryWriter(str(tmp_path))
    for step in range(1, 5):
        writer.add_scalar("train_loss", math.nan if step == 2 else step, step)
    writer.close()
    curves = read_curves(tmp_path)
    assert curves is not None
    assert curves.loss == {1: 1.0, 3: 3.0, 4: 4.0}
    assert smooth([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]
    long = Curves(dict.fromkeys(range(9000), 1.0), {}, 1.0)
    monkeypatch.setitem(model.__globals__, "read_curves", lambda events: long)
    (loss,) = of_kind(model(sources), Plot)
    assert [len(each["x"]) for each in loss.figure["data"]] == [1800, 1800]


def test_a_run_alone_shows_the_pictures_of_its_evaluation(sources: Sources) -> None:
    section = compared(Sources(run=sources.run))
    (picture,) = of_kind(section, Picture)
    assert picture.png.startswith(b"\x89PNG")
    assert of_kind(compared(sources), Widget)


def test_a_truth_of_other_phases_is_not_compared(sources: Sources) -> None:
    assert sources.store is not None
    assert sources.labels is not None
    first, *others = sources.labels.phases
    own = replace(sources.labels, phases=(first.replaced(name="aggregate"), *others))
    section = compared(Sources(store=replace(sources.store, labels=own)))
    assert "have different phases" in missing(section)
    assert not of_kind(section, Widget)


def test_slices_that_the_model_learned_from_are_no_test(sources: Sources) -> None:
    assert sources.run is not None
    assert sources.store is not None
    settings = {"trained_on": {"identity": sources.store.stack.ingested, "slices": [5, 6]}}
    learned = replace(sources, run=replace(sources.run, record={"settings": settings}))
    section = compared(learned)
    assert "no test slice that was held out of training" in missing(section)
    assert not of_kind(section, Widget)
    assert any("trained on slices 6, which now have the role test" in text for text in remarks(learned))
    alone = compared(Sources(store=sources.store))
    assert alone is not None
    assert "not used for training" not in alone.lead  # nobody knows


def test_pictures_that_are_left_out_are_named(sources: Sources, tmp_path: Path) -> None:
    assert sources.run is not None
    assert sources.run.scores is not None
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        for z in range(3):
            (folder / f"slice_{z:04d}.png").write_bytes(b"")
    stacks: dict[Path, dict[str, Any]] = {tmp_path / "a": {}, tmp_path / "b": {}}
    section = compared(Sources(run=replace(sources.run, scores=replace(sources.run.scores, stacks=stacks))))
    assert len(of_kind(section, Picture)) == 4
    assert [note.text for note in of_kind(section, Note)] == [
        "Not shown, to limit the size of the page: b, slice 1; b, slice 2."
    ]


def test_missing_parts_are_noted(sources: Sources, tiny_stack: Stack, tmp_path: Any) -> None:
    assert sources.run is not None
    assert sources.store is not None
    bare = Sources(store=replace(sources.store, stack=tiny_stack, labels=None))
    assert "has no finished labels" in missing(labels(bare))
    unscored = Sources(run=replace(sources.run, path=tmp_path, scores=None, unscored="This model was not scored."))
    assert missing(scores(unscored)) == "This model was not scored."
    assert "no training curves" in missing(model(unscored))
    assert "There are no test slices" in missing(compared(unscored))
    assert sources.labels is not None
    blind = replace(sources.labels, attributes={})
    told = missing(labels(Sources(store=replace(sources.store, labels=blind))))
    assert "have no confidence map" in told
    assert "the model has no record" in told
    assert quantities(bare) is None
    assert sample(unscored) is None
