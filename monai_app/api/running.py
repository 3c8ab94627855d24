"""Run and inspect the configs of a run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monai_app.api.given import LogConfig, Show
from monai_app.api.logs import logging_option
from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.applied import Applied, kept_settings
from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.templates import DEFAULT_BUNDLE, config_path, template_path
from monai_app.bundle.configs.trust import trusted_copy
from monai_app.bundle.model import load_model
from monai_app.bundle.renew import usable_run
from monai_app.bundle.segment import warn_of_ignored_changes
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.export import open_exported
from monai_app.files import is_not
from monai_app.inference import Model


def run_trusted(run: Path, command: BundleCommand, show: Show, log_config: LogConfig | None) -> None:
    """Run configs of a run folder if they are trusted.

    Args:
        run: the run folder.
        command: what is run.
        show: called with it before.
        log_config: see `logging_option`.

    Raises:
        ConfigError: they are not trusted.
    """
    with trusted_copy(run) as copy, logging_option(log_config, command.processes) as logging:
        show(command)
        files = tuple(copy / path.relative_to(run) for path in command.config_files)
        replace(command, config_files=files, overrides=command.overrides | {"logging_file": logging}).run()


def run_command(
    run: Path, stacks: Sequence[Path], configs: Sequence[str], processes: int, **options: object
) -> BundleCommand:
    """Return the call of a run folder's configs on stacks; each config overrides those before it.

    For several processes, the config ``multi_gpu_`` plus the last one's name overrides them all. Options are config ids
    or options of MONAI's ``run``; those that are ``None`` are left out.

    Raises:
        ConfigError: a config is missing.
    """
    names = [*configs, f"multi_gpu_{configs[-1]}"] if processes > 1 else configs
    files = tuple(run / "configs" / f"{name}.yaml" for name in names)
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file} does not exist; restore it from a copy, or make the folder again")
    overrides: dict[str, object] = {"bundle_root": str(run), "dataset_dir": str(stacks[0])}
    if len(stacks) > 1:
        overrides["more_stacks"] = [str(stack) for stack in stacks[1:]]
    overrides |= {name: value for name, value in options.items() if value is not None}
    return BundleCommand(files, overrides, processes)


def checked_device(name: str | None, processes: int = 1) -> str | None:
    """Return the name of the device to compute on, or ``None`` if none was requested.

    Raises:
        ConfigError: it does not exist, or several processes would share it.
    """
    if name is None:
        return None
    if processes > 1:
        raise ConfigError(f"device (--device) {name}: each of {processes} processes uses its own device; leave it out")
    from monai_app.device.choose import chosen_device

    return str(chosen_device(str(name)))


def trained_run(run: Path) -> Path:
    """Return the absolute path of a run folder with trained weights.

    Raises:
        ConfigError: it is not a run folder, or nothing was trained yet.
    """
    run = run.absolute()
    if not (run / "configs" / "inference.yaml").is_file():
        problem = is_not(run, "a run folder (it has no configs/inference.yaml)")
        raise ConfigError(f"{problem}; give a run folder, which monai-app train creates")
    if not (run / "models" / "model.pt").is_file():
        raise ConfigError(f"{run} has no trained weights (models/model.pt); run monai-app train first")
    return usable_run(run)


@dataclass(frozen=True)
class Applicable:
    """A model to segment with.

    Attributes:
        model: the model.
        name: the run folder's, or the file's without its suffix.
        settings: the run folder's settings for segmentation.
        command: the ``python -m monai.bundle run`` call of its configs.
    """

    model: Model
    name: str
    settings: dict[str, Any]
    command: BundleCommand


def applied(chosen: Applicable, asked: Mapping[str, Any]) -> Applied:
    """Return the settings for segmentation: the requested ones, otherwise those of the run folder.

    Args:
        chosen: the model.
        asked: see `asked_settings`; axes that its region omits come from the run folder.

    Raises:
        ConfigError: an option or a setting of the run folder is invalid.
    """
    region = {**chosen.settings.get("region", {}), **asked.get("region", {})}
    return validated(Applied, {**chosen.settings, **asked, "region": region}, "segment")


def applicable(path: Path) -> Applicable:
    """Return the model of a run folder or an exported file; no config is evaluated.

    Raises:
        ConfigError: it is neither, has no weights, or does not match its description.
    """
    path = path.absolute()
    if path.is_file():
        template = template_path(DEFAULT_BUNDLE)
        configs = (template / "configs" / "inference.yaml", config_path("tasks", "exported"))
        command = BundleCommand(configs, {"bundle_root": str(template), "exported": str(path)})
        return Applicable(open_exported(str(path)), path.stem, {}, command)
    run = trained_run(path)
    inference = run / "configs" / "inference.yaml"
    config = read_config(inference)
    settings = kept_settings(config, inference)
    warn_of_ignored_changes(config, inference)
    return Applicable(load_model(run), run.name, settings, BundleCommand((inference,), {"bundle_root": str(run)}))
