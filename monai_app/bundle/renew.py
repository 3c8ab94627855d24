"""Run folders of earlier versions: their configs are renewed from the current bundle and their own settings."""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from monai_app.bundle.checks import check_agrees, check_network
from monai_app.bundle.configs.plain import is_plain, read_config
from monai_app.bundle.configs.settings import SEPARATOR, read_json
from monai_app.bundle.configs.templates import template_digest, template_paths
from monai_app.bundle.configs.training_settings import settings_of
from monai_app.bundle.configs.trust import FREE, is_signed
from monai_app.bundle.packages.manifest import MANIFEST
from monai_app.bundle.run_folder import CHECKPOINT, CONFIGS, RECORD, read_record, write_configs
from monai_app.domain.calibration import CALIBRATION
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import TargetExistsError
from monai_app.files import atomic_directory, write_json
from monai_app.networks.weights import CHECKSUMS, read_checkpoint
from monai_app.temporary import process_folder
from monai_app.training.fingerprints import is_earlier, renamed

EARLIER = "configs-earlier"
"""Folder in a run folder for the configs of an earlier version."""


def usable_run(run: Path) -> Path:
    """Return a run folder with configs that this version can run.

    A run that was created from an earlier version of a bundle gets the configs of the current one with its own
    settings, including plain values that were edited by hand. The old configs are kept in ``configs-earlier`` and are
    not evaluated. A package, or a run that cannot be written, is copied to a temporary folder. Trusted bundles stay
    unchanged.

    An unfinished training can only be resumed with its own configs, so these are kept, except those of version 0.1.0.

    Raises:
        ConfigError: the settings in the configs do not define a model.
    """
    record = read_record(run) if (run / RECORD).is_file() else {}
    template = {path.name: path for path in template_paths()}.get(record.get("bundle", ""))
    if template is None or record.get("template") == template_digest(template) or is_signed(run):
        return run
    if not _may_be_renewed(run / CHECKPOINT):
        return run
    found, own = ([read_config(folder / "configs" / name) for name in CONFIGS] for folder in (run, template))
    settings = _settings(dict(record["settings"]), found, own)
    spec = check_network({**own[0], **{name: value for name, value in settings.items() if SEPARATOR not in name}})
    described = read_json(run / "configs" / "metadata.json", ()).get(KEY, {}).get("definition")
    if described is not None and described != spec.to_json()["definition"]:
        return run  # the current bundle would build another network from these settings
    check_agrees(found[1], spec, run / "configs" / CONFIGS[1])
    kept = (run / MANIFEST).is_file() or not os.access(run, os.W_OK)
    return _renewed(
        _copied(run) if kept else run, template, {**record, "template": template_digest(template)}, settings, spec
    )


def _may_be_renewed(checkpoint: Path) -> bool:
    if not checkpoint.is_file():
        return True
    state = read_checkpoint(checkpoint, mapped=True)
    return bool(state.get("finished")) or is_earlier(state.get("settings", {}))


def _renewed(
    run: Path, template: Path, record: Mapping[str, Any], settings: Mapping[str, Any], spec: ModelSpec
) -> Path:
    with suppress(TargetExistsError), atomic_directory(run / EARLIER, "metadata.json") as earlier:
        shutil.copytree(run / "configs", earlier, dirs_exist_ok=True)
    with atomic_directory(run / "configs", "metadata.json", overwrite=True) as configs:
        shutil.copytree(template / "configs", configs, dirs_exist_ok=True)
        write_configs(configs, settings, spec)
        _keep_what_belongs_to_weights(run / "configs" / "metadata.json", configs / "metadata.json")
    write_json(run / RECORD, record)
    logging.getLogger(__name__).info(
        "%s was created by another version; its configs were renewed, and the old ones are in %s", run, EARLIER
    )
    return run


def _keep_what_belongs_to_weights(earlier: Path, metadata: Path) -> None:
    found = read_json(earlier, ())
    kept = {name: found[name] for name in (CHECKSUMS, CALIBRATION) if name in found}
    write_json(metadata, read_json(metadata, ()) | kept)


def plain_settings(config: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a config that are settings of a bundle; earlier names are replaced by current ones.

    Args:
        config: of a run, of any version.
        own: the current training config.
    """
    free = FREE | settings_of(own).model_fields.keys()
    values = dict(renamed(*entry) for entry in config.items())
    return {name: value for name, value in values.items() if is_plain(value) and (SEPARATOR in name or name in free)}


def _settings(recorded: Mapping[str, Any], found: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of a run's configs that the current bundle has, and its recorded nested ones."""
    settings = {name: value for name, value in recorded.items() if SEPARATOR in name}
    for step, parts in own[0]["augmentation"].items():
        earlier = next((each for each in _steps(found[0]) if _alike(each, parts)), {})
        kept = {name: value for name, value in earlier.items() if type(value) in (int, float) and name in parts}
        settings |= {f"augmentation::{step}::{name}": value for name, value in kept.items()}
    settings["validation_pixels"] = None  # earlier versions had no limit
    places = {name for config in own for name in config}
    for config in reversed(found):
        plain = plain_settings(config, own[0]).items()
        settings |= {name: value for name, value in plain if SEPARATOR in name or name in places}
    return settings


def _steps(train: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the augmentation steps; earlier versions had them among the other transforms."""
    return [*train.get("augmentation", {}).values(), *train["train"]["preprocessing"]["transforms"]]


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("_target_", "spatial_axis"))


def _copied(run: Path) -> Path:
    folder = process_folder("run")
    return Path(shutil.copytree(run, folder / run.name, ignore=shutil.ignore_patterns("last.ckpt", "eval")))
