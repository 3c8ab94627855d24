"""What version 0.1.0 wrote still opens: stores, run folders, exported files, packages, and what was interrupted."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from monai_app.stack import Stack
from tests.conftest import run_command

MADE = Path(__file__).parent / "earlier" / "made_by_0.1.0.zip"
SHAPE = (6, 96, 112)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder as it was written."""
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def labels(stack: Path, name: str) -> np.ndarray:
    opened = Stack.open(stack)
    return np.stack([opened.read_labels(name, z) for z in range(SHAPE[0])])


def test_a_store(made: Path) -> None:
    stack = Stack.open(made / "sample.ome.zarr")
    assert (stack.shape, stack.detectors, stack.dtype) == (SHAPE, ("ICE", "TLD"), np.dtype(np.uint8))
    assert set(stack.label_names()) == {"unet", "sensor3d"}
    assert [phase.name for phase in stack.phases] == ["pore", "hydrate", "portlandite", "clinker", "aggregate"]
    assert set(np.unique(labels(stack.path, "unet"))) <= set(range(1, 6))
    assert all(stack.read_annotation(z).any() for z in (*stack.train_slices, *stack.test_slices))


@pytest.mark.parametrize("model", ["unet", "sensor3d"])
def test_a_run_folder_gives_the_labels_that_it_gave(made: Path, model: str) -> None:
    stack = made / "sample.ome.zarr"
    run_command("-m", "monai_app", "segment", stack, made / model, "--labels", "again")
    assert (labels(stack, "again") != labels(stack, model)).mean() < 1e-4  # rounding may decide a pixel elsewhere


@pytest.mark.parametrize("file", ["model.ts", "model.pt2"])
def test_an_exported_file_gives_the_labels_that_it_gave(made: Path, file: str) -> None:
    """It was not signed by who exported it, so the user is asked once."""
    stack, exported = made / "sample.ome.zarr", made / "unet" / "models" / file
    run_command("-m", "monai_app", "trust", exported, "--yes")
    run_command("-m", "monai_app", "segment", stack, exported, "--labels", "again")
    assert (labels(stack, "again") != labels(stack, "unet")).mean() < 1e-4


def test_a_run_folder_scores_as_it_did(made: Path) -> None:
    run, before = made / "unet", json.loads((made / "unet/eval/scores.json").read_text())
    run_command("-m", "monai_app", "evaluate", made / "sample.ome.zarr", run)
    after = json.loads((run / "eval/test/sample/scores.json").read_text())
    assert json.loads((run / "eval/earlier/scores.json").read_text()) == before
    assert (after["slices"], after["weights_sha256"]) == (before["slices"], before["weights_sha256"])
    assert after["mean_iou"] == pytest.approx(before["mean_iou"], abs=1e-3)


def test_a_run_folder_is_exported_and_packaged(made: Path) -> None:
    run_command("-m", "monai_app", "export", made / "sensor3d")
    words = ("-m", "monai_app", "package", made / "sample.ome.zarr", made / "unet", made / "again.zip")
    assert (
        "the existing ones were written by an earlier version; run monai-app evaluate first"
        in run_command(*words, check=False).stderr
    )
    run_command(*words, "--unscored")
    run_command("-m", "monai_app", "check", made / "again.zip")


def test_a_package_gives_the_labels_that_it_promises(made: Path) -> None:
    assert "0 differ" in run_command("-m", "monai_app", "check", made / "unet.zip").stdout


def test_an_unpacked_package_gets_the_scores_and_stays_as_it_is_else(made: Path) -> None:
    run_command("-m", "monai_app", "unpack", made / "unet.zip", made / "unpacked")
    configs = {path: path.read_bytes() for path in (made / "unpacked" / "configs").iterdir()}
    shown = run_command("-m", "monai_app", "evaluate", made / "sample.ome.zarr", made / "unpacked").stdout
    pooled = made / "unpacked" / "eval" / "test"
    assert f"scores: {pooled / 'scores.csv'}\n" in shown
    scores = json.loads((pooled / "sample" / "scores.json").read_text())
    assert scores["mean_iou"] == pytest.approx(
        json.loads((made / "unet/eval/scores.json").read_text())["mean_iou"], abs=1e-3
    )
    assert {path: path.read_bytes() for path in configs} == configs


def test_an_interrupted_training_is_resumed_or_refused_with_a_remedy(made: Path) -> None:
    settings = "features=[4,4,8,8,8,4] steps_per_epoch=4 batch_size=2 crop=[32,32] validation_block=16 window=[64,64]"
    options = [word for setting in settings.split() for word in ("--set", setting)]
    command = ["-m", "monai_app", "train", made / "sample.ome.zarr", made / "interrupted"]
    ended = run_command(*command, "--variant", "unet_ice+tld_3", "--epochs", 8, *options, check=False)
    assert "Traceback" not in ended.stderr
    if ended.returncode == 0:
        assert "epoch 8/8" in ended.stderr
        assert "epoch 1/8" not in ended.stderr  # its last complete epoch
    else:
        assert "--overwrite" in ended.stderr


def test_interrupted_labels_are_resumed_or_refused_with_a_remedy(made: Path) -> None:
    stack, options = made / "sample.ome.zarr", ["--tile", "32", "--confidence", "entropy", "--probability"]
    command = ["-m", "monai_app", "segment", stack, made / "unet", "--labels", "begun", *options]
    ended = run_command(*command, check=False)
    assert "Traceback" not in ended.stderr
    if ended.returncode != 0:
        assert "--overwrite" in ended.stderr
        run_command(*command, "--overwrite")
    assert (labels(stack, "begun") != labels(stack, "unet")).mean() < 1e-4
