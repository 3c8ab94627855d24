"""How a bundle is trained, or trained again as it was."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.locate import NO_SIZE, size_overlays, template_path, template_paths
from monai_app.bundle.configs.settings import check_literal, read_overlays
from monai_app.bundle.configs.training_settings import NOT_SETTINGS, check_settings
from monai_app.bundle.configs.trust import differences, sign
from monai_app.bundle.prepare import CHECKPOINT, RECORD, prepare, read_record
from monai_app.bundle.renew import usable_run
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.training import epochs_done
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
) -> tuple[Path, bool]:
    """Make the run folder of a training, or find the one of the same training to go on with.

    Args:
        bundle: name or path of the bundle to train.
        stacks: the stacks; the first one is the run's source.
        run: the folder.
        size: settings of this size, or ``"none"``.
        settings: id -> value of further settings.
        processes: that share a batch.
        pretrained: trained bundle whose weights the training begins with.
        trust: trust what the run does unlike this package's bundles.
        overwrite: replace a run folder instead of going on with it.
        report: called with what was done, line by line.

    Returns:
        The folder to train in, and whether it is new.

    Raises:
        AppError: as `prepare` and `usable_run`.
    """
    source, *others = stacks
    new = prepare(
        template_path(bundle),
        source,
        run,
        more_stacks=others,
        overlays=size_overlays(bundle, size),
        settings=settings,
        processes=processes,
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
    done = None if new else epochs_done(run / CHECKPOINT)
    if done is not None:
        report(f"goes on with {run.name} after epoch {done[0]} of {done[1]}")
    return run, new
