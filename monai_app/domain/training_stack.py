"""What a model records about its training stacks, and how another stack differs from all of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field

from monai_app.domain.validation import Items, Strict, Text

MOST_VOXEL_RATIO = 1.5
"""Larger ratios of voxel sizes cause a warning: structures are then that much larger or smaller in pixels."""

MOST_GREY_DISTANCE = 0.5
"""Larger distances of grey values cause a warning; in standard deviations of the training data.

Training shifts and stretches grey values at random by up to 0.15 of it (``augmentation::offset`` and ``gain``), so a
model knows differences of about 0.3.
"""

QUANTILES = 16
"""Quantiles that represent a histogram: the centres of equal parts."""

_Positive = Annotated[float, Field(gt=0)]
_Range = Annotated[tuple[float, float], Field(strict=False)]
_Value = TypeVar("_Value")


class ChannelStats(Strict):
    """A detector's statistics: grey value ``mean`` becomes 0 and ``mean + std`` becomes 1."""

    mean: float
    std: _Positive


class TrainingStack(Strict):
    """A stack that a model was trained on.

    Attributes:
        name: of its store, for display.
        identity: at ingestion.
        voxel_nm: voxel size z, y, x in nm.
        greys: per detector the `QUANTILES` quantiles of its grey values, ascending.
        scaling: per detector its own statistics, if the model scales each stack by its own grey values.
        appearance: minimum and maximum over its training slices, per detector and measure (`Ranges`); None for models
        of earlier versions.
    """

    name: Text
    identity: str
    voxel_nm: Annotated[tuple[_Positive, _Positive, _Positive], Field(strict=False)]
    greys: dict[str, Annotated[Items[float], Field(min_length=QUANTILES, max_length=QUANTILES)]]
    scaling: dict[str, ChannelStats] | None = None
    appearance: dict[str, dict[str, _Range]] | None = None

    def renamed(self, names: Mapping[str, str]) -> "TrainingStack":
        """Return it with detectors renamed."""
        return self.replaced(
            greys=_renamed(self.greys, names),
            scaling=self.scaling and _renamed(self.scaling, names),
            appearance=self.appearance and _renamed(self.appearance, names),
        )


def _renamed(values: Mapping[str, _Value], names: Mapping[str, str]) -> dict[str, _Value]:
    return {names.get(name, name): value for name, value in values.items()}


def voxel_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest ratio of two voxel sizes (z, y, x) along an axis; 1 if they are equal."""
    return max(max(a / b, b / a) for a, b in zip(one, other, strict=True))


def grey_distance(one: Sequence[float], other: Sequence[float], std: float) -> float:
    """Return the distance of two distributions of grey values, in standard deviations.

    It is the Wasserstein distance of order 1 (doi 10.1023/A:1026543900054) of distributions that are given by equal
    numbers of quantiles.

    Example:
        >>> grey_distance([10, 20, 30], [15, 25, 35], std=10)
        0.5
    """
    return float(np.abs(np.subtract(one, other)).mean() / std)


def voxel_text(voxel_nm: Sequence[float]) -> str:
    """Format a voxel size for display."""
    return " x ".join(f"{side:g}" for side in voxel_nm) + " nm"


def differences(known: Sequence[TrainingStack], scaling: Mapping[str, ChannelStats], other: TrainingStack) -> list[str]:
    """Return how a stack differs from all training stacks of a model, one line per difference.

    Args:
        known: the stacks that it was trained on; if empty, nothing is compared.
        scaling: of the model; its standard deviations are the unit of grey values.
        other: the stack that it is applied to.
    """
    if not known or other.identity in [each.identity for each in known]:
        return []
    warnings = []
    nearest = min(known, key=lambda each: voxel_ratio(each.voxel_nm, other.voxel_nm))
    if (ratio := voxel_ratio(nearest.voxel_nm, other.voxel_nm)) > MOST_VOXEL_RATIO:
        warnings.append(
            f"the voxels of {other.name} are {voxel_text(other.voxel_nm)} (z, y, x) and those of {nearest.name}, which "
            f"the model was trained on, {voxel_text(nearest.voxel_nm)}: up to a factor of {ratio:.3g} in size, so "
            "structures have other sizes in pixels than in training"
        )
    for name, stats in scaling.items():
        near = {each.name: grey_distance(each.greys[name], other.greys[name], stats.std) for each in known}
        closest = min(near, key=lambda each: near[each])
        if near[closest] > MOST_GREY_DISTANCE:
            warnings.append(
                f"the grey values of {name} in {other.name} differ from those in {closest}, which the model was "
                f"trained on: {near[closest]:.2f} standard deviations ({stats.std:g}) on average, and more "
                f"than {MOST_GREY_DISTANCE:g} exceeds the variation in training"
            )
    return warnings
