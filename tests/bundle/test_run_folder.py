import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from monai.bundle import ConfigParser
from ruamel.yaml import YAML

from monai_app.bundle.checks import check_tracking
from monai_app.bundle.configs.settings import check_literal, parse_setting, read_overlays
from monai_app.bundle.configs.templates import size_path, template_path
from monai_app.bundle.run_folder import prepare
from monai_app.errors import AnnotationError, AppError, BusyError, ConfigError, TargetExistsError
from monai_app.files import lock, lock_path
from monai_app.stack import Stack, ingest
from tests.conftest import TINY, TINY_SENSOR3D, write_tiny_sample

UNET = template_path("fibsem_unet_segmentation")
SENSOR3D = template_path("fibsem_sensor3d_segmentation")


def load(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = YAML(typ="safe").load(path)
    return config


def assert_refused(template: Path, settings: dict[str, Any], message: str, stack: Stack, folder: Path) -> None:
    with pytest.raises(AppError, match=message):
        prepare(template, stack, folder / "run", settings=settings)
    assert list(folder.iterdir()) == []


def test_a_run_folder_is_a_bundle_of_its_own_with_the_models_settings(tiny_stack: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert prepare(UNET, tiny_stack, run, settings={**TINY, "detectors": ["TLD"], "slices": 1})
    train, inference = load(run / "configs" / "train.yaml"), load(run / "configs" / "inference.yaml")
    for config in (train, inference):
        assert config["detectors"] == ["TLD"]
        assert config["slices"] == 1
        assert config["features"] == TINY["features"]
        assert [phase["name"] for phase in config["phases"]] == ["pore", "hydrate", "clinker"]
        assert config["phases"][0]["rgb"] == [0x20, 0x30, 0x4F]
        assert set(config["scaling"]) == {"TLD"}
    assert train["max_epochs"] == 2
    assert "max_epochs" not in inference
    assert (run / "LICENSE").is_file()
    assert "# where" in (run / "configs" / "train.yaml").read_text().replace("-", "").replace("#  ", "# ")


def test_overlays_are_laid_over_each_other_and_under_the_settings(tiny_stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("batch_size: 3\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("seed: 2\ntrain::handlers::0::seed: 9\n")
    assert read_overlays([tmp_path / "a.yaml", tmp_path / "b.yaml"])["seed"] == 2
    overlays = [size_path(UNET.name, "small"), tmp_path / "a.yaml"]
    prepare(UNET, tiny_stack, tmp_path / "run", overlays=overlays, settings={"seed": 5, "crop": [48, 48]})
    config = load(tmp_path / "run" / "configs" / "train.yaml")
    assert (config["batch_size"], config["seed"], config["features"][0]) == (3, 5, 16)


def test_names_of_earlier_versions_are_taken(tiny_stack: Stack, tmp_path: Path) -> None:
    earlier = {"deformed": 0.7, "rotation": 3.14, "zoom": 0.2, "elastic": 2.0, "rotate90": 0.75}
    prepare(UNET, tiny_stack, tmp_path / "run", settings={**TINY, **earlier})
    steps = load(tmp_path / "run" / "configs" / "train.yaml")["augmentation"]
    assert isinstance(steps, dict)
    deform = steps["deform"]
    assert (deform["prob"], deform["rotate_range"], steps["rotate90"]["prob"]) == (0.7, 3.14, 0.75)
    assert (deform["scale_range"], deform["magnitude_range"]) == ([0.2, 0.2], [0, 2.0])
    assert not prepare(UNET, tiny_stack, tmp_path / "run", settings={**TINY, **earlier})


def test_a_nested_id_is_set_where_it_is(tiny_stack: Stack, tmp_path: Path) -> None:
    prepare(UNET, tiny_stack, tmp_path / "run", settings={**TINY, "validate::dataloader::num_workers": 1})
    assert load(tmp_path / "run" / "configs" / "train.yaml")["validate"]["dataloader"]["num_workers"] == 1


def test_the_same_again_resumes_and_another_is_refused_by_name(tiny_stack: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert prepare(UNET, tiny_stack, run, settings=TINY)
    assert not prepare(UNET, tiny_stack, run, settings=TINY)
    with pytest.raises(TargetExistsError, match=r"learning_rate is None there and 0\.1 now"):
        prepare(UNET, tiny_stack, run, settings={**TINY, "learning_rate": 0.1})
    assert prepare(UNET, tiny_stack, run, settings={**TINY, "learning_rate": 0.1}, overwrite=True)


def test_another_stack_is_refused(tiny_stack: Stack, tmp_path: Path) -> None:
    other = ingest(write_tiny_sample(tmp_path / "other", slices=9), tmp_path / "other.ome.zarr")
    prepare(UNET, tiny_stack, tmp_path / "run", settings=TINY)
    with pytest.raises(TargetExistsError, match="its stack is different"):
        prepare(UNET, other, tmp_path / "run", settings=TINY)


def test_a_folder_that_is_no_run_is_left_alone(tiny_stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with pytest.raises(TargetExistsError, match="not a training run"):
        prepare(UNET, tiny_stack, tmp_path / "precious", settings=TINY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'"),
        ({"detectors": ["ETD"]}, "'ETD'"),
        ({"slices": 2}, "odd"),
        ({"crop": [50, 48]}, "multiples of 16"),
        ({"crop": [512, 512]}, "no larger than the slices"),
        ({"validation_fraction": 2}, "validation_fraction: 2 is not a number above 0 and below 1"),
        ({"detectors": []}, "detectors: "),
        ({"detectors": "TLD"}, "detectors: 'TLD' is not a list of texts"),
        ({"detectors": ["TLD", "TLD"]}, "give each once"),
        ({"max_epochs": 0}, "max_epochs: 0 is not an integer from 1 to 1000000"),
        ({"batch_size": 1.5}, "batch_size: 1.5 is not an integer"),
        ({"learning_rate": "fast"}, "learning_rate: 'fast' is not a number above 0 and of at most 10"),
        ({"features": [4, 8]}, "no network can be built from these settings .*length 6"),
        ({"crop": 48}, "crop: 48 is not a list of 2 integers"),
        ({"scaling": {}}, "comes from the stack"),
        ({"val_interval": 5}, "there would be no validation"),
        ({"validate::dataloader::num_workerss": 1}, "no setting"),
        ({"processes": 2}, "--processes N"),
        ({"device": "cpu"}, "give --device"),
        ({"split": 1}, "no setting 'split'"),
        (
            {"loss::terms": [{"_target_": "os.system"}]},
            r"run runs code .* give --trust .*\n  configs/train.yaml: loss::terms",
        ),
        ({"network_def::act": "PRELU"}, "follows from the network's settings"),
        ({"lr_scheduler::pct_start": 3}, "no lr_scheduler can be built .*pct_start"),
        ({"augmentation::blur::sigma_x": "wide"}, "'wide' is not a list of 2 numbers, each from 0 to 100"),
        ({"augmentation::flip_rows::spatial_axis": 7}, "spatial_axis': 7 is not a number from 0 to 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(
    settings: dict[str, Any], message: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    assert_refused(UNET, {**TINY, **settings}, message, tiny_stack, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss::terms": [{"_target_": "DiceLoss"}]}, "loss of 1 terms and 2 weights"),
        ({"loss::terms": [{"_target_": "FocalLoss"}], "loss::weights": [1]}, "no loss can be built"),
    ],
)
def test_trusted_settings_are_tried_too(
    settings: dict[str, Any], message: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(UNET, tiny_stack, tmp_path / "run", settings={**TINY, **settings}, trust=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "middel"}, "head 'middel': must be one of final, middle, all"),
        ({"head": "all"}, "choose another head"),
        ({"merge": 3}, "merge: 3 is not text"),
        ({"levels": 1}, "levels 1: must be 2 or more"),
        ({"crop": [50, 48]}, "multiples of 4"),
        ({"window": [510, 512]}, r"--set window=\[512, 512\]"),
        ({"stride": 1}, "follows from the network's settings"),
    ],
)
def test_settings_that_make_no_sensor3d_are_refused_before_anything_is_written(
    settings: dict[str, Any], message: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    assert_refused(SENSOR3D, {**TINY_SENSOR3D, **settings}, message, tiny_stack, tmp_path)


def test_a_stack_without_training_slices_is_refused(tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample")
    text = description.read_text()
    description.write_text(text[: text.index("annotations:")])
    stack = ingest(description, tmp_path / "plain.ome.zarr")
    with pytest.raises(AnnotationError, match="no train slice"):
        prepare(UNET, stack, tmp_path / "run", settings=TINY)


def test_texts_that_monai_would_read_otherwise_are_refused() -> None:
    for bad in ("a#b", "$danger", "@reference", "%macro"):
        with pytest.raises(ConfigError, match="rename"):
            check_literal({"name": [bad]})
    check_literal({"name": ["50 % sand @ 2 kV", 3]})


def test_settings_of_the_command_line_are_yaml() -> None:
    assert parse_setting("crop=[96, 96]") == ("crop", [96, 96])
    assert parse_setting("learning_rate=0.001") == ("learning_rate", 0.001)
    for bad in ("crop", "=3", "crop=[1"):
        with pytest.raises(ConfigError, match="setting"):
            parse_setting(bad)


def test_numbers_and_names_survive_monais_yaml_reader(tiny_stack: Stack, tmp_path: Path) -> None:
    """MONAI reads YAML 1.1, in which 1e-05 is a text and NO is false."""
    description = write_tiny_sample(tmp_path / "sample")
    description.write_text(description.read_text().replace("pore", "NO").replace("clinker", "1.0"))
    description.write_text(description.read_text().replace("name: 1.0", "name: '1.0'").replace("3: 1.0", "3: '1.0'"))
    stack = ingest(description, tmp_path / "odd.ome.zarr")
    prepare(UNET, stack, tmp_path / "run", settings={**TINY, "learning_rate": 1e-5})
    config = ConfigParser.load_config_file(tmp_path / "run" / "configs" / "train.yaml")
    assert config["learning_rate"] == 1e-5
    assert [phase["name"] for phase in config["phases"]] == ["NO", "hydrate", "1.0"]
    metadata = json.loads((tmp_path / "run" / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["0"] == "NO"


def test_a_run_that_is_being_trained_is_not_replaced(tiny_stack: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(UNET, tiny_stack, run, settings=TINY)
    (run / "models").mkdir()
    with lock(lock_path(run / "models" / "last.ckpt")), pytest.raises(BusyError, match="being trained"):
        prepare(UNET, tiny_stack, run, settings=TINY, overwrite=True)


def test_the_number_of_processes_is_checked_and_not_recorded(tiny_stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size 2 and 3 processes"):
        prepare(UNET, tiny_stack, tmp_path / "run", settings=TINY, processes=3)
    assert list(tmp_path.iterdir()) == []
    assert prepare(UNET, tiny_stack, tmp_path / "run", settings=TINY, processes=2)
    assert not prepare(UNET, tiny_stack, tmp_path / "run", settings=TINY)


def test_a_tracker_that_is_unknown_or_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_app.bundle.checks.find_spec", lambda _: object())
    check_tracking("mlflow")
    with pytest.raises(ConfigError, match="tracking 'wandb': choose mlflow"):
        check_tracking("wandb")
    monkeypatch.setattr("monai_app.bundle.checks.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'monai-app\[tracking\]'"):
        check_tracking("mlflow")


def test_a_phase_that_no_training_slice_shows_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    description = write_tiny_sample(tmp_path / "sample")
    for z in (1, 3, 5):
        path = tmp_path / "sample" / "annotations" / f"slice_{z}.tif"
        labels = tifffile.imread(path)
        tifffile.imwrite(path, np.where(labels == 3, 2, labels))
    stack = ingest(description, tmp_path / "poor.ome.zarr")
    prepare(UNET, stack, tmp_path / "run", settings=TINY)
    assert "no training slice contains phase 'clinker'" in caplog.text


def test_the_record_says_what_the_run_was_made_from(tiny_stack: Stack, tmp_path: Path) -> None:
    prepare(UNET, tiny_stack, tmp_path / "run", settings=TINY)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["stack"] == tiny_stack.identity
    assert record["bundle"] == "fibsem_unet_segmentation"
    assert record["settings"]["scaling"]["ICE"]["std"] > 0
