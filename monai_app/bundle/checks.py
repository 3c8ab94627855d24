"""Checks of settings before the work starts: errors from within MONAI's config parser are hard to read."""

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from monai_app.bundle.configs.plain import is_plain
from monai_app.domain.model_spec import Definition, ModelSpec
from monai_app.errors import ConfigError, causes, user_error
from monai_app.stack import Stack

if TYPE_CHECKING:
    from torch import nn

MOST_STRIDE = 1024
"""In pixels: 10 levels of downsampling."""

_ON_PATCHES = "monai_app.networks.on_patches"

_BYTES_A_WEIGHT = 20
"""Bytes per weight in float32: weight, running average, gradient and AdamW's two moments."""

TRACKERS = ("mlflow",)
"""Experiment trackers that MONAI supports."""


def check_tracking(tracker: str) -> None:
    """Check that an experiment tracker is supported and installed.

    Raises:
        ConfigError: it is not.
    """
    if tracker not in TRACKERS:
        raise ConfigError(f"tracking {tracker!r}: choose {' or '.join(TRACKERS)}")
    if find_spec(tracker) is None:
        raise ConfigError(f"tracking {tracker!r} is not installed: pip install 'monai-app[tracking]'")


def check_network(config: Mapping[str, Any]) -> ModelSpec:
    """Build the network of a bundle's config, check its output, and return the model's specification.

    The config is evaluated, so it must be trusted. The specification contains the network's definition as data.

    Raises:
        ConfigError: it cannot be built, or does not return logits (B, K, H, W) in training mode.
    """
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    try:
        _check_stride(parser.get_parsed_content("stride"))
        with torch.device("meta"):  # its weights are uninitialised
            _check_size(ConfigParser(dict(config)).get_parsed_content("network_def"))
        network = parser.get_parsed_content("network_def")
        spec: ModelSpec = parser.get_parsed_content("spec")
    except Exception as error:
        *_, cause = causes(error)
        raise user_error(error) or ConfigError(
            f"no network can be built from these settings ({cause}); correct them"
        ) from error
    check_logits(network.train(), spec)
    network_def: dict[str, Any] = parser.ref_resolver.items["network_def"].get_config()  # type: ignore[no-untyped-call]
    return spec.replaced(definition=_definition(_without_patches(network_def)))


def _definition(config: Mapping[str, Any]) -> Definition | None:
    """Return the definition of a network; None if it is more than data, such as nested components."""
    try:
        arguments = json.loads(json.dumps({name: value for name, value in config.items() if name != "_target_"}))
    except TypeError:
        return None
    return Definition(name=str(config["_target_"]), arguments=arguments)


