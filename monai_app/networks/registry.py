"""Networks by name, so that the description of a model is data and not code."""

import inspect
from collections.abc import Callable

from torch import nn

from monai_app.domain.model_spec import Definition
from monai_app.errors import ConfigError
from monai_app.networks.norms import batch_normalised, monai_network
from monai_app.networks.patches import on_patches
from monai_app.networks.sensor3d import Sensor3D

_OWN = "monai_app.networks"
_MONAI = ("", "monai.networks.nets")

_AROUND: dict[str, Callable[..., nn.Module]] = {"batch_normalised": batch_normalised, "on_patches": on_patches}
"""Take the name of one of MONAI's networks, and its arguments."""

_BUILDERS: dict[str, Callable[..., nn.Module]] = {"Sensor3D": Sensor3D, **_AROUND}


def is_known(name: str) -> bool:
    """Whether a network is one of this package or of ``monai.networks.nets``, with or without its module's name."""
    try:
        _builder(name)
    except ConfigError:
        return False
    return True


def build_network(definition: Definition) -> nn.Module:
    """Build a network of this package or of MONAI; the arguments are data, and nothing is downloaded.

    Raises:
        ConfigError: it is another network, does not take these arguments, or would fetch weights.
    """
    builder, arguments = _builder(definition.name), definition.arguments
    inner = monai_network(str(arguments.get("network"))) if builder in _AROUND.values() else builder
    defaults = {name: each.default for name, each in inspect.signature(inner).parameters.items()}
    for name, value in {**defaults, **arguments}.items():
        if name.startswith("pretrained") and value:
            raise ConfigError(f"network {definition.name} would fetch weights ({name}); set it to false")
    try:
        return builder(**arguments)
    except Exception as error:  # whatever a class raises at arguments that it does not know
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"network {definition.name} cannot be built ({first}); restore metadata.json") from error


def _builder(name: str) -> Callable[..., nn.Module]:
    module, _, last = name.rpartition(".")
    if module == _OWN and last in _BUILDERS:
        return _BUILDERS[last]
    if module in _MONAI or module.startswith(f"{_MONAI[1]}."):
        return monai_network(last)
    raise ConfigError(f"network {name!r} belongs to neither this package nor MONAI")
