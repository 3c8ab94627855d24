"""Training settings, declared once: type, range, unit, default and description; a bundle adds its network's."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, create_model, field_validator, model_validator

from monai_app.bundle.configs.settings import SEPARATOR, unknown_setting
from monai_app.domain.schemas import Setting, settings_table
from monai_app.domain.slab import SliceCount
from monai_app.domain.validation import Items, Strict, shown, validated
from monai_app.errors import ConfigError
from monai_app.progress import counted

# Upper bounds are far above what trainings use, and below what exhausts memory or overflows.
MOST_COUNT = 1_000_000
"""Upper bound of epochs and of intervals in epochs."""

Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
NotNegative = Annotated[float, Field(ge=0, le=1_000_000)]
Side = Annotated[int, Field(ge=1, le=16_384)]
Sides = Annotated[tuple[Side, Side], Field(strict=False, json_schema_extra={"unit": "px"})]

_NO_WARM_UP = 10
"""Number of steps with a warm-up (a tenth of them) of zero length, for which torch divides by 0."""

MOST_MINUTES = 100_000
"""Upper bound of a training's minutes: 69 days."""

MOST_STEPS = 100_000
"""In an epoch."""

MOST_CROPS = 10_000_000
"""Upper bound of crops in an epoch, whose order is kept in memory."""

_LIMITS = {
    "factors": (0, 1),  # a gain of 0 is black, and below it grey values are inverted
    "magnitude_range": (0, 1000),
    "num_workers": (0, 256),
    "offsets": (0, 100),
    "prob": (0, 1),
    "rotate_range": (0, 6.3),
    "scale_range": (0, 0.9),  # at 1 a crop shrinks to zero
    "sigma_x": (0, 100),
    "sigma_y": (0, 100),
    "spacing": (1, 1000),
    "spatial_axis": (0, 1),
    "std": (0, 100),
}
"""Minimum and maximum of a nested setting, by the last part of its id."""

_OTHER_LIMITS = (0, 1_000_000)

NOT_SETTINGS = {
    **dict.fromkeys(
        ("phases", "scaling", "dtype", "trained_on", "training_stacks"),
        "comes from the stack; describe the sample accordingly and ingest it",
    ),
    **dict.fromkeys(
        ("stride", "network", "network_def", "network_settings", "spec"),
        "follows from the network's settings; set those",
    ),
    **dict.fromkeys(("rank", "processes"), "follows from the number of processes; give --processes N"),
    "stand_ins": "applies to segmentation and evaluation; give --detector there",
    "pretrained": "follows from --from; give that",
    "continues": "follows from --epochs or --minutes beyond those of a finished run; give these",
    "loss": "has several parts; set dice_weight, or loss::terms and loss::weights",
    "augmentation": "has several steps; set numbers such as augmentation::gain::prob",
    "device": "belongs to the machine, not to the model; give --device",
}
"""Ids of a bundle that are not settings: where they come from, and what to do instead."""


class TrainingSettings(Strict):
    """Settings of every bundle's training; the bundles contain the same defaults and descriptions."""

    detectors: Items[str] = Field(("ICE", "TLD"), min_length=1)
    """names of the detectors to learn from"""
    slices: SliceCount = 3
    """consecutive slices in the slab, odd; the middle one is segmented"""
    window: Sides = (512, 512)
    """rows and columns that a forward pass gives, multiples of the stride; a halo is read in addition"""
    scaling_of: Literal["common", "stack"] = "common"
    """common to all training stacks, or stack: each by its own grey values"""
    balanced: bool = True
    """crops come from every training stack equally often; false: from every annotated slice"""
    amp: bool | None = None
    """mixed precision; on a CPU MONAI computes in float32 all the same"""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """the same seed, data and machine give the same weights on a CPU"""
    max_epochs: Count = 100
    """epochs of steps_per_epoch optimiser steps"""
    minutes: Annotated[float, Field(gt=0, le=MOST_MINUTES)] | None = None
    """of the training itself: epochs and schedule follow the clock; null: max_epochs is the number"""
    pace: Items[Annotated[tuple[Count, Count], Field(strict=False)]] | None = None
    """pairs: epochs done, epochs planned in all from then on; repeats a training that followed the clock"""
    steps_per_epoch: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 100
    """optimiser steps in an epoch"""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    """crops in a step, of all processes together"""
    crop: Sides = (256, 256)
    """rows and columns of a training crop, multiples of the stride"""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    """the peak of a one-cycle schedule"""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.01
    """of AdamW"""
    max_gradient_norm: NotNegative = 0.0
    """gradients are clipped to it; 0 leaves them as they are"""
    dice_weight: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """of the Dice term beside the cross-entropy's 1"""
    ema_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """share of each step in the running average of the weights, which spans about 50 steps"""
    patience: Count = 50
    """validations without a better mean IoU before training ends early"""
    val_interval: Count = 1
    """epochs between two validations"""
    picture_interval: Count = 5
    """epochs between two pictures in TensorBoard"""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """of the labelled area, as spatial blocks; less where that is over validation_pixels"""
    validation_pixels: Annotated[int, Field(ge=1, le=2**40)] | None = 2**20
    """labelled pixels of a stack that validate at most, but for parts of a block; null: no limit"""
    validation_block: Annotated[int, Field(ge=1, le=16_384, json_schema_extra={"unit": "px"})] = 128
    """side of a block in pixels"""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """processes that load and augment crops; 0 loads in the training process"""

    @field_validator("detectors")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("contains a name twice; give each once")
        return names

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.val_interval > self.max_epochs:
            raise ConfigError(
                f"val_interval {self.val_interval}: with {counted(self.max_epochs, 'epoch')} there would be no "
                "validation; lower it"
            )
        crops = self.steps_per_epoch * self.batch_size
        if crops > MOST_CROPS:
            raise ConfigError(
                f"steps_per_epoch {self.steps_per_epoch} x batch_size {self.batch_size}: an epoch has at most "
                f"{MOST_CROPS} crops; lower steps_per_epoch, and raise max_epochs"
            )
        if self.max_epochs * self.steps_per_epoch == _NO_WARM_UP:
            raise ConfigError(
                f"max_epochs {self.max_epochs} x steps_per_epoch {self.steps_per_epoch}: with {_NO_WARM_UP} steps in "
                "all, the warm-up of the learning rate would have length 0; give one step more or less"
            )
        return self


