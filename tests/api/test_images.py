"""`segment MODEL -i FOLDER -o LABELS`: the labels of ingest and segment, and nothing else that stays."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from monai_app import files, segment_images
from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.model import load_model
from monai_app.bundle.packages.package import package
from monai_app.bundle.segment import segment
from monai_app.cli.logs import Verbosity
from monai_app.cli.segment import segment as command
from monai_app.errors import ConfigError, StackError
from monai_app.inspection import quick
from monai_app.stack import Stack
from tests.bad_input.row import edit_text
from tests.conftest import made_once, run_command, write_tiny_sample

VOXEL = (20.0, 10.0, 10.0)


@pytest.fixture
def packed(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a trained model."""

    def make(folder: Path) -> None:
        folder.mkdir()
        package(trained, tiny_stack, folder / "model.zip", unscored=True)
        (folder / "model.zip").rename(folder / "my model (1).zip")  # as browsers call what was got twice

    return made_once(tmp_path_factory, "packed_for_images", make) / "my model (1).zip"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The images of the tiny stack, one subfolder per detector."""
    description = write_tiny_sample(tmp_path / "images")
    description.unlink()
    shutil.rmtree(description.parent / "annotations")
    return description.parent


def interrupted(*_: object) -> None:
    """Stand for what comes when the TIFFs are written and have no place yet."""
    raise KeyboardInterrupt


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tif")}


@pytest.fixture
def expected(tiny_stack: Stack, trained: Path, tmp_path: Path) -> dict[str, bytes]:
    """The files of ingest and segment."""
    own = Path(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))
    segment(load_model(trained), own, "net", Applied(tiff_dir=str(tmp_path / "expected")))
    return contents(tmp_path / "expected")


def test_a_packed_model_gives_the_labels_of_ingest_and_segment(
    packed: Path, images: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    words = ("segment", packed, "-i", "images", "-o", "results/labels", "--voxel-nm", "20,10,10")
    done = run_command("-m", "monai_app", *words, cwd=tmp_path)
    assert "results/.labels.segmenting/images.ome.zarr, up to " in done.stderr
    assert done.stdout == "labels: results/labels\n"
    made = tmp_path / "results" / "labels"
    assert contents(made) == expected
    assert len(expected) == 8
    assert tifffile.imread(made / "slice_0.tif").shape == (96, 80)
    assert sorted(path.name for path in made.parent.iterdir()) == ["labels"]
    assert (made / "slices.csv").is_file()
    record = json.loads((made / "labels.json").read_text())
    assert record["stack"] == str(images)
    assert record["content"] == "labels of images by my model (1)"
    assert not [path for path in images.rglob("*") if path.name.startswith(".")]


def test_detectors_may_be_read_from_subfolders_with_other_names(
    trained: Path, images: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    (images / "ICE").rename(images / "(ICE)")
    (images / "TLD").rename(images / "SE2 detector [B]")
    target = segment_images(trained, images, tmp_path / "labels", voxel_nm=VOXEL, detectors={"TLD": "SE2 detector [B]"})
    assert contents(target) == expected


def test_a_stopped_call_is_resumed(
    trained: Path,
    images: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = tmp_path / "labels"

    def call(**asked: Any) -> str:
        lines: list[str] = []
        segment_images(trained, images, target, voxel_nm=VOXEL, report=lines.append, **asked)
        return "\n".join(lines)

    with monkeypatch.context() as patch:
        patch.setattr(files, "link_or_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            call()
    assert not target.exists()
    hidden = tmp_path / ".labels.segmenting"
    assert {path.name for path in hidden.iterdir()} == {"images.ome.zarr", "inputs.json", "labels"}
    caplog.set_level("INFO")
    assert "left by the stopped call" in call(workers=1)
    assert "are already complete" in caplog.text
    assert contents(target) == expected
    assert not hidden.exists()
    call(overwrite=True, preview=2)
    assert len(contents(target)) == 2


def test_other_settings_do_not_resume_what_is_there(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "labels"
    target.mkdir()  # an empty folder may be there
    with monkeypatch.context() as patch:
        patch.setattr(files, "link_or_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment_images(trained, images, target, voxel_nm=VOXEL)
    segment_images(trained, images, target, voxel_nm=VOXEL, z="2:4")
    assert sorted(contents(target)) == ["slice_2.tif", "slice_3.tif"]


def test_maps_that_the_run_folder_asks_for_are_not_computed(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    for old, new in (("confidence: none", "confidence: max"), ("probability: false", "probability: true")):
        edit_text(run / "configs" / "inference.yaml", old, new)
    asked: list[Applied] = []

    def stop(*given: Any) -> str:
        asked.append(given[3])
        raise KeyboardInterrupt

    monkeypatch.setattr("monai_app.bundle.segment.segment", stop)
    with pytest.raises(KeyboardInterrupt):
        segment_images(run, images, tmp_path / "labels", voxel_nm=VOXEL)
    assert [(each.confidence, each.probability) for each in asked] == [("none", False)]


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_shows_progress_unless_it_is_to_be_quiet(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Verbosity, "start", lambda _: None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("monai_app.api.images.segment_images", lambda *_, progress, **__: progress(0, 2))
    command(tmp_path / "model.zip", images=tmp_path, output=tmp_path / "labels", quiet=quiet)
    shown = capsys.readouterr()
    assert shown.out == f"labels: {tmp_path / 'labels'}\n"
    assert ("ingest" in shown.err) is not quiet


def test_what_does_not_fit_is_refused_before_anything_is_ingested(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "inspect", lambda *_: pytest.fail("it was ingested"))

    def call(**options: Any) -> None:
        segment_images(trained, images, tmp_path / "labels", voxel_nm=VOXEL, **options)

    tifffile.imwrite(tmp_path / "mask.tif", np.ones((95, 80), np.uint8))
    monkeypatch.setattr("monai_app.device.precision.has_bfloat16", lambda _: False)
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("99", {"z": "99"}),
        ("nowhere.tif does not exist", {"mask": tmp_path / "nowhere.tif"}),
        ("is of shape", {"mask": tmp_path / "mask.tif"}),
        ("tile 'large'", {"tile": "large"}),
        ("memory 'much'", {"memory": "much"}),
        ("preview 9", {"preview": 9}),
        ("'nowhere': must be the address", {"cluster": "nowhere"}),
        ("leave out --workers 2", {"cluster": "tcp://127.0.0.1:1", "workers": 2}),
        ("slower with bfloat16", {"precision": "bfloat16"}),
    )
    for says, options in cases:
        with pytest.raises(ConfigError, match=says):
            call(**options)
    (tmp_path / "mask.tif").unlink()
    for file in images.rglob("*.tif"):
        tifffile.imwrite(file, tifffile.imread(file).astype("uint16"))
    with pytest.raises(StackError, match="are uint16, but the model was trained on uint8"):
        call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_a_network_that_needs_trust_is_not_unpacked_for_it(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_app.bundle.model.needs_trust", lambda _: True)
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match="unpack it first") as refusal:
        segment_images(packed, tmp_path / "images", tmp_path / "labels")
    assert ".segmenting" not in str(refusal.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
