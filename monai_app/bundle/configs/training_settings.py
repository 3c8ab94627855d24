"""The settings of a training, declared once: type, range, unit, default and text; a bundle adds its network's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, create_model, field_validator

from monai_app.bundle.configs.settings import SEPARATOR, unknown_setting
from monai_app.domain.schemas import Setting, settings_table
from monai_app.domain.slab import SliceCount
from monai_app.domain.validation import Items, Strict, validated
from monai_app.errors import ConfigError

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Sides = Annotated[tuple[Count, Count], Field(strict=False, json_schema_extra={"unit": "px"})]

NOT_SETTINGS = {
    **dict.fromkeys(
        ("phases", "scaling", "dtype", "trained_on"),
        "comes from the stack; describe the sample accordingly and ingest it",
    ),
    **dict.fromkeys(
        ("stride", "network", "network_def", "network_settings", "spec"),
        "follows from the network's settings; set those",
    ),
    **dict.fromkeys(("rank", "processes"), "follows from the number of processes; give --processes N"),
    "pretrained": "follows from --from; give that",
    "loss": "has parts; set dice_weight, or loss::terms and loss::weights",
    "augmentation": "has steps; set numbers such as augmentation::gain::prob",
    "device": "belongs to the machine, not to the model; give --device",
}
"""Ids of a bundle that are no settings, where they come from, and what to do instead."""


class TrainingSettings(Strict):
    """What every bundle's training can be told; the bundles hold the same defaults and texts."""

    detectors: Items[str] = Field(("ICE", "TLD"), min_length=1)
    """names of the detectors to learn from"""
    slices: SliceCount = 3
    """consecutive slices in the slab, odd; the middle one is segmented"""
    window: Sides = (512, 512)
    """rows and columns that a forward pass gives, multiples of the stride; a halo is read in addition"""
    amp: bool | None = None
    """mixed precision; on a CPU MONAI computes in float32 all the same"""
    seed: Natural = 0
    """the same seed, data and machine give the same weights on a CPU"""
    max_epochs: Count = 100
    """epochs of steps_per_epoch optimiser steps"""
    steps_per_epoch: Count = 100
    """optimiser steps in an epoch"""
    batch_size: Count = 8
    """crops in a step, of all processes together"""
    crop: Sides = (256, 256)
    """rows and columns of a training crop, multiples of the stride"""
    learning_rate: Positive = 0.001
    """the peak of a one-cycle schedule"""
    weight_decay: NotNegative = 0.01
    """of AdamW"""
    max_gradient_norm: NotNegative = 0.0
    """gradients are clipped to it; 0 leaves them as they are"""
    dice_weight: NotNegative = 1.0
    """of the Dice term beside the cross-entropy's 1"""
    ema_momentum: Annotated[float, Field(gt=0, le=1)] = 0.02
    """share of each step in the running average of the weights, which spans about 50 steps"""
    patience: Count = 50
    """validations without a better mean IoU before training ends early"""
    val_interval: Count = 1
    """epochs between two validations"""
    picture_interval: Count = 5
    """epochs between two pictures in TensorBoard"""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """of the labelled area, as spatial blocks"""
    validation_block: Annotated[int, Field(ge=1, json_schema_extra={"unit": "px"})] = 128
    """side of a block in pixels"""
    workers: Natural = 0
    """processes that load and augment crops; 0 loads in the training process"""

    @field_validator("detectors")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names one twice; name each once")
        return names


def settings_of(bundle: Mapping[str, Any]) -> type[TrainingSettings]:
    """Return the settings that a bundle takes: those of every bundle, and those of its network.

    Args:
        bundle: its training config, whose ``network_settings`` name the network's own and whose values are their
            defaults: numbers, texts, or lists of as many numbers.
    """
    fields: dict[str, Any] = {name: (_kind(bundle[name]), bundle[name]) for name in bundle["network_settings"]}
    return create_model("TrainingSettings", __base__=TrainingSettings, **fields)


def list_settings(bundle: Mapping[str, Any]) -> list[Setting]:
    """List every setting that a bundle's or a run's training takes, with its value there as the default."""
    rows = settings_table(settings_of(bundle))
    steps = {
        SEPARATOR.join(("augmentation", step, name)): value
        for step, values in bundle["augmentation"].items()
        for name, value in values.items()
        if all(type(each) in (int, float) for each in (value if isinstance(value, list) else [value]))
    }
    return [replace(row, default=bundle.get(row.name)) for row in rows] + [
        Setting(
            name=name,
            type="list of numbers" if isinstance(value, list) else "number",
            range="from 0 to 1" if name.endswith("prob") else "",
            unit="",
            default=value,
            text="of this step of the augmentation",
        )
        for name, value in steps.items()
    ]


def check_settings(settings: Mapping[str, Any], bundle: Mapping[str, Any]) -> None:
    """Check a user's settings against what is declared.

    Args:
        settings: config ids and values; nested ids (``augmentation::gain::prob``) are compared with the bundle's value.
        bundle: its training config.

    Raises:
        ConfigError: a setting that is unknown, belongs to the stack, or is of another kind or out of range.
    """
    for name in sorted(settings):
        whole = name.split(SEPARATOR)[0]
        if name in NOT_SETTINGS or whole in NOT_SETTINGS.keys() - {"loss", "augmentation"}:
            raise ConfigError(f"setting {name!r} {NOT_SETTINGS[whole]}")
    declared, nested = settings_of(bundle), {name for name in settings if SEPARATOR in name}
    for name in settings.keys() - nested - declared.model_fields.keys():
        raise unknown_setting(name, declared.model_fields)
    chosen = validated(declared, {name: settings[name] for name in settings.keys() - nested}, "setting")
    if chosen.val_interval > chosen.max_epochs:
        raise ConfigError(
            f"val_interval {chosen.val_interval}: with {chosen.max_epochs} epochs nothing would be validated; lower it"
        )
    for name in sorted(nested):
        _check_nested(name, settings[name], bundle)


def _kind(default: Any) -> Any:
    """Return the type of a network's setting by its default; zero is for shares such as dropout."""
    if isinstance(default, list):
        return Annotated[Items[_kind(default[0])], Field(min_length=1)]  # type: ignore[misc]
    return {bool: bool, int: Count, float: NotNegative}.get(type(default), type(default))


def _check_nested(name: str, value: Any, bundle: Mapping[str, Any]) -> None:
    """Refuse a nested setting of another kind than the bundle's own value; a missing one is told when it is written."""
    default: Any = bundle
    for part in name.split(SEPARATOR):
        default = default.get(part) if isinstance(default, Mapping) else None
    if type(default) in (int, float) and (type(value) not in (int, float) or value < 0):
        raise ConfigError(f"setting {name!r}: {value!r} is not a number of at least 0; give one, such as {default}")
    if name.endswith("prob") and type(default) is float and value > 1:
        raise ConfigError(f"setting {name!r}: {value!r} is not a probability; give one from 0 to 1")