def settings_of(bundle: Mapping[str, Any]) -> type[TrainingSettings]:
    """Return the settings of a bundle: those of every bundle, and those of its network.

    Args:
        bundle: its training config; ``network_settings`` names those of the network, whose values in the config are the
        defaults: numbers, strings, or lists of numbers.
    """
    return _with_network(json.dumps({name: bundle[name] for name in bundle["network_settings"]}))


@cache
def _with_network(defaults: str) -> type[TrainingSettings]:
    """Add a network's settings; cached because pydantic takes long to create a model."""
    fields: dict[str, Any] = {name: (_kind(name, value), value) for name, value in json.loads(defaults).items()}
    return create_model("TrainingSettings", __base__=TrainingSettings, **fields)


def list_settings(bundle: Mapping[str, Any]) -> list[Setting]:
    """List every setting of a bundle's or a run's training, with its value there as the default."""
    rows = settings_table(settings_of(bundle))
    steps = {
        SEPARATOR.join(("augmentation", step, name)): value
        for step, values in bundle["augmentation"].items()
        for name, value in values.items()
        if _is_numeric(value)
    }
    return [replace(row, default=bundle.get(row.name)) for row in rows] + [
        Setting(
            name=name,
            type="list of numbers" if isinstance(value, list) else "number",
            range=("each " if isinstance(value, list) else "") + "from {:g} to {:g}".format(*_limits(name)),
            unit="",
            default=value,
            text="parameter of this augmentation step",
        )
        for name, value in steps.items()
    ]


def check_settings(settings: Mapping[str, Any], bundle: Mapping[str, Any]) -> None:
    """Check a user's settings against the declarations.

    Args:
        settings: config ids and values; nested ids (``augmentation::gain::prob``) are compared with the bundle's value.
        bundle: its training config.

    Raises:
        ConfigError: a setting is unknown, belongs to the stack, or has the wrong type or range.
    """
    for name in sorted(settings):
        whole = name.split(SEPARATOR)[0]
        if name in NOT_SETTINGS or whole in NOT_SETTINGS.keys() - {"loss", "augmentation"}:
            raise ConfigError(f"setting {name!r} {NOT_SETTINGS[whole]}")
    declared, nested = settings_of(bundle), {name for name in settings if SEPARATOR in name}
    for name in settings.keys() - nested - declared.model_fields.keys():
        raise unknown_setting(name, declared.model_fields)
    validated(declared, {name: settings[name] for name in settings.keys() - nested}, "setting")
    for name in sorted(nested):
        _check_nested(name, settings[name], bundle)


def _kind(name: str, default: Any) -> Any:
    """Return the type of a network's setting by its name and default."""
    if isinstance(default, list):
        return Annotated[Items[_kind(name, default[0])], Field(min_length=1)]  # type: ignore[misc]
    if name == "dropout":  # at 1 all would be dropped
        return Annotated[float, Field(ge=0, lt=1)]
    return {bool: bool, int: Annotated[int, Field(ge=1, le=16_384)], float: NotNegative}.get(
        type(default), type(default)
    )


def _check_nested(name: str, value: Any, bundle: Mapping[str, Any]) -> None:
    """Refuse a nested number, or list of numbers, whose type differs from the bundle's or that is out of range.

    An unknown id is reported when settings are written.
    """
    default: Any = bundle
    for part in name.split(SEPARATOR):
        default = default.get(part) if isinstance(default, Mapping) else None
    if not _is_numeric(default):
        return
    least, most = _limits(name)
    many = isinstance(default, list)
    alike = _is_numeric(value) and isinstance(value, list) == many and (not many or len(value) == len(default))
    if not alike or not all(least <= each <= most for each in _numbers(value)):  # NaN neither
        rule = f"a list of {len(default)} numbers, each" if many else "a number"
        raise ConfigError(
            f"setting {name!r}: {shown(value)} is not {rule} from {least:g} to {most:g}; give one, such as {default}"
        )


def _limits(name: str) -> tuple[float, float]:
    return _LIMITS.get(name.split(SEPARATOR)[-1], _OTHER_LIMITS)


def _is_numeric(value: Any) -> bool:
    return value != [] and all(type(each) in (int, float) for each in _numbers(value))


def _numbers(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]
