"""The model of a run folder: its metadata.json and weights; no config is evaluated."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from monai_app.bundle.checks import check_agrees, check_logits, check_network
from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.configs.templates import template_paths
from monai_app.bundle.configs.trust import is_signed, trusted_copy
from monai_app.bundle.pretrained import read_spec
from monai_app.bundle.renew import plain_settings
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import ConfigError, causes, user_error
from monai_app.inference import Model
from monai_app.networks.registry import build_network, is_known

__all__ = ["load_model", "read_spec"]


def load_model(run: Path) -> Model:
    """Return the model of a run folder with its weights loaded, on the CPU.

    The network is built by name from ``metadata.json``. A custom network is built by the configs if the user trusted
    them.

    Raises:
        ConfigError: the model has no description, ``inference.yaml`` contradicts it, the weights do not fit, or the run
        was replaced while it was read.
    """
    path = run / "configs" / "inference.yaml"
    config = read_config(path)
    spec = _described(run, config)
    if spec is not None and spec.definition is not None and is_known(spec.definition.name):
        check_agrees(config, spec, path)
        network = build_network(spec.definition)
    elif is_signed(run):
        network, spec = _evaluated(run)
    else:
        raise ConfigError(
            f"{run}: its network belongs to neither this package nor MONAI, so its configs must build it; review "
            f"them, and run `monai-app trust {run}` if you trust them"
        )
    check_logits(network.eval(), spec)
    model = Model(spec, network, str(run / "models" / "model.pt"))
    model.load()
    if read_config(path) != config:
        raise ConfigError(f"{run} was replaced or edited while it was read; run the same command again")
    return model


def needs_trust(run: Path) -> bool:
    """Whether a run folder's network must be built by its configs, which the user has not trusted.

    Raises:
        ConfigError: a config or the metadata cannot be read.
    """
    spec = _described(run, read_config(run / "configs" / "inference.yaml"))
    known = spec is not None and spec.definition is not None and is_known(spec.definition.name)
    return not known and not is_signed(run)


def _described(run: Path, config: Mapping[str, Any]) -> ModelSpec | None:
    """Return the specification in metadata.json, or derive it from the plain values of earlier versions' configs."""
    metadata = run / "configs" / "metadata.json"
    spec = read_spec(metadata) if KEY in read_json(metadata, ()) else None
    if spec is not None and spec.definition is not None:
        return spec
    network = config.get("network_def")
    for template in template_paths():
        own = read_config(template / "configs" / "train.yaml")
        known = (own["network_def"]["_target_"], own["network_def"].get("network"))  # the latter in earlier versions
        if isinstance(network, dict) and network.get("_target_") in known:
            return check_network({**own, **plain_settings(config, own)})
    return spec


def _evaluated(run: Path) -> tuple[nn.Module, ModelSpec]:
    from monai.bundle import ConfigParser

    with trusted_copy(run) as copy:
        parser = ConfigParser()
        parser.read_config(str(copy / "configs" / "inference.yaml"))
        sys.path.insert(1, str(copy))  # as MONAI does
        try:
            return parser.get_parsed_content("network_def"), parser.get_parsed_content("spec")
        except Exception as error:
            *_, cause = causes(error)
            raise user_error(error) or ConfigError(
                f"{run}: no network can be built from its configs ({cause}); correct them"
            ) from error
        finally:
            sys.path.remove(str(copy))
