"""Values that would fill the machine, overflow or make nonsense are refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from monai_app.bundle.configs.settings import parse_setting
from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.configs.training_settings import check_settings
from monai_app.bundle.launch import check_processes
from monai_app.bundle.run_folder import prepare
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.yamlfile import read_yaml
from tests.conftest import TINY, TINY_SENSOR3D

UNET, SENSOR3D = (template_path(f"fibsem_{name}_segmentation") for name in ("unet", "sensor3d"))
BUNDLE: dict[str, Any] = read_yaml(UNET / "configs" / "train.yaml")


@pytest.mark.parametrize(
    "text",
    [
        *("max_epochs=1000000000000000000000", "steps_per_epoch=1000000000", "batch_size=1000000", "workers=5000"),
        *("patience=99999999999999999999", "picture_interval=99999999999999", "val_interval=99999999999"),
        *("seed=12345678901234567890123", "seed=4294967296", "learning_rate=1e308", "learning_rate=.inf"),
        *("weight_decay=1e300", "max_gradient_norm=1e300", "dice_weight=1e300", "ema_momentum=5", "ema_momentum=1"),
        *("dropout=1", "crop=[[48, 48], [48, 48]]", "crop=[48]", "crop=[1000000, 48]", "window=[1600000000, 16]"),
        *("validation_block=100000", "slices=1001", "features=[1000000, 4, 4, 4, 4, 4]"),
        *("augmentation::deform::scale_range=[5, 5]", "augmentation::deform::scale_range=[.nan, 0.1]"),
        *("augmentation::deform::scale_range=5", "augmentation::deform::scale_range=[0.1]"),
        *("augmentation::deform::spacing=[0, 0]", "augmentation::deform::magnitude_range=[0, much]"),
        *("augmentation::deform::rotate_range=100", "augmentation::deform::prob=7", "augmentation::gain::factors=.nan"),
        *("augmentation::blur::sigma_x=[1.0e+9, 1]", "validate::dataloader::num_workers=5000"),
    ],
)
def test_a_setting_out_of_bounds_is_refused_with_value_and_rule(text: str) -> None:
    name, value = parse_setting(text)
    with pytest.raises(ConfigError, match=rf"{name.split('::')[-1]}\b.* is not an? .*(from|above|at least) .*; "):
        check_settings({name: value}, BUNDLE)


def test_bounds_allow_real_trainings() -> None:
    large = {"max_epochs": 10_000, "batch_size": 256, "workers": 64, "learning_rate": 1.0, "crop": [4096, 4096]}
    check_settings({**large, "seed": 2**32 - 1, "augmentation::deform::scale_range": [0.5, 0.5]}, BUNDLE)


def test_an_epoch_of_too_many_crops_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"steps_per_epoch 100000 x batch_size 4096: .* at most 10000000 crops; lower"
    ):
        check_settings({"steps_per_epoch": 100_000, "batch_size": 4096}, BUNDLE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed=" + "9" * 5000, "a value that is too long"),
        ("crop=" + "[" * 20_000, "more than 50 levels"),
        ("crop=[96", "is not valid YAML"),
    ],
)
def test_a_value_that_yaml_cannot_take_is_refused_in_a_short_message(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^setting '\w+=.* {message}") as caught:
        parse_setting(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("template", "settings", "message"),
    [
        (UNET, {**TINY, "slices": 9}, r"slices 9: .* has 8 slices, which is the most a slab can have; lower it"),
        (UNET, {**TINY, "features": [16_384] * 6}, r"million weights, which take \d+ GiB to train, and this machine"),
        (
            SENSOR3D,
            {**TINY_SENSOR3D, "levels": 9, "filters": 1},
            "multiples of 256 .*; use a network with fewer levels",
        ),
        (SENSOR3D, {**TINY_SENSOR3D, "levels": 12, "filters": 1}, "stride is 2048 px, above the maximum of 1024 px"),
        (SENSOR3D, {**TINY_SENSOR3D, "levels": 100}, "stride is 633825300114114700748351602688 px, above the maximum"),
    ],
)
def test_what_the_stack_or_the_machine_cannot_hold_is_refused(
    template: Path, settings: dict[str, Any], message: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(template, tiny_stack, tmp_path / "run", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_inside_the_store_is_refused(tiny_stack: Stack) -> None:
    for folder in (tiny_stack.path / "run", tiny_stack.path / "labels" / "run", tiny_stack.path / "new" / "run"):
        with pytest.raises(ConfigError, match=r"lies in the store .*tiny\S*; choose a place outside it"):
            prepare(UNET, tiny_stack, folder, settings=TINY)
        assert not folder.exists()


@pytest.mark.parametrize("processes", [0, -1, 5000])
def test_a_number_of_processes_out_of_bounds_is_refused(processes: int) -> None:
    with pytest.raises(ConfigError, match=f"processes {processes}: must be 1 or more, and at most 256"):
        check_processes(processes)
