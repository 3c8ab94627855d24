"""What an evaluation finds beside the confusion matrix, of slices and pooled."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.ndimage import label as connected

from monai_app.metrics import (
    confusion_blocks,
    count_pixels,
    read_scores,
    score_intervals,
    shared_blocks,
    surface_distances,
)
from monai_app.metrics.blocks import BLOCKS
from monai_app.stack import Stack
from monai_app.training.evaluation import (
    EvaluatedSlice,
    Section,
    SliceScores,
    StackScores,
    read_document,
    write_evaluation,
)
from monai_app.training.evaluation.sections import SECTIONS
from monai_app.training.evaluation.structure import is_complete
from monai_app.training.evaluation.text import pooled_lines
from tests.specs import PHASES, spec_of

NAMES = [phase.name for phase in PHASES]
ZS = (1, 3, 6)


@pytest.fixture(scope="module")
def evaluated(tiny_stack: Stack) -> list[EvaluatedSlice]:
    """Slices with errors in some blobs; of one the left part is not labelled."""
    found = []
    for z in ZS:
        true = tiny_stack.read_annotation(z).copy()
        true[:, : 8 * (z == 3)] = 0
        field = gaussian_filter(np.random.default_rng(z).standard_normal(true.shape), 4)
        predicted = np.where(field > np.quantile(field, 0.8), 1, np.maximum(true, 1)).astype(np.uint8)
        logits = torch.from_numpy(np.stack([predicted == value for value in (1, 2, 3)])).float()
        found.append(EvaluatedSlice(tiny_stack, z, spec_of(phases=PHASES), 1.0, true, predicted, logits))
    return found


@pytest.fixture(scope="module")
def written(evaluated: list[EvaluatedSlice], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of two stacks: of the first slice, then of the others."""
    output = tmp_path_factory.mktemp("sections") / "eval"
    for name, slices in (("a", evaluated[:1]), ("b", evaluated[1:])):
        write_evaluation(output, [scores_of(name, slices)], NAMES, SECTIONS)
    return output / "test"


def scores_of(name: str, slices: Sequence[EvaluatedSlice], sections: Sequence[Section] = SECTIONS) -> StackScores:
    record = {"stack": name, "store": name, "stack_identity": name * 64, "stack_ingested": name * 64}
    found = []
    for each in slices:
        confusion = count_pixels(each.true, each.predicted, 3)
        found.append(SliceScores(each.z, confusion, {own.name: own.of_slice(each) for own in sections}))
    return StackScores({**record, "run": "run", "weights_sha256": "0", "monai_app": "1"}, found, {})


