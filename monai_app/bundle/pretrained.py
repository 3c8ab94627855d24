"""Initialise a model with the weights of another: entries with the same meaning are copied by name.

Layers are matched by name and shape. If a layer has an entry per input channel or per phase, entries are matched by
channel or phase: for example, a model of ICE and TLD takes the TLD kernels of a model of TLD.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_app.bundle.configs.settings import read_json
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import ConfigError
from monai_app.files import is_not
from monai_app.networks.weights import Weights, read_weights

Meaning = Callable[[ModelSpec], Sequence[str]]
"""Names of the entries of an axis, from a model's specification."""


@dataclass
class Transfer:
    """The result of a transfer.

    Attributes:
        state: the new model's state dict.
        copied: names of tensors that were copied completely.
        partial: names of partly copied tensors, and the channels or phases that were not copied.
        initialised: names of tensors of which nothing was copied.
    """

    state: dict[str, Tensor]
    copied: list[str] = field(default_factory=list)
    partial: dict[str, list[str]] = field(default_factory=dict)
    initialised: list[str] = field(default_factory=list)

    def describe(self) -> list[str]:
        """Describe the transfer for display."""
        lines = [f"{len(self.copied)} of {len(self.state)} tensors were copied completely"]
        lines += [f"{name}: copied, except for {', '.join(names)}" for name, names in self.partial.items()]
        if self.initialised:
            lines.append(f"{len(self.initialised)} start from random values: {', '.join(self.initialised)}")
        return lines


@dataclass(frozen=True)
class Names:
    """Names of the entries of an axis in the other model and in the new one."""

    before: Sequence[str]
    after: Sequence[str]

    @property
    def common(self) -> list[str]:
        """Names in both models, in the new model's order."""
        return [name for name in self.after if name in self.before]

    @property
    def missing(self) -> list[str]:
        """Names in the new model only."""
        return [name for name in self.after if name not in self.before]


def read_source(bundle: Path) -> tuple[Weights, ModelSpec]:
    """Read weights and specification of a trained bundle; nothing of its configs is run.

    Raises:
        ConfigError: it is not a trained bundle.
    """
    weights, metadata = bundle / "models" / "model.pt", bundle / "configs" / "metadata.json"
    if bundle.is_file():
        raise ConfigError(f"{bundle} is a file: start from a run folder or an unpacked package (monai-app unpack)")
    if not weights.is_file() or not metadata.is_file():
        problem = is_not(bundle, "a trained bundle (models/model.pt or configs/metadata.json is missing)")
        raise ConfigError(f"{problem}; give a run folder with trained weights")
    return read_weights(weights), read_spec(metadata)


def read_spec(metadata: Path) -> ModelSpec:
    """Read the specification of a bundle's model in its ``metadata.json``; nothing of the bundle is run.

    Raises:
        ConfigError: the file cannot be read or does not contain it.
    """
    return ModelSpec.from_json(read_json(metadata, (KEY,))[KEY], str(metadata))


def transfer(source: Mapping[str, Any], old: ModelSpec, config: Mapping[str, Any], new: ModelSpec) -> Transfer:
    """Initialise a model with the weights of another.

    Args:
        source: the other model's state dict.
        old: its specification.
        config: the new model's config, with ``network_def``, ``detectors``, ``slices``, ``phases`` and ``seed``; other
        weights are drawn at random from the seed.
        new: the new model's specification.

    Raises:
        ConfigError: nothing can be copied.
    """
    torch.manual_seed(int(config["seed"]))
    result = Transfer(dict(_build(config).state_dict()))
    for name, axes in _named_axes(config).items():
        given, tensor = source.get(name), result.state[name]
        pairs = {axis: Names(meaning(old), meaning(new)) for axis, meaning in axes.items()}
        if not isinstance(given, Tensor) or len(pairs) > 1 or not _matches(given, tensor, pairs):
            result.initialised.append(name)
            continue
        result.state[name] = _merge(given, tensor, pairs)
        missing = [label for names in pairs.values() for label in names.missing]
        if missing:
            result.partial[name] = missing
        else:
            result.copied.append(name)
    if not any(name.endswith("weight") for name in (*result.copied, *result.partial)):
        raise ConfigError("no layer fits: the two networks are of different kinds or sizes; train from scratch")
    return result


def _build(config: Mapping[str, Any]) -> nn.Module:
    from monai.bundle import ConfigParser

    network: nn.Module = ConfigParser(deepcopy(dict(config))).get_parsed_content("network_def")
    return network


def _named_axes(config: Mapping[str, Any]) -> dict[str, dict[int, Meaning]]:
    """Find each tensor's axes with an entry per channel, detector or phase: those that grow with one more of them."""
    detectors, phases = list(config["detectors"]), list(config["phases"])
    plain = _build(config).state_dict()
    more_phases = _build({**config, "phases": [*phases, phases[0]]}).state_dict()
    more_detectors = _build({**config, "detectors": [*detectors, f"{detectors[0]}_"]}).state_dict()
    found: dict[str, dict[int, Meaning]] = {}
    for name, tensor in plain.items():
        found[name] = {}
        for axis, size in enumerate(tensor.shape):
            if more_phases[name].shape[axis] != size:
                found[name][axis] = attrgetter("phase_names")
            elif more_detectors[name].shape[axis] != size:
                found[name][axis] = attrgetter("detectors" if size == len(detectors) else "channel_name")
    return found


def _matches(old: Tensor, new: Tensor, axes: Mapping[int, Names]) -> bool:
    """Whether two tensors have the same shape except for named axes, which have an entry per name and common names."""

    def fits(axis: int, before: int, after: int) -> bool:
        names = axes.get(axis)
        if names is None:
            return before == after
        return (before, after) == (len(names.before), len(names.after)) and bool(names.common)

    return old.ndim == new.ndim and all(map(fits, range(old.ndim), old.shape, new.shape))


def _merge(old: Tensor, new: Tensor, axes: Mapping[int, Names]) -> Tensor:
    """Copy the old tensor's entries to those of the new one with the same names."""
    old = old.to(new.dtype)
    if not axes:
        return old.clone()
    ((axis, names),) = axes.items()
    taken = torch.tensor([list(names.before).index(name) for name in names.common])
    places = torch.tensor([list(names.after).index(name) for name in names.common])
    return new.clone().index_copy_(axis, places, old.index_select(axis, taken))
