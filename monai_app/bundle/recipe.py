"""How a bundle is trained, or trained again as it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.locate import NO_SIZE, size_overlays, template_path, template_paths
from monai_app.bundle.configs.settings import check_literal, read_overlays
from monai_app.bundle.configs.training_settings import NOT_SETTINGS, check_settings
from monai_app.bundle.prepare import RECORD, read_record
from monai_app.errors import ConfigError
from monai_app.yamlfile import read_yaml


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        template: name of the package's bundle.
        size: name of the settings that are laid over it.
        settings: more of them, by id.
    """

    template: str
    size: str
    settings: Mapping[str, Any]

    def words(self, settings: Mapping[str, Any]) -> list[str]:
        """Return the options of ``monai-app train``, with settings laid over those of the recipe."""
        given = {**self.settings, **settings}.items()
        return [
            *("--bundle", self.template, "--size", self.size),
            *(word for name, value in given for word in ("--set", f"{name}={json.dumps(value)}")),
        ]


def read_recipe(bundle: Path, size: str, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a run folder, which is trained again as it was, or of a bundle of the package.

    Args:
        bundle: the folder.
        size: for a bundle that is trained from nothing; its name is checked all the same.
        settings: laid over what the bundle was trained with.

    Raises:
        ConfigError: nobody knows how it was trained, or a size or setting breaks its rule.
    """
    kept: dict[str, Any] = {}
    if (bundle / RECORD).is_file():
        record = read_record(bundle)
        template, laid = str(record["bundle"]), NO_SIZE
        kept = {name: value for name, value in record["settings"].items() if name not in NOT_SETTINGS}
    elif bundle.name in [path.name for path in template_paths()]:
        template, laid = bundle.name, size
    else:
        raise ConfigError(
            f"bundle {bundle} holds no {RECORD}, so nobody knows how it was trained; serve a run folder of "
            "monai-app train, or a package of monai-app package"
        )
    size_overlays(template, size)
    recipe = Recipe(template, laid, {**kept, **settings})
    if settings:  # what was trained before is no fault of who chooses these
        check_literal(settings)
        defaults = read_yaml(template_path(template) / "configs" / "train.yaml")
        check_settings({**read_overlays(size_overlays(template, laid)), **recipe.settings}, defaults)
    return recipe
