"""How a bundle is trained, or trained again as it was."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import check_literal, read_overlays
from monai_app.bundle.configs.templates import NO_SIZE, size_overlays, template_path, template_paths
from monai_app.bundle.configs.training_settings import NOT_SETTINGS, check_settings
from monai_app.bundle.configs.trust import differences, sign
from monai_app.bundle.length.plan import Planner, check_length
from monai_app.bundle.length.size import AUTO, cheapest_size
from monai_app.bundle.renew import usable_run
from monai_app.bundle.run_folder import CHECKPOINT, RECORD, prepare, read_record
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.training import training_progress
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
        trained = {**record["settings"], **record.get("planned", {})}
        kept = {name: value for name, value in trained.items() if name not in NOT_SETTINGS}
    elif bundle.name in [path.name for path in template_paths()]:
        template, laid = bundle.name, size
    else:
        raise ConfigError(
            f"bundle {bundle} holds no {RECORD}, so how it was trained is unknown; serve a run folder of "
            "monai-app train, or a package of monai-app package"
        )
    size_overlays(template, size)
    recipe = Recipe(template, laid, {**kept, **settings})
    if settings:  # what was trained before is no fault of who chooses these
        check_literal(settings)
        defaults = read_yaml(template_path(template) / "configs" / "train.yaml")
        check_settings({**read_overlays(size_overlays(template, laid)), **recipe.settings}, defaults)
    return recipe


def begin_run(
    bundle: str,
    stacks: Sequence[Stack],
    run: Path,
    *,
    size: str,
    settings: Mapping[str, Any],
    processes: int,
    pretrained: Path | None,
    trust: bool,
    overwrite: bool,
    report: Callable[[str], None],
    begun: float | None = None,
    minutes: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Path, bool]:
    """Make the run folder of a training, or find the one of the same training to go on with.

    Args:
        bundle: name or path of the bundle to train.
        stacks: the stacks; the first one is the run's source.
        run: the folder.
        size: settings of this size; ``"none"`` has none, and ``"auto"`` is chosen by the minutes.
        settings: id -> value of further settings.
        processes: that share a batch.
        pretrained: trained bundle whose weights the training begins with.
        trust: trust what the run does unlike this package's bundles.
        overwrite: replace a run folder instead of going on with it.
        report: called with what was done, line by line.
        begun: when the command began, seconds since 1970. Then what the training will take is measured and reported,
            and a finished run may become longer. None does neither.
        minutes: what the command may take, which decides the number of epochs.
        options: config ids and values that the training will be run with, such as the device.

    Returns:
        The folder to train in, and whether it is new.

    Raises:
        ConfigError: minutes and epochs are given, a size is to be chosen without minutes, or the minutes are too few.
        AppError: as `prepare` and `usable_run`.
    """
    source, *others = stacks
    check_length(minutes, settings, size)
    planner = None
    if begun is not None:
        shared = {**(options or {}), "processes": processes}
        planner = Planner(minutes, begun, bundle, stacks, size, settings, shared, report)
    if size == AUTO:
        size, settings = cheapest_size(bundle, stacks, settings)
    new = prepare(
        template_path(bundle),
        source,
        run,
        more_stacks=others,
        overlays=size_overlays(bundle, size),
        settings=settings,
        processes=processes,
        planner=planner,
        pretrained=pretrained,
        trust=trust,
        overwrite=overwrite,
    )
    if pretrained is not None:
        for line in json.loads((run / RECORD).read_text(encoding="utf8"))["pretrained"]["transfer"]:
            report(f"from {pretrained}: {line}")
    run = usable_run(run)
    if trust:
        sign(run)
        for line in differences(run):
            report(f"trusted: {line}")
    done = None if new else training_progress(run / CHECKPOINT)
    if done is not None:
        config = read_config(run / "configs" / "train.yaml")
        total = config["max_epochs"] if config.get("continues") == done.epochs else done.planned
        report(f"resumes {run.name} after epoch {done.epochs} of {total}")
    return run, new
