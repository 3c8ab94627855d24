"""All measures of a label image: the folder, the text and the command."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_app.errors import ConfigError, TargetExistsError
from monai_app.progress import Progress, silent
from monai_app.quantities import MEASURES, ArrayLabels, Measured, StoredLabels, chosen_measures, quantify
from monai_app.quantities.report.document import as_document
from monai_app.quantities.report.figures import draw_figure
from monai_app.quantities.report.folder import write_folder
from monai_app.quantities.report.text import text_lines
from monai_app.stack import Phase, Stack
from monai_app.stack.label_images.listing import labels_sha256
from tests.conftest import run_command
from tests.quantities.shapes import PHASES, blobs

VOXEL = (20.0, 10.0, 10.0)


@pytest.fixture(scope="module")
def stack(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    path = tmp_path_factory.mktemp("own") / "tiny.ome.zarr"
    shutil.copytree(tiny_stack.path, path)
    labels = blobs(tiny_stack.shape, 3)
    labels[:, :10] = 0
    labels[labels == 3] = 2  # clinker has no voxels
    Stack.open(path).write_labels("found", iter(labels), attributes={"run": "unet"})
    return Stack.open(path)


def test_a_folder_holds_every_number_once_and_again(stack: Stack, tmp_path: Path) -> None:
    labels = StoredLabels(stack, "found")
    found = quantify(labels)
    write_folder(found, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "quantities.json").read_text())
    assert document["stack"]["identity"] == stack.identity
    sha256 = document["labels"].pop("sha256")
    assert document["labels"] == {"name": "found", "made_by": {"run": "unet"}}
    assert sha256 == labels_sha256(stack, "found")
    assert document["voxel_nm"] == list(VOXEL)
    assert document["not_segmented_voxels"] == 8 * 10 * 80
    assert sum(phase["voxels"] for phase in document["phases"]) == 8 * 86 * 80
    assert document["measures"].keys() == MEASURES.keys()
    assert document["seconds"].keys() == MEASURES.keys() | {"count"}
    rows = list(csv.DictReader((tmp_path / "out" / "phases.csv").read_text().splitlines()))
    assert [row["phase"] for row in rows] == ["pore", "hydrate", "clinker"]
    for row in rows:
        number = document["measures"]["fraction"]["quantities"]["volume_fraction"][row["phase"]]
        assert float(row["volume_fraction"]) == number["value"]
    assert "no voxel has this phase" in rows[2]["unreliable"]
    assert rows[2]["chord_mean_x [um]"] == rows[2]["thickness_mean [um]"] == ""
    corrected = MEASURES["correction"](labels, silent).quantities["corrected_fraction"]["clinker"]
    assert corrected.value  # from the annotations, though no voxel is labelled as clinker
    assert found.quantities["corrected_fraction"]["clinker"] == corrected
    slices = list(csv.DictReader((tmp_path / "out" / "slices.csv").read_text().splitlines()))
    assert [float(row["z_um"]) for row in slices] == pytest.approx(np.arange(8) * 0.02)
    assert np.mean([float(row["pore"]) for row in slices]) == pytest.approx(float(rows[0]["volume_fraction"]))
    for name in ("fraction", "components", "chords", "thickness"):
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.size[0] >= 250  # in half the resolution: tests/matplotlibrc
    lines = list(text_lines(found))
    assert lines[0].split() == ["unit", "pore", "hydrate", "clinker"]
    assert lines[-1] == "material_fraction: its interval covers sampling error only, not errors of the labels"
    alone = quantify(labels, {"representativity": MEASURES["representativity"]})
    assert not any(line.startswith("material_fraction:") for line in text_lines(alone))
    absent = [line for line in lines if line.endswith(": no voxel has this phase")]
    assert len(absent) == 1
    assert "specific_surface" in absent[0]
    assert " of clinker" in absent[0]


def test_a_figure_has_one_legend_beside_its_panels() -> None:
    phases = [*PHASES[:2], Phase(value=3, name="a phase of $long$ name", rgb=(9, 9, 9))]
    found = MEASURES["fraction"](ArrayLabels(blobs((6, 20, 20), 1), VOXEL, phases), silent)
    figure = draw_figure(found.panels, phases)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [phase.name for phase in phases]
    assert all(axes.get_legend() is None for axes in figure.axes)
    assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_a_reason_is_listed_once_with_all_quantities() -> None:
    found = quantify(ArrayLabels(blobs((1, 20, 20), 1), VOXEL, PHASES), chosen_measures(["components", "surface"]))
    lines = [line for line in text_lines(found) if line.startswith("* ")]
    reasons = [line.partition(": ")[2] for line in lines]
    assert len(set(reasons)) == len(reasons)
    flat = next(line for line in lines if "connections outside it are unknown" in line)
    assert flat.startswith("* components, ")
    assert " of matrix, grain, pore" in flat


def test_a_folder_is_replaced_only_if_that_is_allowed(tmp_path: Path) -> None:
    labels = ArrayLabels(blobs((4, 10, 10), 1), VOXEL, PHASES)
    found = quantify(labels, chosen_measures(["fraction"]))
    write_folder(found, tmp_path / "out")
    with pytest.raises(TargetExistsError, match="--overwrite"):
        write_folder(found, tmp_path / "out")
    write_folder(found, tmp_path / "out", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_every_measure_reports_progress() -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    class Task:
        def __init__(self, name: str) -> None:
            self.calls = told.setdefault(name, [])

        def __enter__(self) -> Progress:
            return lambda done, total: self.calls.append((done, total))

        def __exit__(self, *_: object) -> None:
            pass

    quantify(ArrayLabels(blobs((4, 10, 10), 1), VOXEL, PHASES), progress=Task)
    assert told.keys() == MEASURES.keys() | {"count"}
    for name, calls in told.items():
        assert name == "fraction" or calls[0][0] == 0
        assert name == "fraction" or calls[-1][0] == calls[-1][1]


def test_nothing_segmented_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(ConfigError, match="nothing is segmented"):
        quantify(ArrayLabels(np.zeros((3, 4, 4), np.uint8), VOXEL, PHASES), {})


def test_what_is_segmented_on_every_second_row_is_written(tmp_path: Path) -> None:
    voxels = blobs((4, 20, 20), 2)
    voxels[:, 1::2] = 0  # no two voxels lie side by side along y
    write_folder(quantify(ArrayLabels(voxels, VOXEL, PHASES)), tmp_path / "out")
    document = json.loads((tmp_path / "out" / "quantities.json").read_text())
    assert document["measures"]["correlation"]["quantities"]["correlation_range_y"]["grain"]["value"] > 0


def test_versions_of_the_solver_stand_by_its_numbers() -> None:
    found = quantify(ArrayLabels(np.ones((2, 4, 4), np.uint8), VOXEL, PHASES), {"tortuosity": lambda *_: Measured({})})
    assert {"numpy", "taufactor", "torch"} <= as_document(found)["versions"].keys()
    assert "torch" not in as_document(quantify(found.labels, {}))["versions"]


def test_one_slice_is_measured_as_far_as_it_can_be() -> None:
    found = quantify(ArrayLabels(blobs((1, 30, 30), 3), VOXEL, PHASES)).quantities
    for name in ("specific_surface", "components", "percolating_share_z", "chord_mean_z", "thickness_mean"):
        assert all(number.unreliable for number in found[name].values()), name
    for name in ("volume_fraction", "chord_mean_x"):
        assert found[name]["grain"].unreliable is None, name


def test_the_command_measures_a_part(stack: Stack, tmp_path: Path) -> None:
    words = ("--z", "1:7", "--y", "20:90", "--measure", "fraction", "--measure", "surface", "--mask", "found")
    shown = run_command("-m", "monai_app", "quantify", stack.path, "--labels", "found", "-o", tmp_path / "out", *words)
    document = json.loads((tmp_path / "out" / "quantities.json").read_text())
    assert document["region"] == {"z": [1, 7], "y": [20, 90], "x": [0, 80]}
    assert document["mask"]["source"] == "found"
    assert list(document["measures"]) == ["fraction", "surface"]
    assert shown.stdout.splitlines()[-1] == f"quantities: {tmp_path / 'out'}"
    assert "specific_surface" in shown.stdout
