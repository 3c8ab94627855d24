"""Variants: a network, a set of detectors and a number of slices under one name, such as ``unet_ice+tld_3``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monai_app.bundle.configs.templates import config_names, config_path, template_paths
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.yamlfile import read_yaml

_NAME = re.compile(r"(?P<network>[^_]+)_(?P<detectors>.+)_(?P<slices>[0-9]{1,4})")


@dataclass(frozen=True)
class Variant:
    """One combination of network, detectors and slices.

    Attributes:
        name: such as ``"sensor3d_ice+tld_3"``.
        bundle: the bundle that it configures.
        settings: its detectors and slices, which override those of the bundle.
    """

    name: str
    bundle: str
    settings: dict[str, Any]

    def choose(self, stack: Stack, bundle: str | None, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Combine the variant with the user's settings, and return the bundle and all settings.

        Detector names are matched to those of the stack, ignoring case.

        Raises:
            ConfigError: a user's setting contradicts the variant, or the stack lacks a detector.
        """
        there = {name.casefold(): name for name in stack.detectors}  # no two detectors of a stack differ only in case
        missing = [name for name in self.settings["detectors"] if name.casefold() not in there]
        if missing:
            network = self.name.split("_")[0]
            raise ConfigError(
                f"variant {self.name!r} needs detector {' and '.join(map(repr, missing))}; {stack.path} has "
                f"{', '.join(stack.detectors)}: choose, for example, variant {network}_{'+'.join(stack.detectors)}_"
                f"{self.settings['slices']}"
            )
        detectors = [there[name.casefold()] for name in self.settings["detectors"]]
        own = {"bundle": self.bundle, **self.settings, "detectors": detectors}
        for name, value in {"bundle": bundle or self.bundle, **settings}.items():
            if own.get(name, value) != value:
                raise ConfigError(
                    f"variant {self.name!r} means {name} {own[name]!r}, but {value!r} was given, too; leave one out"
                )
        return self.bundle, {**settings, **self.settings, "detectors": detectors}


def variant_names() -> list[str]:
    """The sorted names of the variants that come with the package as files; others are derived from their names."""
    return config_names("variants")


def read_variant(name: str) -> Variant:
    """Return a variant by name: one that comes with the package, or ``NETWORK_DETECTOR+DETECTOR_SLICES``.

    Raises:
        ConfigError: the name has another form, or there is no such network.

    Example:
        >>> read_variant("sensor3d_SE+BSE_5").settings
        {'detectors': ['SE', 'BSE'], 'slices': 5}
    """
    if name in variant_names():
        settings = dict(read_yaml(config_path("variants", name)))
        return Variant(name, settings.pop("bundle"), settings)
    bundles = {path.name.removeprefix("fibsem_").removesuffix("_segmentation"): path.name for path in template_paths()}
    found = _NAME.fullmatch(name)
    if found is None or found["network"] not in bundles:
        raise ConfigError(
            f"no variant {name!r}: choose one of {', '.join(variant_names())}, or write "
            f"NETWORK_DETECTOR+DETECTOR_SLICES with the stack's detectors, network {' or '.join(sorted(bundles))}"
        )
    settings = {"detectors": found["detectors"].split("+"), "slices": int(found["slices"])}
    return Variant(name, bundles[found["network"]], settings)
