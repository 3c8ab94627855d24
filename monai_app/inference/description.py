"""What a stranger's program must know of a model to apply it: a JSON object of the model's metadata."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monai_app.errors import ConfigError
from monai_app.stack import Phase
from monai_app.transforms import Scaling

KEY = "model_description"
"""The description's key in metadata.json."""

PIXELS = ("uint8", "uint16")
"""Types of pixels that a stack may have."""


def channel_names(detectors: Sequence[str], slices: int) -> list[str]:
    """Return the names of a slab's channels, slice-major: ``z-1:ICE``, ``z-1:TLD``, ``z:ICE``, ..."""
    half = slices // 2
    places = [f"z{offset:+d}" if offset else "z" for offset in range(-half, half + 1)]
    return [f"{place}:{detector}" for place in places for detector in detectors]


@dataclass(frozen=True)
class ModelDescription:
    """How a model's input is made of grey values, and what its output means.

    The input is (B, S*C, H, W) float32, ``(grey - channel_mean) / channel_std`` channel by channel, H and W multiples
    of the stride; the output is (B, K, H, W), logits of the phases in their order.

    Attributes:
        network: name of the network's class.
        detectors: names of the C detectors.
        slices: odd number S of consecutive slices in a slab.
        stride: the network's, in pixels.
        channel_name: of every channel of the input, slice-major: ``z-1:ICE``, ``z-1:TLD``, ``z:ICE``, ...
        channel_mean: grey value of each channel that becomes 0.
        channel_std: step in grey values of each channel that becomes 1.
        dtype: type of the pixels that the scaling was measured on.
        phases: the K phases as ``value``, ``name`` and ``rgb``.
        settings: what else decides the network's function (JSON values).
        halo: pixels to read around a core, multiples of the stride, so that its logits are those of the whole slice;
            None where it was not measured.
        maps: float32 values that the network holds per pixel at its peak; None where they were not counted.

    Raises:
        ConfigError: numbers that do not fit each other.
    """

    network: str
    detectors: list[str]
    slices: int
    stride: int
    channel_name: list[str]
    channel_mean: list[float]
    channel_std: list[float]
    dtype: str
    phases: list[dict[str, Any]]
    settings: dict[str, Any]
    halo: int | None = None
    maps: int | None = None

    def __post_init__(self) -> None:
        if self.slices < 1 or self.slices % 2 == 0:
            raise _unfit(f"slices {self.slices}: must be odd and 1 or more")
        if self.stride < 1:
            raise _unfit(f"stride {self.stride}: must be 1 or more")
        if self.dtype not in PIXELS:
            raise _unfit(f"dtype {self.dtype!r}: must be one of {', '.join(PIXELS)}")
        channels = self.slices * len(self.detectors)
        for name in ("channel_name", "channel_mean", "channel_std"):
            if not self.detectors or len(getattr(self, name)) != channels:
                raise _unfit(f"{name} {getattr(self, name)}: {self.slices} slices of {self.detectors} have {channels}")
        if min(self.channel_std) <= 0:
            raise _unfit(f"channel_std {self.channel_std}: must be positive")
        if [phase.value for phase in self.phase_list] != list(range(1, len(self.phases) + 1)):
            raise _unfit(f"phases {self.phases}: their values must be 1, 2, 3, ... in this order")
        if self.halo is not None and (self.halo < 0 or self.halo % self.stride):
            raise _unfit(f"halo {self.halo}: must be a multiple of the stride {self.stride}")

    @classmethod
    def of(
        cls,
        network: str,
        detectors: Sequence[str],
        slices: int,
        stride: int,
        scaling: Mapping[str, Scaling],
        dtype: str,
        phases: Sequence[Mapping[str, Any]],
        settings: Mapping[str, Any],
    ) -> "ModelDescription":
        """Describe a model by what its configs say; ``scaling`` is per detector."""
        return cls(
            network=network,
            detectors=list(detectors),
            slices=slices,
            stride=stride,
            channel_name=channel_names(detectors, slices),
            channel_mean=[float(scaling[detector]["mean"]) for detector in detectors] * slices,
            channel_std=[float(scaling[detector]["std"]) for detector in detectors] * slices,
            dtype=dtype,
            phases=[{"value": p["value"], "name": p["name"], "rgb": list(p["rgb"])} for p in phases],
            settings=dict(settings),
        )

    @classmethod
    def from_json(cls, content: Any, source: str) -> "ModelDescription":
        """Read what `to_json` made.

        Args:
            content: the JSON object; other entries than the known ones are left alone.
            source: what it was read from, for messages.

        Raises:
            ConfigError: an entry is missing or of another kind, or numbers do not fit each other.
        """
        if not isinstance(content, Mapping):
            raise ConfigError(f"{source} has no {KEY} in its metadata; write it with `monai-app export RUN`")
        optional = {"halo": None, "maps": None}
        values = {name: content.get(name, optional.get(name, _MISSING)) for name in _KINDS}
        for name, value in values.items():
            if value is _MISSING:
                raise ConfigError(f"{source}: its {KEY} has no {name!r}; write it anew with `monai-app export RUN`")
            if not (value is None and name in optional) and not _KINDS[name](value):
                raise ConfigError(
                    f"{source}: {name!r} of its {KEY} is {value!r}; write it anew with `monai-app export`"
                )
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what was not measured is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def phase_list(self) -> list[Phase]:
        """The phases as the package knows them."""
        return [Phase.from_rgb(**phase) for phase in self.phases]

    @property
    def scaling(self) -> dict[str, Scaling]:
        """Mean and std per detector; every slice of a slab has the same."""
        pairs = zip(self.detectors, self.channel_mean, self.channel_std, strict=False)
        return {name: Scaling(mean=mean, std=std) for name, mean, std in pairs}


_MISSING = object()


def _unfit(message: str) -> ConfigError:
    return ConfigError(f"{KEY}: {message}; write it anew with `monai-app export RUN`")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _phase(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"value", "name", "rgb"}
        and _whole(value["value"])
        and _text(value["name"])
        and _list_of(_whole)(value["rgb"])
        and len(value["rgb"]) == 3
    )


def _list_of(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(kind, value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "network": _text,
    "detectors": _list_of(_text),
    "slices": _whole,
    "stride": _whole,
    "channel_name": _list_of(_text),
    "channel_mean": _list_of(_number),
    "channel_std": _list_of(_number),
    "dtype": _text,
    "phases": _list_of(_phase),
    "settings": lambda value: isinstance(value, dict),
    "halo": _whole,
    "maps": _whole,
}
"""What every entry must be."""
