"""MONAI networks without instance statistics, which would make the result depend on the tile."""

from typing import Any

from torch import nn

from monai_app.errors import ConfigError


def monai_network(name: str) -> type[nn.Module]:
    """Return a class of ``monai.networks.nets``; ConfigError if there is none of that name."""
    from monai.networks import nets  # MONAI loads slowly, and other networks do without it

    found = getattr(nets, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(f"network {name!r} is not a class of monai.networks.nets; name one of them")
    return found


def batch_normalised(network: str, **settings: Any) -> nn.Module:
    """Build a network of MONAI with batch normalisation in the place of every instance normalisation.

    For networks that offer no choice, such as ``AttentionUnet``.

    Args:
        network: name of a class of ``monai.networks.nets``, for images of two dimensions.
        settings: its arguments.

    Raises:
        ConfigError: there is no such class.
    """
    built = monai_network(network)(**settings)
    for name, module in list(built.named_modules()):
        if isinstance(module, nn.InstanceNorm2d):
            parent, _, last = name.rpartition(".")
            setattr(built.get_submodule(parent), last, nn.BatchNorm2d(module.num_features))
    return built
