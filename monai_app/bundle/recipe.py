"""How a bundle is trained, or trained again in the same way."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        template: name of the bundle of this package.
        size: name of the settings that override it.
        settings: further settings by id.
    """

    template: str
    size: str
    settings: Mapping[str, Any]

    def words(self, settings: Mapping[str, Any]) -> list[str]:
        """Return the options of ``monai-app train``, with settings that override those of the recipe."""
        given = {**self.settings, **settings}.items()
        return [
            *("--bundle", self.template, "--size", self.size),
            *(word for name, value in given for word in ("--set", f"{name}={json.dumps(value)}")),
        ]


def read_recipe(bundle: Path, size: str, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a run folder, to train it again in the same way, or of a bundle of the package.

    Args:
        bundle: the folder.
        size: for a bundle that is trained from random weights; its name is checked in any case.
        settings: override those that the bundle was trained with.

    Raises:
        ConfigError: it has no record of its training, or a size or setting is invalid.
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
            f"bundle {bundle} has no {RECORD}, so it is unknown how it was trained; serve a run folder of "
            "monai-app train, or a package of monai-app package"
        )
    size_overlays(template, size)
    recipe = Recipe(template, laid, {**kept, **settings})
    if settings:  # faults of the recorded settings are not the caller's
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
    """Create the run folder of a training, or find that of the same training to resume.

    Args:
        bundle: name or path of the bundle to train.
        stacks: the stacks; the run records the first one as its source.
        run: the folder.
        size: settings of this size; ``"none"`` means the bundle's own, ``"auto"`` chooses by the minutes.
        settings: id -> value of further settings.
        processes: number of processes that share a batch.
        pretrained: trained bundle with the initial weights.
        trust: trust the code that the bundle brings with it.
        overwrite: replace an existing run folder instead of resuming it.
        report: called with what was done, line by line.
        begun: start time of the command, seconds since 1970: the cost of the training is measured and reported, and a
        finished run may be continued. None does neither.
        minutes: time limit of the command, which decides the number of epochs.
        options: config ids and values of the training call, such as the device.

    Returns:
        The folder to train in, and whether it is new.

    Raises:
        ConfigError: both minutes and epochs are given, the size is ``"auto"`` without minutes, or the minutes are too
        few.
        AppError: see `prepare` and `usable_run`.
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
    if not new and training_progress(run / CHECKPOINT) is None:
        report(f"no epoch of {run.name} was complete: starting from the beginning")
    return run, new
