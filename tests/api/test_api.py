"""The functions of monai_app do what the commands do, take paths and texts alike, and return what notebooks show."""

import json
import logging
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import monai_app
from monai_app.api.given import opened, opened_all
from monai_app.errors import ConfigError
from tests.conftest import TINY, run_command, write_tiny_sample


class Shown(HTMLParser):
    """Cells and pictures of what a notebook shows."""

    def __init__(self, thing: object) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.pictures: list[str] = []
        self.feed(thing._repr_html_())  # type: ignore[attr-defined]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(str(dict(attrs)["src"]))

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


@pytest.fixture
def own_stack(tiny_stack: monai_app.Stack, tmp_path: Path) -> monai_app.Stack:
    """A copy of the tiny stack that may be written to."""
    return monai_app.Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))


@pytest.fixture
def own_run(trained: Path, tmp_path: Path) -> monai_app.Run:
    """A copy of the run that the command trained."""
    return monai_app.Run(Path(shutil.copytree(trained, tmp_path / "unet")))


def test_importing_the_package_loads_none_of_it() -> None:
    code = "import sys, monai_app; assert not {'torch', 'numpy', 'monai_app.api'} & set(sys.modules)"
    run_command("-c", code, fresh=True)


def test_functions_have_the_names_of_rooms_neither_before_nor_after_all_are_imported() -> None:
    code = (
        "import pkgutil, monai_app;"
        "assert not {each.name for each in pkgutil.iter_modules(monai_app.__path__)} & set(monai_app.__all__)"
    )
    run_command("-c", code, fresh=True)


