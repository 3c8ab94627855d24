"""Phases and specifications of models for tests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import NormalizeIntensity
from torch import Tensor

from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.training_stack import ChannelStats
from monai_app.stack import Phase

PHASES = (
    Phase(value=1, name="pore", rgb=(17, 34, 51)),
    Phase(value=2, name="hydrate", rgb=(68, 85, 102)),
    Phase(value=3, name="clinker", rgb=(119, 136, 153)),
)
"""Those of the tiny stack, by name."""

SCALING = {"ICE": {"mean": 60.0, "std": 40.0}, "TLD": {"mean": 70.0, "std": 50.0}}


def phases_of(names: Sequence[str]) -> tuple[Phase, ...]:
    """Black phases of these names."""
    return tuple(Phase(value=value, name=name, rgb=(0, 0, 0)) for value, name in enumerate(names, 1))


def spec_of(
    detectors: Sequence[str] = ("ICE", "TLD"),
    slices: int = 3,
    *,
    scaling: Mapping[str, ChannelStats | Mapping[str, float]] = SCALING,
    **others: Any,
) -> ModelSpec:
    """A specification of a U-Net on the tiny stack, but for what is given."""
    plain = {"network": "BasicUNet", "stride": 16, "dtype": "uint8", "phases": PHASES, "settings": {}}
    known = {name: scaling.get(name, {"mean": 0.0, "std": 1.0}) for name in detectors}
    return ModelSpec.of(detectors=detectors, slices=slices, scaling=known, **{**plain, **others})


def normaliser(spec: ModelSpec) -> Callable[[Tensor], Tensor]:
    """Grey values of slabs (S*C, rows, columns) to the network's input, in place."""
    transform = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)
    return lambda grey: torch.as_tensor(transform(grey))