def _without_patches(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of a network on patches of one pixel as the network's own, which earlier versions wrote."""
    if network.get("_target_") != _ON_PATCHES or network.get("patch") != 1:
        return dict(network)
    own = {name: value for name, value in network.items() if name not in ("network", "patch")}
    return {**own, "_target_": network["network"]}


def check_logits(network: "nn.Module", spec: ModelSpec) -> None:
    """Run a network once on a small image.

    Raises:
        ConfigError: it does not return logits (B, K, H, W) as specified.
    """
    import torch

    side = 2 * spec.stride
    expected = (1, len(spec.phases), side, side)
    try:
        with torch.no_grad():
            given = tuple(network(torch.zeros(1, len(spec.channel_name), side, side)).shape)
    except RuntimeError as error:
        raise ConfigError(
            f"the network fails on an image with {len(spec.channel_name)} channels ({error}); correct its settings"
        ) from error
    if given != expected:
        raise ConfigError(
            f"the network returns {given}, but the bundle trains with logits (B, K, H, W), here {expected}; choose "
            "another head"
        )


def check_agrees(config: Mapping[str, Any], spec: ModelSpec, path: Path) -> None:
    """Check that the plain values of a config agree with a model's specification.

    After an edit of one of them, the labels would not be those of the config's model.

    Args:
        config: content of ``inference.yaml``, which is not evaluated.
        spec: the specification in metadata.json.
        path: of the config, for messages.

    Raises:
        ConfigError: a value differs.
    """
    known = spec.model_dump(mode="json", include={"detectors", "slices", "dtype", "phases"})
    known["training_stacks"] = [each.model_dump(mode="json", exclude_none=True) for each in spec.training_stacks]
    known["scaling"] = {name: stats.model_dump() for name, stats in spec.scaling.items()}
    pairs = [(name, config[name], value) for name, value in known.items() if name in config]
    if spec.definition is not None and isinstance(config.get("network_def"), dict):
        built = {"_target_": spec.definition.name, **spec.definition.arguments}
        given = _without_patches({name: _looked_up(value, config) for name, value in config["network_def"].items()})
        for name in sorted({*built, *given}):
            pairs.append((f"network_def::{name}", given.get(name, "left out"), built.get(name, "left out")))
    for name, found, own in pairs:
        if is_plain(found) and found != own:
            raise ConfigError(
                f"{path}: {name} is {found!r} but metadata.json describes a model with {own!r}, to which the weights "
                "belong; make the config agree"
            )


def _looked_up(value: Any, config: Mapping[str, Any]) -> Any:
    return config.get(value[1:], value) if isinstance(value, str) and value.startswith("@") else value


def _check_stride(stride: int) -> None:
    if stride > MOST_STRIDE:
        raise ConfigError(
            f"the network's stride is {stride} px, above the maximum of {MOST_STRIDE} px; use fewer levels"
        )


def _check_size(network: "nn.Module") -> None:
    """Refuse a network that cannot be trained in this machine's memory."""
    weights = sum(weight.numel() for weight in network.parameters())
    needed, there = weights * _BYTES_A_WEIGHT, psutil.virtual_memory().total
    if needed > there:
        raise ConfigError(
            f"the network has {weights / 1e6:.0f} million weights, which take {needed / 2**30:.0f} GiB to train, and "
            f"this machine has {there / 2**30:.0f} GiB; make it smaller"
        )


def check_sides(crop: Sequence[int], window: Sequence[int], stride: int, stack: Stack) -> None:
    """Check that crops and windows (rows, columns) fit the network's stride, and crops the slices.

    Raises:
        ConfigError: a side is not a multiple of the stride, or a crop is larger than the slices.
    """
    sides = stack.shape[1:]
    if not all(c <= s and c % stride == 0 for c, s in zip(crop, sides, strict=True)):
        largest = [min(192, side) // stride * stride for side in sides]
        remedy = f"use, for example, --set crop={largest}" if all(largest) else "use a network with fewer levels"
        raise ConfigError(
            f"crop {list(crop)}: rows and columns must be multiples of {stride} and no larger than the slices "
            f"{list(sides)}; {remedy}"
        )
    if any(side % stride for side in window):
        rounded = [-(-side // stride) * stride for side in window]
        raise ConfigError(
            f"window {list(window)}: rows and columns must be multiples of {stride}; use, for example, "
            f"--set window={rounded}"
        )


def check_training(config: Path, run: Path) -> None:
    """Build the components of a training config, and run loss and augmentation once on noise on the CPU.

    Args:
        config: a complete train.yaml.
        run: name of the future run folder.

    Raises:
        ConfigError: loss, optimiser, schedule or augmentation cannot be built or used.
    """
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update({"bundle_root": str(run), "device": "$torch.device('cpu')"})
    phases, (rows, columns) = len(parser["phases"]), parser["crop"]
    image = torch.rand(len(parser["detectors"]) * parser["slices"], rows, columns)
    labels = torch.randint(phases + 1, (1, rows, columns))
    what = "loss"
    try:
        loss = parser.get_parsed_content(what)(torch.rand(1, phases, rows, columns, requires_grad=True), labels[None])
        if not (loss.ndim == 0 and loss.isfinite() and loss.requires_grad):
            raise ValueError(f"it returns {loss} instead of a scalar to minimise")
        for what in ("augmentation", "optimizer", "lr_scheduler"):
            built = parser.get_parsed_content(what)
            for name, step in built.items() if what == "augmentation" else ():
                what, step.prob = f"augmentation::{name}", 1.0
                step({"image": image, "label": labels})
    except Exception as error:
        *_, cause = causes(error)
        raise user_error(error) or ConfigError(
            f"no {what} can be built from these settings ({cause}); correct them"
        ) from error