def test_a_training_gives_the_weights_that_the_command_gives(
    tiny_stack: monai_app.Stack, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    epochs, settings = TINY["max_epochs"], {name: value for name, value in TINY.items() if name != "max_epochs"}
    words = f"{str(tiny_stack.path)!r}, {str(tmp_path / 'run')!r}, epochs={epochs}, settings={settings}"
    run_command("-c", f"import monai_app; monai_app.train({words})")
    run = monai_app.Run(tmp_path / "run")
    own, other = (torch.load(path, weights_only=True) for path in (run.weights, trained / "models" / "model.pt"))
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    lines: list[str] = []
    with caplog.at_level(logging.INFO):
        monai_app.train(tiny_stack, run, epochs=epochs, settings=settings, report=lines.append)
    assert "this training is finished, after epoch 2" in caplog.text
    assert not lines
    assert {"ICE, TLD", "pore, hydrate, clinker"} <= set(Shown(run).cells)


def test_scores_are_those_of_the_command(tiny_stack: monai_app.Stack, own_run: monai_app.Run) -> None:
    scores = monai_app.evaluate([tiny_stack], own_run, device="cpu")
    shown = run_command("-m", "monai_app", "evaluate", tiny_stack.path, own_run.path, "--device", "cpu").stdout
    assert json.loads(scores.path.read_text()) == scores.document
    assert f"mean IoU {scores.mean_iou:.4f}" in shown
    assert set(scores.iou) == {"pore", "hydrate", "clinker"}
    assert f"{scores.iou['pore']:.4f}" in Shown(scores).cells


def test_labels_are_measured_and_reported(own_stack: monai_app.Stack, own_run: monai_app.Run, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    labels = monai_app.segment(
        str(own_stack.path), own_run, tiff=tmp_path / "tiff", progress=lambda *done: seen.append(done)
    )
    assert (labels.name, labels.slices) == ("unet", [*range(8)])
    assert (seen[0][0], seen[-1][0]) == (0, seen[-1][1])
    assert np.array_equal(labels.read(4), tifffile.imread(sorted((tmp_path / "tiff").glob("*.tif"))[4]))
    (picture,) = Shown(labels).pictures
    assert picture.startswith("data:image/png;base64,")

    quantities = monai_app.quantify(own_stack, labels, output=tmp_path / "quantities", measures=["fraction"])
    counts = np.bincount(np.stack([labels.read(z) for z in range(8)]).ravel(), minlength=4)
    pore = quantities.values["volume_fraction"]["pore"].value
    assert pore == pytest.approx(counts[1] / counts.sum())
    assert {"volume_fraction", "pore"} <= set(Shown(quantities).cells)

    page = monai_app.report(own_run, own_stack, tmp_path / "quantities", output=tmp_path / "page.html")
    assert "tiny" in page.read_text(encoding="utf8")


def test_a_stack_is_ingested_annotated_and_shown(tmp_path: Path) -> None:
    done: list[int] = []
    write_tiny_sample(tmp_path / "sample", slices=7, rows=48)
    stack = monai_app.ingest(
        str(tmp_path / "sample" / "sample.yaml"), str(tmp_path / "a.ome.zarr"), progress=lambda n, _: done.append(n)
    )
    assert done[-1] == 7
    shown = Shown(stack)
    assert len(shown.pictures) == 2
    assert {"ICE, TLD", "7 slices of 48 x 80 pixels, uint8", "20 x 10 x 10 nm (z, y, x)"} <= set(shown.cells)

    painted = np.zeros((48, 80), np.uint8)
    painted[:20] = 7
    tifffile.imwrite(tmp_path / "painted.tif", painted)
    annotated = monai_app.annotate(
        stack, str(tmp_path / "painted.tif"), slices=[0], role="test", mapping={7: "clinker", 0: "unlabelled"}
    )
    assert annotated.set == (0,)
    assert np.array_equal(annotated.stack.read_annotation(0), np.where(painted == 7, 3, 0))
    assert annotated.stack.roles[0] == "test"


def test_annotations_made_since_a_stack_was_opened_count(own_stack: monai_app.Stack, own_run: monai_app.Run) -> None:
    labels = monai_app.segment(own_stack, own_run, "net", z="0:2")
    monai_app.annotate(own_stack, labels=labels, slices=0)
    monai_app.annotate(own_stack, labels=labels, slices=own_stack.slice_names[1], role="test", overwrite=True)
    assert opened(own_stack).roles == {**own_stack.roles, 0: "train", 1: "test"}
    assert [stack.test_slices for stack in opened_all(own_stack)] == [(1, 6)]
    assert [*monai_app.quantify(own_stack, labels, measures="fraction").values] == ["volume_fraction", "volume"]


def test_one_detector_may_be_given_as_its_name(own_stack: monai_app.Stack, tmp_path: Path) -> None:
    monai_app.train(own_stack, tmp_path / "run", settings=TINY, detectors="ICE", dry_run=True)
    assert monai_app.Run(tmp_path / "run").spec.detectors == ("ICE",)


def test_names_are_text_where_a_notebook_shows_them(tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample", slices=7, rows=48)
    description.write_text(description.read_text().replace("pore", "<script>alert(1)</script>"))
    stack = monai_app.ingest(description, tmp_path / "a.ome.zarr")
    assert "<script>" not in stack._repr_html_()
    assert "<script>alert(1)</script>, hydrate, clinker" in Shown(stack).cells


def test_what_cannot_be_done_is_refused(
    tiny_stack: monai_app.Stack, own_stack: monai_app.Stack, own_run: monai_app.Run, tmp_path: Path
) -> None:
    with pytest.raises(monai_app.AppError, match="is not a run folder"):
        monai_app.segment(tiny_stack, tmp_path)
    with pytest.raises(monai_app.AppError):
        monai_app.Stack.open(str(tmp_path / "nothing.ome.zarr"))
    with pytest.raises(monai_app.AppError, match=r"no finished label image 'none'; its label images: [a-z]"):
        monai_app.quantify(tiny_stack, "none")
    with pytest.raises(monai_app.AppError, match="give either source"):
        monai_app.annotate(tiny_stack)
    with pytest.raises(monai_app.AppError, match="unknown key 'slices'"):
        monai_app.segment(own_stack, own_run, slices="0:2")  # type: ignore[call-arg]
    with pytest.raises(monai_app.AppError, match="no stack is given; give one or several"):
        monai_app.train([], tmp_path / "run")
    with pytest.raises(monai_app.AppError, match=r"are of .*own\.ome\.zarr, not of .*tiny\.ome\.zarr; give that stack"):
        monai_app.quantify(tiny_stack, monai_app.Labels(own_stack, "net"))


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(monai_app.AppError, match="no source is given"):
        monai_app.report(output=tmp_path / "page.html")


ARGUMENTS: dict[str, tuple[Callable[..., object], list[object]]] = {
    "description": (monai_app.ingest, [None, "a.ome.zarr"]),
    "stack": (monai_app.segment, [5, "run"]),
    "model": (monai_app.segment, ["STACK", monai_app.Stack]),
    "source": (monai_app.annotate, ["STACK", 5]),
    "run": (monai_app.evaluate, ["STACK", 5]),
    "labels": (monai_app.quantify, ["STACK", 5]),
    "images": (monai_app.segment_images, ["model.zip", 5, "labels"]),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_another_type_are_named(name: str, tiny_stack: monai_app.Stack) -> None:
    function, given = ARGUMENTS[name]
    with pytest.raises(ConfigError, match=f"^{name} .*; give "):
        function(*(tiny_stack if each == "STACK" else each for each in given))


def test_a_device_that_is_no_text_is_refused(tiny_stack: monai_app.Stack) -> None:
    with pytest.raises(ConfigError, match="device '3' does not exist on this machine; choose one of auto, cpu"):
        monai_app.segment(tiny_stack, "run", device=3)  # type: ignore[arg-type]
