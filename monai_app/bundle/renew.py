"""Run folders of earlier versions: their configs are written again, from today's bundle and their own settings."""

import atexit
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_app.bundle.checks import check_network
from monai_app.bundle.configs.locate import template_digest, template_paths
from monai_app.bundle.configs.settings import SEPARATOR, read_json
from monai_app.bundle.configs.trust import PLACES, check_trusted, is_plain, may_be_set, read_config
from monai_app.bundle.packages.archive import MANIFEST
from monai_app.bundle.prepare import CONFIGS, RECORD, write_configs
from monai_app.files import atomic_directory, atomic_file
from monai_app.training.fingerprint import renamed

EARLIER = "configs-earlier"
"""Folder of a run with the configs that an earlier version wrote."""


def usable_run(run: Path, *, trust: bool = False) -> Path:
    """Return a run folder whose configs this version runs, and that does nothing unknown.

    A run that was made from an earlier version of a bundle gets the configs of today's with its own settings; plain
    values that were edited by hand stay. The old configs are kept beside, in ``configs-earlier``. A package, and a run
    that cannot be written, is copied into a temporary folder.

    Args:
        run: the run folder.
        trust: the user trusts the configs as they are; nothing is renewed or refused.

    Raises:
        ConfigError: the configs do what no bundle of this program does, or their settings make no model.
    """
    record = read_json(run / RECORD, ("bundle", "settings")) if (run / RECORD).is_file() else {}
    template = {path.name: path for path in template_paths()}.get(record.get("bundle", ""))
    if not trust and template is not None and record.get("template") != template_digest(template):
        kept = (run / MANIFEST).is_file() or not os.access(run, os.W_OK)
        run = _renewed(_copied(run) if kept else run, template, record)
    check_trusted(run, trust=trust)
    return run


def _renewed(run: Path, template: Path, record: Mapping[str, Any]) -> Path:
    found, own = ([read_config(folder / "configs" / name) for name in CONFIGS] for folder in (run, template))
    settings = _settings(dict(record["settings"]), found, own)
    spec = check_network({**own[0], **settings})
    if not (run / EARLIER).exists():
        shutil.copytree(run / "configs", run / EARLIER)
    with atomic_directory(run / "configs", "metadata.json", overwrite=True) as configs:
        shutil.copytree(template / "configs", configs, dirs_exist_ok=True)
        write_configs(configs, settings, spec)
    with atomic_file(run / RECORD) as path:
        path.write_text(json.dumps({**record, "template": template_digest(template)}, indent=2) + "\n")
    logging.getLogger(__name__).info("%s is of another version: configs renewed, the old ones are in %s", run, EARLIER)
    return run


def _settings(recorded: Mapping[str, Any], found: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the plain values of a run's configs that today's bundle has a place for, and its recorded nested ones."""
    places = {name: value for config in reversed(own) for name, value in config.items() if name not in PLACES}
    settings = {name: value for name, value in recorded.items() if SEPARATOR in name}
    for step, parts in places["augmentation"].items():
        earlier = next((each for each in _steps(found[0]) if _alike(each, parts)), {})
        kept = {name: value for name, value in earlier.items() if type(value) in (int, float) and name in parts}
        settings |= {f"augmentation::{step}::{name}": value for name, value in kept.items()}
    for name, value in (renamed(*entry) for config in reversed(found) for entry in config.items()):
        if is_plain(value) and (SEPARATOR in name or (name in places and may_be_set(places[name]))):
            settings[name] = value
    return settings


def _steps(train: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of augmentation; earlier versions had them among the other transforms."""
    return [*train.get("augmentation", {}).values(), *train["train"]["preprocessing"]["transforms"]]


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("_target_", "spatial_axis"))


def _copied(run: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="monai-app-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.copytree(run, folder / run.name, ignore=shutil.ignore_patterns("last.ckpt", "eval")))
