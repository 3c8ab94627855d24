"""The declaration of the training settings, and what it and the bundles say of each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monai_app.bundle.configs.templates import template_paths
from monai_app.bundle.configs.training_settings import TrainingSettings, check_settings, settings_of
from monai_app.domain.schemas import settings_table
from monai_app.errors import ConfigError

TEMPLATES = pytest.mark.parametrize("template", template_paths(), ids=lambda path: path.name)


def config_of(template: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((template / "configs" / "train.yaml").read_text())
    return config


@TEMPLATES
def test_a_bundle_holds_the_declared_defaults_and_texts(template: Path) -> None:
    config = config_of(template)
    comments = dict(re.findall(r"^(\w+):.*?  # (.*)$", (template / "configs" / "train.yaml").read_text(), re.MULTILINE))
    for row in settings_table(TrainingSettings):
        assert comments[row.name] == row.text
        if row.name != "amp":  # worked out from the device
            assert config[row.name] == row.default, row.name


@TEMPLATES
def test_every_plain_value_of_a_bundle_is_a_setting_or_comes_from_elsewhere(template: Path) -> None:
    config = config_of(template)
    elsewhere = {"bundle_root", "dataset_dir", "rank", "processes", "phases", "scaling", "dtype", "trained_on"}
    elsewhere |= {"more_stacks", "training_stacks", "stand_ins", "pretrained", "continues"}
    plain = {name for name, value in config.items() if not re.search(r"[$@]|_target_", str(value))}
    assert plain - elsewhere <= set(settings_of(config).model_fields)
    check_settings({name: config[name] for name in plain - elsewhere}, config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("device", "cpu", "give --device"),
        ("network", 1, "set those"),
        ("split", 1, "no setting 'split'"),
        ("seed", -1, "seed: -1 is not an integer from 0 to 4294967295"),
        ("seed", True, "seed: True is not an integer"),
        ("ema_momentum", 2, "ema_momentum: 2 is not a number above 0 and below 1"),
        ("dropout", -0.5, "dropout: -0.5 is not a number of at least 0 and below 1"),
        ("augmentation::gain::prob", 2, "2 is not a number from 0 to 1"),
        ("augmentation::gain::factors", "much", "'much' is not a number from 0 to 1"),
        ("loss", "dice", "set dice_weight, or loss::terms"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused_by_name(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings({name: value}, config_of(template_paths()[-1]))


def test_ten_steps_in_all_are_refused() -> None:
    """Torch's schedule would divide by the length of a warm-up that has none."""
    config = config_of(template_paths()[-1])
    with pytest.raises(ConfigError, match="with 10 steps in all"):
        check_settings({"max_epochs": 2, "steps_per_epoch": 5}, config)
    check_settings({"max_epochs": 2, "steps_per_epoch": 6}, config)
