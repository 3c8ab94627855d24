"""How a bundle is trained again: the words of the command line, and what is refused."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from monai_app.bundle.configs.settings import parse_setting
from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.recipe import read_recipe
from monai_app.errors import ConfigError

UNET = "fibsem_unet_segmentation"


def settings_in(words: list[str]) -> dict[str, object]:
    """The settings among words of the command line."""
    return dict(parse_setting(word) for before, word in pairwise(words) if before == "--set")


def test_a_run_is_trained_again_as_it_was_and_a_bundle_in_a_size(tmp_path: Path) -> None:
    settings = {"crop": [48, 48], "ema_momentum": 1e-05, "detectors": ["ICE"], "phases": [], "pretrained": True}
    (tmp_path / "run.json").write_text(json.dumps({"bundle": UNET, "settings": settings}))
    words = read_recipe(tmp_path, "paper", {}).words({"max_epochs": 3})
    assert words[:4] == ["--bundle", UNET, "--size", "none"]
    assert settings_in(words) == {"crop": [48, 48], "ema_momentum": 1e-05, "detectors": ["ICE"], "max_epochs": 3}
    words = read_recipe(template_path(UNET), "paper", {"seed": 2}).words({})
    assert words == ["--bundle", UNET, "--size", "paper", "--set", "seed=2"]


def test_what_nobody_knows_how_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no run\.json"):
        read_recipe(tmp_path, "small", {})
    with pytest.raises(ConfigError, match="no size 'huge'"):
        read_recipe(template_path(UNET), "huge", {})
    with pytest.raises(ConfigError, match="no setting 'nonsense'"):
        read_recipe(template_path(UNET), "small", {"nonsense": 1})
