"""Ingesting with an alignment: from files to a store, with labels, marks and a report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.phantom import PhantomConfig, simulate
from monai_app.stack import Align, Stack, annotate, ingest, snapshot
from monai_app.stack.alignment.report import FIGURE, TABLE, describe, write_report
from monai_app.stack.verification import verify_store
from tests.conftest import run_command
from tests.stack.alignment.drifting import drifted, moved, texture, walk
from tests.stack.samples import SampleFolder

SLICES, ROWS, COLUMNS = 10, 96, 128
APART = (5.0, -9.0)
PLAIN = texture(SLICES, ROWS, COLUMNS)
POSITIONS = np.rint(2 * walk(SLICES))
"""Whole pixels, so that pixels and labels must come back as they were."""


def shaken(positions: np.ndarray) -> np.ndarray:
    return np.stack([np.roll(plane, by.astype(int), (0, 1)) for plane, by in zip(PLAIN, positions, strict=True)])


def label_of(plane: np.ndarray) -> np.ndarray:
    return np.where(plane > 128, 7, 0).astype(np.uint8)  # of the sample's mapping: 7 is hydrate, 0 pore


@pytest.fixture
def drifting(tmp_path: Path) -> SampleFolder:
    """Two detectors of opposite contrast, apart by whole pixels, and slices that drift by whole pixels."""
    sample = SampleFolder(tmp_path)
    slices = shaken(POSITIONS)
    sample.detector("ICE", slices)
    sample.detector("TLD", np.roll(255 - slices, (int(APART[0]), int(APART[1])), (1, 2)))
    sample.annotate({z: label_of(slices[z]) for z in (2, 5)}, train=[2], test=[5])
    return sample


def test_slices_and_detectors_come_back(drifting: SampleFolder) -> None:
    seen, lines = [], list[str]()
    stack = ingest(
        drifting.write(),
        drifting.target,
        align=Align("both", keep="nothing"),
        progress=lambda done, total: seen.append((done, total)),
        report=lines.append,
    )
    assert (seen[0], seen[-1]) == ((0, 2 * SLICES), (2 * SLICES, 2 * SLICES))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    alignment = stack.alignment
    assert alignment is not None
    assert (alignment.reference, alignment.flagged, alignment.breaks) == ("ICE", (), ())
    np.testing.assert_allclose(np.diff(alignment.measured, axis=0), np.diff(POSITIONS, axis=0), atol=0.2)
    np.testing.assert_allclose(alignment.detectors["TLD"].transform, APART, atol=0.1)
    assert any("TLD was displaced by y +5.0" in line and "x -9.0" in line for line in lines)
    assert not any("warning" in line for line in lines)
    for z in range(SLICES):  # one picture after the other, as near as an interpolation lets them
        ice, tld = stack.read_slab(z, ["ICE", "TLD"], 1).astype(int)
        inside = stack.inside(z, Rect.whole(stack.shape))
        assert inside is not None
        assert 0.7 < inside.mean() < 1
        assert np.abs(ice + tld - 255)[inside].mean() < 8
    assert verify_store(stack.path).faults == []


def test_labels_follow_and_what_is_outside_is_unlabelled(drifting: SampleFolder) -> None:
    stack = ingest(drifting.write(), drifting.target, align=Align("both"))
    for z in (2, 5):
        labels, grey = stack.read_annotation(z), stack.read_slab(z, ["ICE"], 1)[0]
        inside = stack.inside(z, Rect.whole(stack.shape))
        assert inside is not None
        assert not labels[~inside].any()
        sure = inside & (np.abs(grey.astype(int) - 128) > 40)
        assert (labels[sure] == np.where(grey[sure] > 128, 2, 1)).mean() > 0.999
        assert grey[~inside].any()
    assert [stack.train_slices, stack.test_slices] == [(2,), (5,)]


def test_annotations_that_come_later_label_nothing_outside(drifting: SampleFolder) -> None:
    stack = ingest(drifting.write(), drifting.target, align=Align("detectors"))
    copy = snapshot(stack, drifting.root / "copy.ome.zarr")
    stack = annotate(stack, {0: np.ones((ROWS, COLUMNS), np.uint8)})
    inside = stack.inside(0, Rect.whole(stack.shape))
    np.testing.assert_array_equal(stack.read_annotation(0), inside)
    assert verify_store(stack.path).faults == []
    assert copy.alignment == stack.alignment


def test_detectors_alone_move_one_of_them_by_whole_pixels(drifting: SampleFolder) -> None:
    stack = ingest(drifting.write(), drifting.target, align=Align("detectors", reference="TLD"))
    assert stack.alignment is not None
    assert (stack.alignment.slices, stack.alignment.reference) == ((), "TLD")
    for z in range(SLICES):
        ice, tld = stack.read_slab(z, ["ICE", "TLD"], 1)
        np.testing.assert_array_equal(tld, drifting.images["TLD"][z])
        inside = stack.inside(z, Rect.whole(stack.shape))
        assert inside is not None
        assert inside.sum() == (ROWS - 5) * (COLUMNS - 9)
        np.testing.assert_array_equal(ice[inside], 255 - tld[inside])


def test_series_are_not_moved_upon_each_other(drifting: SampleFolder) -> None:
    alignments = []
    for breaks in ([], [4]):
        drifting.content["breaks"] = breaks
        stack = ingest(drifting.write(), drifting.target, align=Align("slices", keep="nothing"), overwrite=True)
        assert stack.alignment is not None
        assert stack.alignment.breaks == ()
        alignments.append(np.diff(stack.alignment.measured, axis=0))
    whole, parted = alignments
    np.testing.assert_allclose(np.delete(parted, 3, axis=0), np.delete(whole, 3, axis=0), atol=0.2)
    assert np.linalg.norm(whole[3]) > 1
    assert np.linalg.norm(parted[3]) < 0.2
    for content in ({"breaks": [4, 5]}, {"breaks": [], "independent": True}):
        drifting.content |= content
        with pytest.raises(ConfigError, match=r"slice \d has no neighbour in its series"):
            ingest(drifting.write(), drifting.target, align=Align("both"), overwrite=True)


def test_undeclared_series_are_not_moved(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    series = [texture(4, ROWS, COLUMNS, seed) for seed in (0, 1, 2)]
    leaning = [np.stack([np.roll(plane, 2 * z, 1) for z, plane in enumerate(each)]) for each in series]
    sample.detector("ICE", np.concatenate(leaning))
    lines = list[str]()
    stack = ingest(sample.write(), sample.target, align=Align("slices"), report=lines.append)
    assert stack.alignment is not None
    assert stack.alignment.breaks == (4, 8)
    np.testing.assert_allclose(stack.alignment.slices, 0, atol=0.3)
    assert any("x +2.0" in line or "x +1.9" in line for line in lines)


def test_a_bad_first_slice_of_a_series_is_no_undeclared_break(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    slices = np.stack([np.roll(plane, -2 * z, 1) for z, plane in enumerate(texture(12, ROWS, COLUMNS))])
    slices[6] = np.random.default_rng(0).integers(0, 256, slices[6].shape)
    sample.detector("ICE", slices)
    sample.content["breaks"] = [6]
    lines = list[str]()
    stack = ingest(sample.write(), sample.target, align=Align("slices", keep="nothing"), report=lines.append)
    assert stack.alignment is not None
    assert (stack.alignment.flagged, stack.alignment.breaks) == ((6,), ())
    (step,) = (line for line in lines if "mean step" in line)
    assert "x -2.0" in step or "x -1.9" in step


def test_structure_that_leans_keeps_leaning(tmp_path: Path) -> None:
    lean = np.arange(SLICES)[:, None] * [0.0, 1.5]
    sample = SampleFolder(tmp_path)
    wide = texture(SLICES, ROWS, COLUMNS + 32)
    pixels = drifted(wide, lean + walk(SLICES))[:, :, 8:-24]
    sample.detector("SE", pixels)
    stack = ingest(sample.write(), sample.target, align=Align("slices"))
    assert stack.alignment is not None
    left = np.subtract(stack.alignment.measured, stack.alignment.slices)
    np.testing.assert_allclose(np.diff(left, axis=0), np.tile([0, 1.5], (SLICES - 1, 1)), atol=0.25)
    stack = ingest(sample.write(), sample.target, align=Align("slices", keep="nothing"), overwrite=True)
    assert stack.alignment is not None
    np.testing.assert_allclose(np.diff(stack.alignment.slices, axis=0), np.diff(lean + walk(SLICES), axis=0), atol=0.4)


def test_a_bad_slice_is_flagged_and_lies_between_its_neighbours(drifting: SampleFolder) -> None:
    bad = drifting.images["ICE"].copy(), drifting.images["TLD"].copy()
    for number, (name, pixels) in enumerate(zip(("ICE", "TLD"), bad, strict=True)):
        pixels[4] = np.random.default_rng(number).integers(0, 255, (ROWS, COLUMNS))
        drifting.detector(name, pixels)
    lines = list[str]()
    stack = ingest(drifting.write(), drifting.target, align=Align("both"), report=lines.append)
    assert stack.alignment is not None
    assert stack.alignment.flagged == (4,)
    measured = np.array(stack.alignment.measured)
    np.testing.assert_allclose(measured[4], (measured[3] + measured[5]) / 2, atol=0.01)
    assert stack.alignment.residuals[4] is None or stack.alignment.residuals[4] > 1
    assert "warning: slice 4 does not match its neighbours and was placed between them; check it" in lines


def test_the_bars_of_simulated_drift(tmp_path: Path) -> None:
    """Median errors of at most 0.2 px between slices and 0.3 px between detectors; alignment.md has more."""
    config = PhantomConfig.from_mapping({"slices": 12, "rows": 320, "columns": 400, "artefacts": {"drift": 2.0}})
    slices = list(simulate(config))
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", np.stack([item.images["ICE"] for item in slices]))
    sample.detector("TLD", np.stack([moved(255 - item.images["TLD"], (12.3, -6.7)) for item in slices]))
    alignment = ingest(sample.write(), sample.target, align=Align("both")).alignment
    assert alignment is not None
    known = np.array([(-item.position.drift_y_nm / 20, -item.position.drift_x_nm / 20) for item in slices])
    wrong = np.diff(np.array(alignment.measured) - known, axis=0)
    assert np.median(np.linalg.norm(wrong - wrong.mean(axis=0), axis=1)) <= 0.2
    assert np.linalg.norm(np.subtract(alignment.detectors["TLD"].transform, (12.3, -6.7))) <= 0.3


def test_detectors_that_are_apart_are_reported_by_default(drifting: SampleFolder) -> None:
    lines = list[str]()
    stack = ingest(drifting.write(), drifting.target, report=lines.append)
    assert stack.alignment is None
    assert stack.inside(0, Rect.whole(stack.shape)) is None
    (line,) = (line for line in lines if line.startswith("warning"))
    assert "ICE and TLD are 10.3 px apart (y 5.0, x -9.0); use --align detectors" in line
    np.testing.assert_array_equal(stack.read_slab(3, ["TLD"], 1)[0], drifting.images["TLD"][3])


def test_detectors_that_lie_upon_each_other_or_cannot_be_compared_are_no_warning(tmp_path: Path) -> None:
    for name, other in {"same": 255 - PLAIN, "another": texture(SLICES, ROWS, COLUMNS, seed=7)}.items():
        sample, lines = SampleFolder(tmp_path / name), list[str]()
        sample.detector("ICE", PLAIN)
        sample.detector("TLD", other)
        ingest(sample.write(), sample.target, report=lines.append)
        assert not any("warning" in line for line in lines)


def test_the_report_is_a_figure_and_a_table(drifting: SampleFolder, tmp_path: Path) -> None:
    stack = ingest(drifting.write(), drifting.target, align=Align("both", "rigid"))
    assert stack.alignment is not None
    write_report(stack.alignment, stack.slice_names, tmp_path / "new" / "report")
    with (tmp_path / "new" / "report" / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(stack.slice_names)
    assert [float(rows[3][f"moved_{name}"]) for name in ("y", "x", "turn")] == list(stack.alignment.slices[3])
    assert {row["flagged"] for row in rows} == {"0"}
    assert all(float(row["residual"]) < 1 and float(row["residual_TLD"]) < 1 for row in rows)
    with Image.open(tmp_path / "new" / "report" / FIGURE) as figure:
        assert np.asarray(figure.convert("L")).std() > 5
    assert len(describe(stack.alignment, stack.shape[1:])) == 3


def test_what_was_moved_is_sealed_in_the_store(drifting: SampleFolder) -> None:
    stack = ingest(drifting.write(), drifting.target, align=Align("both"))
    file = stack.path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["monai_app"]["alignment"]["slices"][0][0] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(StackError, match="does not match its checksum"):
        Stack.open(stack.path)


def test_what_cannot_be_aligned_is_refused_before_anything_is_written(drifting: SampleFolder) -> None:
    description = drifting.write()
    for align, message in (
        (Align("both", reference="SE"), r"reference 'SE' is not a detector; the detectors are ICE, TLD"),
        (Align("slices"), None),
    ):
        if message is not None:
            with pytest.raises(ConfigError, match=message):
                ingest(description, drifting.target, align=align)
    with pytest.raises(ConfigError, match="transform 'elastic' is none of translation, rigid, affine"):
        Align("both", "elastic")  # type: ignore[arg-type]
    del drifting.content["detectors"]["TLD"]
    with pytest.raises(ConfigError, match="ICE is the only detector"):
        ingest(drifting.write(), drifting.target, align=Align("detectors"))
    assert not drifting.target.exists()


def test_pictures_without_anything_in_common_are_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sample = SampleFolder(tmp_path)
    for name in ("ICE", "TLD"):
        sample.detector(name, rng.integers(0, 255, (4, 64, 64), np.uint8))
    with pytest.raises(StackError, match="ICE and TLD have nothing in common"):
        ingest(sample.write(), sample.target, align=Align("detectors"))
    with pytest.raises(StackError, match="no two slices that follow each other have anything in common"):
        ingest(sample.write(), sample.target, align=Align("slices"))
    sample.detector("ICE", rng.integers(0, 255, (4, 20, 64), np.uint8))
    sample.detector("TLD", rng.integers(0, 255, (4, 20, 64), np.uint8))
    with pytest.raises(ConfigError, match="slices of 20 x 64 pixels are too small to compare"):
        ingest(sample.write(), sample.target, align=Align("slices"))
    assert not sample.target.exists()


def test_an_annotation_that_leaves_the_picture_is_refused(tmp_path: Path) -> None:
    sample, labels = SampleFolder(tmp_path), np.full((ROWS, COLUMNS), 255, np.uint8)
    labels[:2] = 7  # rows that TLD does not have
    sample.detector("ICE", PLAIN)
    sample.detector("TLD", np.roll(PLAIN, 5, axis=1))
    sample.annotate({2: labels}, train=[2], test=[])
    with pytest.raises(AnnotationError, match="the annotation of slice 2 is outside the images after alig"):
        ingest(sample.write(), sample.target, align=Align("detectors", reference="TLD"))
    assert not sample.target.exists()


def test_the_command_does_what_its_printed_line_does(drifting: SampleFolder, tmp_path: Path) -> None:
    options = ("--align", "both", "--align-keep", "curve", "--align-reference", "TLD", "--align-report", "report")
    done = run_command("-m", "monai_app", "ingest", drifting.write(), "a.ome.zarr", *options, "-v", cwd=tmp_path)
    words = next(line for line in done.stderr.splitlines() if line.startswith("$ python ")).split()[2:]
    run_command(*(word.replace("a.ome.zarr", "b.ome.zarr") for word in words), cwd=tmp_path)
    first, second = (Stack.open(tmp_path / f"{name}.ome.zarr") for name in "ab")
    assert first.identity == second.identity
    assert first.alignment == second.alignment
    assert first.alignment is not None
    assert (first.alignment.keep, first.alignment.reference) == ("curve", "TLD")
    assert "detectors: ICE was displaced by y -5.0" in done.stdout
    assert {path.name for path in (tmp_path / "report").iterdir()} == {FIGURE, TABLE}