def section(path: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = read_scores(path / "scores.json")[name]
    return content


def test_pooled_intervals_are_of_blocks_that_near_slices_of_a_stack_share(
    written: Path, evaluated: list[EvaluatedSlice], tmp_path: Path
) -> None:
    """Slices 3 and 6 are 60 nm apart, and blocks are 320 nm long."""
    planes = [(each.z * 2.0, confusion_blocks(each.true, each.predicted, 3)) for each in evaluated]
    near = shared_blocks(planes[1:], 3)
    assert section(written / "b", "intervals") == score_intervals(near, NAMES)
    assert section(written / "b", "intervals")["blocks"] == BLOCKS
    all_in_one = scores_of("a", evaluated[::-1])
    write_evaluation(tmp_path, [all_in_one], NAMES, SECTIONS)
    assert section(tmp_path / "test", "intervals") == score_intervals(shared_blocks(planes, 3), NAMES)


def test_pooled_boundaries_are_of_the_pixels_of_all_slices(written: Path) -> None:
    alone, pooled = (section(written / name, "boundary") for name in "ab"), section(written, "boundary")
    sums = np.sum([each["pixels"]["2"] for each in alone], axis=0)
    np.testing.assert_array_equal(pooled["pixels"]["2"], sums)
    ious = [row["iou_2px"] for row in pooled["phases"]]
    np.testing.assert_allclose(ious, sums[0] / sums[1])
    assert pooled["mean"]["iou_2px"] == pytest.approx(np.mean(ious))


def test_pooled_surfaces_are_of_all_their_pixels(written: Path, evaluated: list[EvaluatedSlice]) -> None:
    alone = [surface_distances(each.true, each.predicted, 3, (10, 10)) for each in evaluated]
    for k, row in enumerate(section(written, "surface")["phases"]):
        own = [each[k] for each in alone]
        assert row["pixels"] == sum(each.pixels for each in own)
        assert row["mean_nm"] == pytest.approx(sum(each.mean * each.pixels for each in own) / row["pixels"])
        assert row["hausdorff95_nm"] == pytest.approx(np.mean([each.hausdorff95 for each in own]))


def test_a_phase_that_one_slice_lacks_is_pooled_over_the_others() -> None:
    (surfaces,) = (own for own in SECTIONS if own.name == "surface")
    rows = [{"phase": "a", "mean_nm": mean, "hausdorff95_nm": 1.0, "pixels": 5} for mean in (4.0, np.nan)]
    (row,) = surfaces.pooled([{"phases": [each]} for each in rows])["phases"]
    assert (row["mean_nm"], row["pixels"]) == (4.0, 5)
    (row,) = surfaces.pooled([{"phases": rows[1:]}])["phases"]
    assert np.isnan(row["mean_nm"])


def test_boundary_length_and_components_are_those_of_other_programs(
    written: Path, evaluated: list[EvaluatedSlice]
) -> None:
    """Slice 3 has a margin that is not labelled, and the rectangle beside it counts."""
    alone = [read_scores(written / "b" / "scores.json")["parts"][n]["structure"] for n in (0, 1)]
    for each, found in zip(evaluated[1:], alone, strict=True):
        labelled = each.true > 0
        area = np.count_nonzero(labelled) * 1e-4
        assert found["area_um2"] == pytest.approx(area)
        for labels, kind in ((each.true, "true"), (np.where(labelled, each.predicted, 0), "predicted")):
            for value, row in enumerate(found["phases"], 1):
                assert row[f"components_{kind}"] == connected(labels == value)[1]
        ratios = [row["perimeter_predicted_per_um"] / row["perimeter_true_per_um"] for row in found["phases"]]
        assert [row["perimeter_ratio"] for row in found["phases"]] == ratios
    pooled = section(written / "b", "structure")
    assert pooled["area_um2"] == pytest.approx(sum(each["area_um2"] for each in alone))
    for k, row in enumerate(pooled["phases"]):
        assert row["components_predicted"] == sum(each["phases"][k]["components_predicted"] for each in alone)
        length = sum(each["phases"][k]["perimeter_true_per_um"] * each["area_um2"] for each in alone)
        assert row["perimeter_true_per_um"] == pytest.approx(length / pooled["area_um2"])
    assert "structure_perimeter_ratio" in (written / "scores.csv").read_text().splitlines()[0]


def test_sparse_annotations_have_no_boundary_length_and_components(
    evaluated: list[EvaluatedSlice], tmp_path: Path
) -> None:
    lines = np.zeros_like(evaluated[0].true)
    lines[5, 5:30] = lines[40, 8:20] = 1
    assert not is_complete(lines)
    assert not is_complete(lines[:10])  # a single line
    assert not is_complete(0 * lines)
    sparse = replace(evaluated[0], true=lines)
    write_evaluation(tmp_path, [scores_of("a", [sparse])], NAMES, SECTIONS)
    assert "no scored slice is labelled without holes" in told(tmp_path / "test")
    alone = section(tmp_path / "test", "structure")
    assert (alone["area_um2"], np.isnan(alone["phases"][0]["components_true"])) == (0, True)
    write_evaluation(tmp_path, [scores_of("b", [sparse, evaluated[2]])], NAMES, SECTIONS)
    write_evaluation(tmp_path / "full", [scores_of("b", evaluated[2:])], NAMES, SECTIONS)
    both, full = (section(folder / "test", "structure") for folder in (tmp_path, tmp_path / "full"))
    assert both == {**full, "of_slices": 3}  # with that of stack a
    assert "on 1 of 3 slices, labelled without holes" in told(tmp_path / "test")


def told(folder: Path) -> str:
    return "\n".join(pooled_lines(read_document(folder / "scores.json")))


def test_scores_of_an_earlier_version_are_reported_without_sections(
    evaluated: list[EvaluatedSlice], tmp_path: Path
) -> None:
    earlier = [each for each in SECTIONS if each.name != "structure"]
    write_evaluation(tmp_path, [scores_of("a", evaluated[:1], earlier)], NAMES, earlier)
    assert "components" not in told(tmp_path / "test")


def test_error_rates_against_artefacts_are_of_the_raw_image_in_the_labelled_blocks(
    written: Path, evaluated: list[EvaluatedSlice]
) -> None:
    document = json.loads((written / "b" / "scores.json").read_text())
    own = document["parts"][0]["artefacts"]
    rows, columns = (length // own["side"] for length in evaluated[1].true.shape)
    true, predicted = (
        each[: rows * own["side"], : columns * own["side"]] for each in (evaluated[1].true, evaluated[1].predicted)
    )
    assert sum(own["labelled"]) == np.count_nonzero(true)
    assert sum(own["wrong"]) == np.count_nonzero((true != predicted) & (true > 0))
    pooled = section(written, "artefacts")
    for detector in ("ICE", "TLD"):
        for artefact in ("curtaining", "shading", "noise"):
            strata = pooled["detectors"][detector][artefact]
            assert sum(row["blocks"] for row in strata) == rows * columns * 3
            assert all(0 <= row["error_rate"] <= 1 for row in strata)
    for folder in (written, written / "a"):
        assert (folder / "artefacts.png").read_bytes().startswith(b"\x89PNG")


def test_sections_that_earlier_scores_lack_are_pooled_without_them(
    written: Path, evaluated: list[EvaluatedSlice], tmp_path: Path
) -> None:
    write_evaluation(tmp_path, [scores_of("a", evaluated[:1], SECTIONS[1:])], NAMES, SECTIONS[1:])
    write_evaluation(tmp_path, [scores_of("b", evaluated[1:])], NAMES, SECTIONS)
    assert section(tmp_path / "test", "intervals") == section(written / "b", "intervals")
