"""Variants: a network, a set of detectors and a number of slices under one name, as in ``configs/variants/``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monai_app.bundle.configs.locate import config_names, config_path
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.yamlfile import read_yaml


@dataclass(frozen=True)
class Variant:
    """One combination of network, detectors and slices.

    Attributes:
        name: for instance ``"sensor3d_ice+tld_3"``.
        bundle: the bundle it is laid over.
        settings: what it lays over the bundle: detectors and slices.
    """

    name: str
    bundle: str
    settings: dict[str, Any]

    def choose(self, stack: Stack, bundle: str | None, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Lay the variant over a user's choice, and return the bundle and all settings.

        Raises:
            ConfigError: the user chose something else than the variant says, or the stack lacks a detector.
        """
        own = {"bundle": self.bundle, **self.settings}
        for name, value in {"bundle": bundle or self.bundle, **settings}.items():
            if own.get(name, value) != value:
                raise ConfigError(
                    f"variant {self.name!r} means {name} {own[name]!r}, and {value!r} was given too; leave one out"
                )
        missing = [name for name in self.settings["detectors"] if name not in stack.detectors]
        if missing:
            raise ConfigError(
                f"variant {self.name!r} needs detector {' and '.join(map(repr, missing))}; {stack.path} has "
                f"{', '.join(stack.detectors)}: choose another variant, or instead of it --bundle {self.bundle} "
                f"--slices {self.settings['slices']} --detectors {stack.detectors[0]}"
            )
        return self.bundle, {**settings, **self.settings}


def variant_names() -> list[str]:
    """The names of the variants that come with the package, sorted."""
    return config_names("variants")


def read_variant(name: str) -> Variant:
    """Read a variant that comes with the package.

    Raises:
        ConfigError: there is no variant of that name.
    """
    settings = dict(read_yaml(config_path("variants", name)))
    return Variant(name, settings.pop("bundle"), settings)
