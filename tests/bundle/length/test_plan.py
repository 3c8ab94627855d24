"""Epochs, steps and sizes that are chosen by the time, given what a training costs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.configs.training_settings import TrainingSettings
from monai_app.bundle.length import size as sizes
from monai_app.bundle.length.measurement import Measurement
from monai_app.bundle.length.plan import check_length, plan
from monai_app.bundle.length.size import cheapest_size, larger_size
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.training.length.pace import AFTERWARDS, seconds_of

UNET = "fibsem_unet_segmentation"
CPU = Measurement("cpu", start=3.0, step=0.8, validation=2.0, memory=2**31, disk=2**25)


def seconds_planned(found: Measurement, planned: Mapping[str, Any]) -> float:
    epoch = planned["steps_per_epoch"] * found.step
    return seconds_of(planned["max_epochs"], epoch, found.validation, planned["val_interval"])


@pytest.mark.parametrize("minutes", [1.0, 10.0, 600.0])
@pytest.mark.parametrize("step", [0.01, 0.8])
@pytest.mark.parametrize("validation", [0.05, 2.0])
def test_a_plan_takes_the_time_and_validates_in_a_tenth_of_it(minutes: float, step: float, validation: float) -> None:
    found, spent = replace(CPU, step=step, validation=validation), 8.0
    planned = plan(found, minutes, spent, {}, 8)
    taken = spent + found.start + seconds_planned(found, planned) + AFTERWARDS * validation
    assert taken / 60 == pytest.approx(minutes, rel=0.04)
    assert planned["minutes"] == pytest.approx(minutes - spent / 60, abs=1e-4)
    assert planned["max_epochs"] // planned["val_interval"] * validation < 0.11 * 60 * minutes


def test_what_the_user_chose_stays() -> None:
    given = {"steps_per_epoch": 30, "patience": 5}
    planned = plan(CPU, 10, 0, given, 8)
    assert planned.keys() == {"minutes", "max_epochs", "val_interval"}
    assert seconds_planned(CPU, {**planned, **given}) == pytest.approx(600 - 7, rel=0.04)


@pytest.mark.parametrize(("minutes", "step", "batch"), [(2880, 0.02, 8), (100_000, 0.05, 4096), (100_000, 0.001, 1)])
def test_a_plan_keeps_the_bounds_of_the_settings(minutes: float, step: float, batch: int) -> None:
    planned = plan(replace(CPU, step=step), minutes, 0, {}, batch)
    TrainingSettings(**planned, batch_size=batch)
    assert planned["steps_per_epoch"] * step <= 15 * 60


def test_more_epochs_than_any_training_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"minutes 100000 and steps_per_epoch 1: \d+ epochs, of at most 1000000"):
        plan(replace(CPU, step=0.02, validation=1.0), 100_000, 0, {"steps_per_epoch": 1}, 8)


def test_too_few_minutes_are_refused_with_the_least_that_would_do() -> None:
    with pytest.raises(ConfigError, match=r"minutes 0\.3: 0\.8 s a step .* give at least 0\.5") as refused:
        plan(CPU, 0.3, 8, {}, 8)
    least = float(str(refused.value).rsplit(" ", 1)[1])
    assert plan(CPU, least, 8, {}, 8)["max_epochs"] > 0


@pytest.mark.parametrize(
    ("minutes", "settings", "size", "message"),
    [
        (0.0, {}, "small", "above 0"),
        (float("nan"), {}, "small", "above 0"),
        (1e9, {}, "small", "at most 100000"),
        (5.0, {"max_epochs": 3}, "small", "minutes 5 and max_epochs 3"),
        (None, {}, "auto", "give --minutes"),
    ],
)
def test_lengths_that_say_nothing_or_two_things_are_refused(
    minutes: float | None, settings: dict[str, Any], size: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_length(minutes, settings, size)


def test_the_cheapest_size_has_a_crop_that_fits_the_slices(tiny_stack: Stack) -> None:
    name, settings = cheapest_size(UNET, [tiny_stack], {"seed": 3})
    assert name == "small"
    assert settings == {"crop": [96, 80], "seed": 3}
    assert cheapest_size(UNET, [tiny_stack], {"crop": [48, 48]})[1] == {"crop": [48, 48]}


@pytest.mark.parametrize(
    ("cheap", "large", "minutes", "chosen", "says"),
    [
        (0.8, None, 10, 16, "by its number of operations, too long to try"),
        (0.02, 0.15, 10, 64, "size paper is chosen"),
        (0.02, 1.5, 10, 16, "so 400 steps at most"),
    ],
)
def test_the_largest_size_that_makes_enough_steps_is_chosen(
    cheap: float,
    large: float | None,
    minutes: float,
    chosen: int,
    says: str,
    tiny_stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    small = sizes.sizes_by_work(UNET, read_config(template_path(UNET) / "configs" / "train.yaml"))["small"]

    def measured(run: Path, overrides: Mapping[str, Any]) -> Measurement:
        assert large is not None
        assert overrides["features"][0] == 64
        return replace(CPU, step=large)

    monkeypatch.setattr(sizes, "measure", measured)
    cheapest = {**read_config(template_path(UNET) / "configs" / "train.yaml"), **small, "crop": [96, 80]}
    monkeypatch.setattr(sizes, "read_config", lambda _: cheapest)
    monkeypatch.setattr(sizes, "free_bytes", lambda _: 2**40)
    found = replace(CPU, step=cheap)
    settings, cost = larger_size(
        template_path(UNET), found, UNET, [tiny_stack], {}, {"seed": 1}, 60 * minutes, told.append
    )
    assert settings.get("features", [16])[0] == chosen
    assert cost.step == (large if chosen == 64 else cheap)
    assert any(says in line for line in told), told


def test_a_size_that_does_not_fit_the_memory_is_not_tried(tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(sizes, "free_bytes", lambda _: 2**27)
    settings, _ = larger_size(template_path(UNET), CPU, UNET, [tiny_stack], {}, {}, 6e6, told.append)
    assert settings == {}
    assert "GiB of memory" in told[0]
