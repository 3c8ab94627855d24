"""Checks of settings before anything is made: a value that fails in the middle of MONAI's config is hard to read."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError, user_error
from monai_app.stack import Stack

DERIVED = {
    **dict.fromkeys(
        ("phases", "scaling", "dtype", "trained_on"),
        "comes from the stack; describe the sample accordingly and ingest it",
    ),
    **dict.fromkeys(("stride", "network_settings"), "follows from the network's settings; set those"),
    **dict.fromkeys(("rank", "processes"), "follows from the number of processes; give --processes N"),
    "pretrained": "follows from --from; give that",
}
"""Ids that are no settings, where they come from, and what to do instead."""

TRACKERS = ("mlflow",)
"""Experiment trackers that MONAI writes to."""

MAY_BE_ZERO = frozenset(
    {
        "seed",
        "workers",
        "weight_decay",
        "max_gradient_norm",
        "dice_weight",
        "dropout",
        "deformed",
        "rotation",
        "zoom",
        "elastic",
        "rotate90",
    }
)
"""Numbers that may be 0; all others must be positive."""


def check_settings(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check the user's settings against the kind of the bundle's own values.

    Args:
        settings: config ids and values; nested ids (``a::b``) are left to the bundle.
        defaults: the bundle's training config.

    Raises:
        ConfigError: a setting that is unknown, belongs to the stack, or is of another kind or out of range.
    """
    for name, value in settings.items():
        if name in DERIVED:
            raise ConfigError(f"setting {name!r} {DERIVED[name]}")
        if "::" in name:
            continue
        if name not in defaults:
            known = sorted(key for key in defaults if not isinstance(defaults[key], dict))
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"no setting {name!r} in this bundle: {hint}")
        _check_kind(name, value, defaults[name])
    epochs, interval = (settings.get(name, defaults[name]) for name in ("max_epochs", "val_interval"))
    if interval > epochs:
        raise ConfigError(f"val_interval {interval}: with {epochs} epochs nothing would be validated; lower it")


def check_tracking(tracker: str) -> None:
    """Check that an experiment tracker is known and installed.

    Raises:
        ConfigError: it is not.
    """
    if tracker not in TRACKERS:
        raise ConfigError(f"tracking {tracker!r}: choose {' or '.join(TRACKERS)}")
    if find_spec(tracker) is None:
        raise ConfigError(f"tracking {tracker!r} is not installed: pip install 'monai-app[tracking]'")


def check_network(config: Mapping[str, Any]) -> ModelSpec:
    """Build the network once, look at what it gives, and return the model's specification.

    Args:
        config: a bundle's config with the model's settings.

    Raises:
        ConfigError: it cannot be built, or does not give logits (B, K, H, W) when it is trained.
    """
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    try:
        network = parser.get_parsed_content("network_def")
        spec: ModelSpec = parser.get_parsed_content("spec")
    except Exception as error:
        raise user_error(error) or ConfigError(f"these settings make no network ({error}); mend them") from error
    side = 2 * spec.stride
    given = tuple(network.train()(torch.zeros(1, len(spec.channel_name), side, side)).shape)
    expected = (1, len(spec.phases), side, side)
    if given != expected:
        raise ConfigError(
            f"the network gives {given} where the bundle trains with logits (B, K, H, W), here {expected}; choose "
            "another head"
        )
    return spec


def check_sides(crop: Sequence[int], window: Sequence[int], stride: int, stack: Stack) -> None:
    """Check that crops and windows fit the network, and crops the slices.

    Args:
        crop: rows and columns of a training crop.
        window: rows and columns of a forward pass on whole slices.
        stride: the network's: sides are multiples of it.
        stack: the stack to train on.

    Raises:
        ConfigError: a side is no multiple of the stride or a crop is larger than the slices.
    """
    sides = stack.shape[1:]
    if not all(c <= s and c % stride == 0 for c, s in zip(crop, sides, strict=True)):
        largest = [min(192, side) // stride * stride for side in sides]
        raise ConfigError(
            f"crop {list(crop)}: rows and columns must be multiples of {stride} and no larger than the slices "
            f"{list(sides)}; use for instance --set crop={largest}"
        )
    if any(side % stride for side in window):
        rounded = [-(-side // stride) * stride for side in window]
        raise ConfigError(
            f"window {list(window)}: rows and columns must be multiples of {stride}; use for instance "
            f"--set window={rounded}"
        )


def _check_kind(name: str, value: Any, default: Any) -> None:
    if isinstance(default, bool | dict) or default is None:
        return
    if isinstance(default, str):
        if not default.startswith(("$", "@")) and not isinstance(value, str):
            raise ConfigError(f"setting {name!r}: {value!r} must be a text, like {default}")
        return
    if isinstance(default, list):
        _check_list(name, value, default)
    else:
        _check_number(name, value, default)


def _check_list(name: str, value: Any, default: list[Any]) -> None:
    kind = type(default[0])
    if not isinstance(value, list) or not value or not all(type(item) is kind for item in value):
        raise ConfigError(f"setting {name!r}: {value!r} must be a list such as {default}")
    if kind is int and (len(value) != len(default) or min(value) < 1):
        raise ConfigError(f"setting {name!r}: {value!r} must be {len(default)} positive whole numbers, like {default}")
    if len(set(value)) < len(value) and kind is str:
        raise ConfigError(f"setting {name!r}: {value!r} names one twice; name each once")


def _check_number(name: str, value: Any, default: float) -> None:
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"setting {name!r}: {value!r} must be {kind}, like {default}")
    if not value >= 0 or (value == 0 and name not in MAY_BE_ZERO):
        raise ConfigError(f"setting {name!r}: {value!r} must be {'0 or more' if name in MAY_BE_ZERO else 'above 0'}")
