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
"""Number of steps for which the warm-up, a tenth of them, has zero length; torch then divides by 0."""

MOST_MINUTES = 100_000
"""Upper bound of a training's minutes: 69 days."""

MOST_STEPS = 100_000
"""Upper bound of the steps in an epoch."""

MOST_CROPS = 10_000_000
"""Upper bound of crops in an epoch, whose order is kept in memory."""

_NESTED: Mapping[str, tuple[float, float, str]] = {
    "factors": (0, 1, "largest relative change of the grey values"),  # a gain of 0 is black, and below it they invert
    "magnitude_range": (0, 1000, "smallest and largest standard deviation of the shifts of grid nodes, in pixels"),
    "num_workers": (0, 256, "processes that load data"),
    "offsets": (0, 100, "largest shift of the scaled grey values, up or down"),
    "prob": (0, 1, "probability that a crop is changed"),
    "rotate_range": (0, 6.3, "largest rotation in either direction, in radians"),
    "scale_range": (0, 0.9, "largest relative change of height and width"),  # at 1 a crop shrinks to zero
    # MONAI's x is the first axis.
    "sigma_x": (0, 100, "smallest and largest standard deviation of the blur along y, in pixels"),
    "sigma_y": (0, 100, "smallest and largest standard deviation of the blur along x, in pixels"),
    "spacing": (1, 1000, "distance between grid nodes along rows and columns, in pixels"),
    "spatial_axis": (0, 1, "flipped axis: 0 is y, 1 is x"),
    "std": (0, 100, "largest standard deviation of the noise, in scaled grey values"),
}
"""Minimum, maximum and description of a nested setting, by the last part of its id."""

_OTHER_NESTED = (0, 1_000_000, "parameter of this augmentation step")

_OF_NETWORKS = {
    "features": "number of filters per level from fine to coarse, then of the last layer",
    "patch": "side of the squares of pixels that the network works on; 2 doubles its view at a quarter of the cost",
    "dropout": "probability that an activation is dropped in training",
    "levels": "number of resolution levels",
    "filters": "number of filters at full resolution, doubled at every level",
    "head": "classified states of the LSTM: final (of both directions) or middle (of the middle slice)",
    "merge": "combination of the two directions: sum or concat",
    "gate_activation": "activation of the gates: hard_sigmoid (of Keras 2) or sigmoid",
    "norm": "normalisation: none or batch",
}
"""Descriptions of the settings of the package's networks."""

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
    """names of the detectors to train on"""
    slices: SliceCount = 3
    """consecutive slices in a slab, an odd number; the middle slice is segmented"""
    window: Sides = (512, 512)
    """rows and columns segmented per forward pass, multiples of the stride; a halo is read around them"""
    scaling_of: Literal["common", "stack"] = "common"
    """whose grey values set the scaling: common (all training stacks) or stack (each its own)"""
    balanced: bool = True
    """true: crops come equally often from every training stack; false: from every annotated slice"""
    amp: bool | None = None
    """mixed precision on a GPU; a CPU always uses float32"""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """random seed; on a CPU, the same seed, data and machine give the same weights"""
    max_epochs: Count = 100
    """number of epochs, of steps_per_epoch optimiser steps each"""
    minutes: Annotated[float, Field(gt=0, le=MOST_MINUTES)] | None = None
    """time limit of the training, to which epochs and learning rate are adjusted; null: max_epochs applies"""
    pace: Items[Annotated[tuple[Count, Count], Field(strict=False)]] | None = None
    """repeats a training with a time limit: pairs of epochs done and epochs planned in total from then on"""
    steps_per_epoch: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 100
    """optimiser steps per epoch"""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    """crops per step, in all processes together"""
    crop: Sides = (256, 256)
    """rows and columns of a training crop, multiples of the stride"""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    """peak learning rate of the one-cycle schedule"""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.01
    """weight decay of AdamW"""
    max_gradient_norm: NotNegative = 0.0
    """norm to which gradients are clipped; 0: no clipping"""
    dice_weight: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """weight of the Dice loss; the cross-entropy has weight 1"""
    ema_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """weight of a step in the running average of the weights; 0.02 averages about 50 steps"""
    patience: Count = 50
    """validations without a higher mean IoU after which training stops early"""
    val_interval: Count = 1
    """epochs between validations"""
    picture_interval: Count = 5
    """epochs between pictures in TensorBoard"""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """share of the labelled area used for validation, in blocks; validation_pixels may lower it"""
    validation_pixels: Annotated[int, Field(ge=1, le=2**40)] | None = 2**20
    """approximate maximum of labelled pixels per stack used for validation; null: no limit"""
    validation_block: Annotated[int, Field(ge=1, le=16_384, json_schema_extra={"unit": "px"})] = 128
    """side of a validation block"""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """processes that load and augment crops; 0: the training process does"""

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
    fields: dict[str, Any] = {
        name: (_kind(name, value), Field(value, description=_OF_NETWORKS.get(name)))
        for name, value in json.loads(defaults).items()
    }
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
            range=("each " if isinstance(value, list) else "") + "from {:g} to {:g}".format(*_nested(name)[:2]),
            unit="",
            default=value,
            text=_nested(name)[2],
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
    least, most, _ = _nested(name)
    many = isinstance(default, list)
    alike = _is_numeric(value) and isinstance(value, list) == many and (not many or len(value) == len(default))
    if not alike or not all(least <= each <= most for each in _numbers(value)):  # NaN neither
        rule = f"a list of {len(default)} numbers, each" if many else "a number"
        raise ConfigError(
            f"setting {name!r}: {shown(value)} is not {rule} from {least:g} to {most:g}; give one, such as {default}"
        )


def _nested(name: str) -> tuple[float, float, str]:
    return _NESTED.get(name.split(SEPARATOR)[-1], _OTHER_NESTED)


def _is_numeric(value: Any) -> bool:
    return value != [] and all(type(each) in (int, float) for each in _numbers(value))


def _numbers(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]
