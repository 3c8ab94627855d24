"""Input and output of a model: one declaration for configs, metadata.json, exported files and this package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.slab import SliceCount
from monai_app.domain.training_stack import ChannelStats, TrainingStack
from monai_app.domain.validation import Items, Strict, validated
from monai_app.errors import AnnotationError, ConfigError, StackError

KEY = "model_description"
"""The specification's key in metadata.json."""


class Definition(Strict):
    """How a network is built: by name, and with arguments that are JSON values.

    Attributes:
        name: of its class, with the module where it is not one of ``monai.networks.nets``.
        arguments: its arguments, with all config references resolved.
    """

    name: str
    arguments: dict[str, Any]


class Images(Protocol):
    """The properties of a stack that decide whether a model can be applied to it."""

    path: Path
    detectors: tuple[str, ...]
    dtype: np.dtype[np.integer]


class ModelSpec(Strict):
    """How a model's input is computed from grey values, and what its output means.

    The input is (B, S*C, H, W) float32, ``(grey - channel_mean) / channel_std`` channel by channel, H and W multiples
    of the stride; the output is (B, K, H, W), logits of the phases in their order. Other entries of the JSON are
    ignored.

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
        settings: other settings that decide what the network computes, such as the head (JSON values).
        definition: how the network is built; None in a config, which builds it itself, and in files of earlier
        versions.
        halo: pixels to read around a tile, multiples of the stride, so that its logits equal those of the complete
        slice; None if it was not measured.
        maps: float32 values per pixel that the network holds at its peak; None if they were not counted.
        training_stacks: the stacks that it was trained on; empty for models of earlier versions.
        stand_ins: detector of the model -> detector of a stack that replaces it, see `reading`.
    """

    model_config = ConfigDict(extra="ignore")

    network: str
    detectors: Annotated[Items[str], Field(min_length=1)]
    slices: SliceCount
    stride: Annotated[int, Field(ge=1)]
    channel_name: Items[str]
    channel_mean: Items[float]
    channel_std: Items[Annotated[float, Field(gt=0)]]
    dtype: Literal["uint8", "uint16"]
    phases: Annotated[Items[Phase], Field(min_length=1)]
    settings: dict[str, Any]
    definition: Definition | None = None
    halo: Annotated[int, Field(ge=0)] | None = None
    maps: Annotated[int, Field(ge=0)] | None = None
    training_stacks: Items[TrainingStack] = ()
    stand_ins: dict[str, str] | None = None

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
                    f"{name} {list(values)}: must have {len(names)} numbers, the values of {', '.join(self.detectors)} "
                    f"{self.slices} times"
                )
        if self.halo is not None and self.halo % self.stride:
            raise ValueError(f"halo {self.halo}: must be a multiple of the stride {self.stride}")
        return self

    @classmethod
    def of(
        cls,
        *,
        detectors: Sequence[str],
        slices: int,
        scaling: Mapping[str, Any],
        stand_ins: Mapping[str, str] | None = None,
        **others: Any,
    ) -> Self:
        """Create the specification from the values of a config.

        Args:
            detectors: names of the C detectors, in channel order.
            slices: odd number S of consecutive slices in a slab.
            scaling: `ChannelStats` per detector, or a mapping of mean and std.
            stand_ins: see `reading`.
            others: the other attributes.

        Raises:
            ConfigError: a value is invalid, or a detector has no mean and std.
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
        spec = validated(cls, {**others, "detectors": detectors, "slices": slices, **channels}, "model")
        return spec.reading(stand_ins or {})

    @classmethod
    def from_json(cls, content: Any, source: str) -> Self:
        """Read the output of `to_json`.

        Args:
            content: the JSON object.
            source: name of the source, for messages.

        Raises:
            ConfigError: an entry is missing or invalid.
        """
        if not isinstance(content, Mapping):
            raise ConfigError(f"{source} has no {KEY} in its metadata; write it with `monai-app export RUN`")
        return validated(cls, content, f"{source}: {KEY}", "write it again with `monai-app export RUN`")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, without entries that were not measured."""
        unknown = set() if self.training_stacks else {"training_stacks"}
        return self.model_dump(mode="json", exclude_none=True, exclude=unknown)

    @property
    def scaling(self) -> dict[str, ChannelStats]:
        """Mean and std per detector, in grey values."""
        pairs = zip(self.detectors, self.channel_mean, self.channel_std, strict=False)
        return {name: ChannelStats(mean=mean, std=std) for name, mean, std in pairs}

    @property
    def phase_names(self) -> list[str]:
        """The phases' names, in the order of their values."""
        return [phase.name for phase in self.phases]

    def check_common_scaling(self, what: str) -> None:
        """Check that the model can be applied to any stack.

        Args:
            what: the operation, for the message.

        Raises:
            ConfigError: each training stack has its own scaling, so other stacks have none.
        """
        names = [each.name for each in self.training_stacks if each.scaling is not None]
        if names:
            raise ConfigError(
                f"{what}: the model has a scaling of each of its training stacks ({', '.join(names)}), and of no "
                "others; segment and evaluate these, or train with --set scaling_of=common"
            )

    def of_stack(self, ingested: str) -> Self:
        """Return the specification with the scaling of a training stack.

        It is unchanged if the scaling is common or the stack is not a training stack.

        Args:
            ingested: the stack's identity at ingestion.
        """
        own = next((each.scaling for each in self.training_stacks if each.identity == ingested), None)
        if own is None:
            return self
        return self.replaced(
            channel_mean=[own[name].mean for name in self.detectors] * self.slices,
            channel_std=[own[name].std for name in self.detectors] * self.slices,
            training_stacks=[each.replaced(scaling=None) for each in self.training_stacks],
        )

    def reading(self, stand_ins: Mapping[str, str]) -> Self:
        """Return the specification of the model with detectors replaced by others of a stack.

        Args:
            stand_ins: detector of the model -> detector that it reads instead.

        Raises:
            ConfigError: the model has no such detector, or one would replace two.
        """
        if not stand_ins:
            return self
        for name in stand_ins:
            if name not in self.detectors:
                raise ConfigError(
                    f"detector {name!r}, which {stand_ins[name]!r} is to replace, is not one of the model's, which are "
                    f"{', '.join(self.detectors)}; give one of these"
                )
        read = [stand_ins.get(name, name) for name in self.detectors]
        twice = [name for name in read if read.count(name) > 1]
        if twice:
            raise ConfigError(
                f"detector {twice[0]!r} would replace two detectors ({', '.join(self.detectors)} are read from "
                f"{', '.join(read)}); replace each by a different one"
            )
        return self.replaced(
            detectors=read,
            channel_name=channel_names(read, self.slices),
            training_stacks=[each.renamed(stand_ins) for each in self.training_stacks],
            stand_ins=dict(stand_ins),
        )

    def check_stack(self, stack: Images) -> None:
        """Check that the model can be applied to a stack.

        Raises:
            ConfigError: the stack lacks a detector.
            StackError: its pixels are of another type.
        """
        missing = [name for name in self.detectors if name not in stack.detectors]
        if missing:
            raise ConfigError(
                f"detector {missing[0]!r} {self._part(missing[0])} does not exist in {stack.path}, which has "
                f"{', '.join(stack.detectors)}; use a model of these detectors, or replace it by another (--detector)"
            )
        self.check_dtype(stack.dtype, stack.path)

    def _part(self, name: str) -> str:
        parts = {taken: part for part, taken in (self.stand_ins or {}).items()}
        return f"in place of {parts[name]!r}" if name in parts else "of the model"

    def check_dtype(self, dtype: np.dtype[Any], source: Path) -> None:
        """Check that the pixels have the type that the model was trained on, and that they have a scaling.

        Raises:
            StackError: they are not.
            ConfigError: each training stack of the model has its own scaling, and this stack is not one of them.
        """
        if dtype != self.dtype:
            raise StackError(
                f"the pixels of {source} are {dtype}, but the model was trained on {self.dtype}: the same grey would "
                "have another value; convert the images, or use a model trained on such pixels"
            )
        self.check_common_scaling(f"{source} has no scaling")

    def check_phases(self, phases: Sequence[Phase], source: Path) -> None:
        """Check that the model and a stack have the same phases.

        Raises:
            AnnotationError: the phases differ in name or order.
        """
        found = [phase.name for phase in phases]
        if found != self.phase_names:
            raise AnnotationError(
                f"the phases of {source} are {found}, but those of the model are {self.phase_names}: they must agree "
                "in name and order; use a model trained on these phases, or ingest the annotations with the model's"
            )


def channel_names(detectors: Sequence[str], slices: int) -> list[str]:
    """Return the names of a slab's channels, slice-major: ``z-1:ICE``, ``z-1:TLD``, ``z:ICE``, ..."""
    half = slices // 2
    places = [f"z{offset:+d}" if offset else "z" for offset in range(-half, half + 1)]
    return [f"{place}:{detector}" for place in places for detector in detectors]
