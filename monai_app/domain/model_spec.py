"""What a model takes and gives: one declaration for configs, metadata.json, exported files and the programs here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.slab import SliceCount
from monai_app.domain.validation import Items, Strict, validated
from monai_app.errors import AnnotationError, ConfigError, StackError

KEY = "model_description"
"""The specification's key in metadata.json."""

_Positive = Annotated[float, Field(gt=0)]


class ChannelStats(Strict):
    """A detector's statistics: grey value ``mean`` becomes 0 and ``mean + std`` becomes 1."""

    mean: float
    std: _Positive


class Definition(Strict):
    """How a network is built: by name, and with arguments that are JSON values.

    Attributes:
        name: of its class, with the module where it is not one of ``monai.networks.nets``.
        arguments: all that a config gives it, worked out.
    """

    name: str
    arguments: dict[str, Any]


class Images(Protocol):
    """The part of a stack that decides whether a model can be applied to it."""

    path: Path
    detectors: tuple[str, ...]
    dtype: np.dtype[np.integer]


class ModelSpec(Strict):
    """How a model's input is made of grey values, and what its output means.

    The input is (B, S*C, H, W) float32, ``(grey - channel_mean) / channel_std`` channel by channel, H and W multiples
    of the stride; the output is (B, K, H, W), logits of the phases in their order. Other entries than these may stand
    in the JSON; they are ignored.

    Attributes:
        network: name of the network's class.
        detectors: names of the C detectors, in channel order.
        slices: odd number S of consecutive slices in a slab.
        stride: the network's, in pixels.
        channel_name: of every channel of the input, slice-major: ``z-1:ICE``, ``z-1:TLD``, ``z:ICE``, ...
        channel_mean: grey value of each channel that becomes 0; the same in every slice.
        channel_std: step in grey values of each channel that becomes 1; the same in every slice.
        dtype: type of the pixels that mean and std were measured on.
        phases: the K phases.
        settings: what else decides the network's function, for instance the head (JSON values).
        definition: how the network is built; None in a config, which builds it itself, and in what earlier versions
            wrote.
        halo: pixels to read around a core, multiples of the stride, so that its logits are those of the whole slice;
            None where it was not measured.
        maps: float32 values that the network holds per pixel at its peak; None where they were not counted.
    """

    model_config = ConfigDict(extra="ignore")

    network: str
    detectors: Annotated[Items[str], Field(min_length=1)]
    slices: SliceCount
    stride: Annotated[int, Field(ge=1)]
    channel_name: Items[str]
    channel_mean: Items[float]
    channel_std: Items[_Positive]
    dtype: Literal["uint8", "uint16"]
    phases: Annotated[Items[Phase], Field(min_length=1)]
    settings: dict[str, Any]
    definition: Definition | None = None
    halo: Annotated[int, Field(ge=0)] | None = None
    maps: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_phases(self.phases)
        names = channel_names(self.detectors, self.slices)
        if list(self.channel_name) != names:
            raise ValueError(
                f"channel_name {list(self.channel_name)}: must be {names}, by the detectors and slices {self.slices}"
            )
        for name in ("channel_mean", "channel_std"):
            values = getattr(self, name)
            if values != values[: len(self.detectors)] * self.slices:
                raise ValueError(
                    f"{name} {list(values)}: must have {len(names)} numbers, those of {', '.join(self.detectors)} "
                    f"{self.slices} times"
                )
        if self.halo is not None and self.halo % self.stride:
            raise ValueError(f"halo {self.halo}: must be a multiple of the stride {self.stride}")
        return self

    @classmethod
    def of(cls, *, detectors: Sequence[str], slices: int, scaling: Mapping[str, Any], **others: Any) -> Self:
        """Make the specification of what a config says.

        Args:
            detectors: names of the C detectors, in channel order.
            slices: odd number S of consecutive slices in a slab.
            scaling: `ChannelStats` per detector, or a mapping of mean and std.
            others: the other attributes.

        Raises:
            ConfigError: a value that breaks its rule, or a detector without mean and std.
        """
        missing = [name for name in detectors if name not in scaling]
        if missing:
            raise ConfigError(
                f"no scaling for detector {missing[0]!r}: the model needs mean and std of each of its detectors "
                f"({', '.join(detectors)}); add it under 'scaling'"
            )
        stats = [validated(ChannelStats, scaling[name], f"scaling: {name}") for name in detectors]
        count = slices if isinstance(slices, int) else 0
        channels = {
            "channel_name": channel_names(detectors, count),
            "channel_mean": [each.mean for each in stats] * count,
            "channel_std": [each.std for each in stats] * count,
        }
        return validated(cls, {**others, "detectors": detectors, "slices": slices, **channels}, "model")

    @classmethod
    def from_json(cls, content: Any, source: str) -> Self:
        """Read what `to_json` made.

        Args:
            content: the JSON object.
            source: what it was read from, for messages.

        Raises:
            ConfigError: an entry is missing or breaks its rule.
        """
        if not isinstance(content, Mapping):
            raise ConfigError(f"{source} has no {KEY} in its metadata; write it with `monai-app export RUN`")
        return validated(cls, content, f"{source}: {KEY}", "write it again with `monai-app export RUN`")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what was not measured is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def scaling(self) -> dict[str, ChannelStats]:
        """Mean and std per detector, in grey values."""
        pairs = zip(self.detectors, self.channel_mean, self.channel_std, strict=False)
        return {name: ChannelStats(mean=mean, std=std) for name, mean, std in pairs}

    @property
    def phase_names(self) -> list[str]:
        """The phases' names, in the order of their values."""
        return [phase.name for phase in self.phases]

    def check_stack(self, stack: Images) -> None:
        """Check that the model can be applied to a stack.

        Raises:
            ConfigError: the stack lacks a detector.
            StackError: its pixels are of another type.
        """
        missing = [name for name in self.detectors if name not in stack.detectors]
        if missing:
            raise ConfigError(
                f"detector {missing[0]!r} of the model does not exist in {stack.path}, which has "
                f"{', '.join(stack.detectors)}; use a model of these detectors"
            )
        self.check_dtype(stack.dtype, stack.path)

    def check_dtype(self, dtype: np.dtype[Any], source: Path) -> None:
        """Check that pixels are of the type that the model was trained on.

        Raises:
            StackError: they are not.
        """
        if dtype != self.dtype:
            raise StackError(
                f"the pixels of {source} are {dtype}, the model was trained on {self.dtype}: the same grey would have "
                "another value; convert the images, or use a model trained on such pixels"
            )

    def check_phases(self, phases: Sequence[Phase], source: Path) -> None:
        """Check that labels mean the same to the model and to a stack.

        Raises:
            AnnotationError: the phases differ in name or order.
        """
        found = [phase.name for phase in phases]
        if found != self.phase_names:
            raise AnnotationError(
                f"the phases of {source} are {found}, the model's are {self.phase_names}: they must agree in name and "
                "order; use a model trained on these phases, or ingest the annotations with the model's"
            )


def channel_names(detectors: Sequence[str], slices: int) -> list[str]:
    """Return the names of a slab's channels, slice-major: ``z-1:ICE``, ``z-1:TLD``, ``z:ICE``, ..."""
    half = slices // 2
    places = [f"z{offset:+d}" if offset else "z" for offset in range(-half, half + 1)]
    return [f"{place}:{detector}" for place in places for detector in detectors]
