"""Create a run folder: a bundle with the stack's detectors, phases and scaling in its configs.

Training, evaluation, segmentation and export all use this folder, so nothing that belongs to the model exists only on a
command line.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from monai_app import __version__
from monai_app.bundle.checks import check_network, check_sides, check_training
from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import apply_settings, check_literal, read_json, read_overlays
from monai_app.bundle.configs.templates import template_digest
from monai_app.bundle.configs.training_settings import check_settings
from monai_app.bundle.configs.trust import check_trusted, sign
from monai_app.bundle.length.continuation import resume
from monai_app.bundle.pretrained import Transfer, read_source, transfer
from monai_app.bundle.stacks import check_stacks, common_detectors, from_stacks, warn_if_unfamiliar
from monai_app.domain.calibration import CALIBRATION
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.domain.validation import Strict, validated
from monai_app.errors import TargetExistsError
from monai_app.files import atomic_directory, lock, lock_path, write_json
from monai_app.networks.weights import CHECKSUMS, save_checkpoint
from monai_app.stack import Stack
from monai_app.stack.places import check_outside_stores
from monai_app.training.fingerprints import renamed
from monai_app.yamlfile import read_yaml

if TYPE_CHECKING:
    from monai_app.bundle.length.plan import Planner

RECORD = "run.json"
"""File of a run folder that records what it was created from; a resumed run must agree with it."""

INITIAL = "models/initial.pt"
"""File of a run folder with initial weights from another model."""

CHECKPOINT = "models/last.ckpt"
"""File of a run folder from which its training resumes."""

CONFIGS = ("train.yaml", "inference.yaml")
"""The self-contained configs with the model's settings; evaluate.yaml overrides train.yaml."""

OF_THE_TEMPLATE = ("template", "eval_metrics", CHECKSUMS, CALIBRATION)
"""Metadata of the shipped bundle that do not apply to a run: placeholders and scores of other trainings."""


class _Record(Strict):
    """The entries of ``run.json`` that are read."""

    model_config = ConfigDict(extra="ignore")

    bundle: str
    settings: dict[str, Any]


def prepare(
    template: Path,
    stack: Stack,
    run: Path,
    *,
    more_stacks: Sequence[Stack] = (),
    overlays: Sequence[Path] = (),
    settings: Mapping[str, Any] | None = None,
    pretrained: Path | None = None,
    processes: int = 1,
    planner: "Planner | None" = None,
    trust: bool = False,
    overwrite: bool = False,
) -> bool:
    """Create the run folder, or find an existing one that was created from the same inputs.

    Args:
        template: the bundle to copy.
        stack: the stack to train on, which defines phases, scaling and, unless set, the detectors.
        run: the folder to create, atomically.
        more_stacks: further stacks to train on.
        overlays: YAML files of settings; each overrides those before it.
        settings: config ids and values, which override the overlays.
        pretrained: trained bundle with the initial weights, see :func:`~monai_app.bundle.pretrained.transfer`.
        processes: number of processes. It is checked but not recorded: a run may be resumed with another number.
        planner: decides the length of the training, and may extend that of an existing run. None takes it from the
        settings.
        trust: accept and remember settings that name code; otherwise they are refused.
        overwrite: replace an existing folder.

    Returns:
        Whether the folder is new; ``False`` means that an existing run is resumed.

    Raises:
        ConfigError: a setting is unknown, does not fit the stack (such as a detector that it lacks), cannot be trained
        with, or names code.
        StackError: the stack was replaced or annotated while it was read.
        AnnotationError: there is no annotated slice to train on, or too little is labelled.
        TargetExistsError: the folder exists and was created from other inputs.
        BusyError: the folder to replace is being trained by another process.
    """
    check_outside_stores(run)
    source = None if pretrained is None else read_source(pretrained)
    given = dict(renamed(name, value) for name, value in {**read_overlays(overlays), **(settings or {})}.items())
    stacks = [stack, *more_stacks]
    chosen, spec = _complete(given, template, stacks, processes)
    for each in stacks:
        each.check_unchanged()
    identities = [each.identity for each in stacks] if more_stacks else stack.identity
    record = {"bundle": template.name, "stack": identities, "settings": chosen, "monai_app": __version__}
    record |= {"template": template_digest(template), **({} if planner is None else planner.asked)}
    begun: Transfer | None = None
    if source is not None and pretrained is not None:
        weights, old = source
        for each in stacks:
            warn_if_unfamiliar(old, each)
        begun = transfer(weights.state, old, {**read_yaml(template / "configs" / "train.yaml"), **chosen}, spec)
        chosen["pretrained"] = True
        record["pretrained"] = {"weights_sha256": weights.origin.sha256, "transfer": begun.describe()}
    if run.exists() and not overwrite:
        if not (run / RECORD).is_file():
            raise TargetExistsError(
                f"{run} exists and is not a training run; choose another folder, or --overwrite to replace it"
            )
        wanted = json.loads(json.dumps(record))
        begun_at = planner.begun if planner is not None and planner.names_length else None
        resume(run, run / RECORD, read_record(run), wanted, begun_at, settings or ())
        return False
    check_idle(run)
    with atomic_directory(run, RECORD, overwrite=overwrite) as partial:
        shutil.copytree(template, partial, dirs_exist_ok=True)
        write_configs(partial / "configs", chosen, spec)
        _check_configs(partial, run, trust=trust)
        if begun is not None:
            save_checkpoint(begun.state, partial / INITIAL)
        if planner is not None:
            _plan(partial, planner, record)
        (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
    return True


def _plan(partial: Path, planner: "Planner", record: dict[str, Any]) -> None:
    """Write a planner's choices to the configs and record of a run folder."""
    if planned := planner(partial):
        configs = partial / "configs"
        write_configs(configs, planned, check_network({**read_config(configs / CONFIGS[0]), **planned}))
        record["planned"] = planned


def write_configs(configs: Path, settings: Mapping[str, Any], spec: ModelSpec) -> None:
    """Write settings to a bundle's configs, and the specification of its model to its metadata.

    Raises:
        ConfigError: there is no such setting.
    """
    apply_settings([configs / name for name in CONFIGS], settings)
    _describe(configs / "metadata.json", spec)


def describe_again(run: Path, configs: Path) -> None:
    """Update a run folder's metadata if its training config was edited.

    A run with a checkpoint keeps its network: training with another one cannot be resumed.

    Args:
        run: the run folder.
        configs: its configs, which are evaluated and must be trusted.

    Raises:
        ConfigError: they define no network.
    """
    if (run / CHECKPOINT).is_file():
        return
    metadata = run / "configs" / "metadata.json"
    spec = check_network(read_config(configs / "train.yaml"))
    if json.loads(metadata.read_text(encoding="utf8")).get(KEY) != spec.to_json():
        _describe(metadata, spec)


def _describe(metadata: Path, spec: ModelSpec) -> None:
    document = json.loads(metadata.read_text(encoding="utf8"))
    for name in OF_THE_TEMPLATE:
        document.pop(name, None)
    describe_model(document, spec)
    write_json(metadata, document)


def _check_configs(partial: Path, run: Path, *, trust: bool) -> None:
    """Refuse a run folder that cannot be trained, before it is published."""
    if trust:
        sign(partial)
    check_trusted(partial, run, "correct the settings, or give --trust if this is intended")
    check_training(partial / "configs" / "train.yaml", run)


def _complete(
    settings: dict[str, Any], template: Path, stacks: Sequence[Stack], processes: int
) -> tuple[dict[str, Any], ModelSpec]:
    """Add the values of the stacks to the user's settings, check that they are consistent, and build the network."""
    from monai_app.training.processes import share_of

    defaults = read_yaml(template / "configs" / "train.yaml")
    check_settings(settings, defaults)
    check_literal(settings)
    chosen = {**defaults, **settings}
    chosen["detectors"] = settings["detectors"] if "detectors" in settings else common_detectors(stacks)
    share_of(chosen["batch_size"], processes)
    check_stacks(stacks, chosen["detectors"], chosen["slices"])
    found = from_stacks(stacks, chosen)
    spec = check_network({**chosen, **found})
    for stack in stacks:
        check_sides(chosen["crop"], chosen["window"], spec.stride, stack)
    return {**settings, "detectors": chosen["detectors"], "slices": chosen["slices"], **found}, spec


def describe_model(document: dict[str, Any], spec: ModelSpec) -> None:
    """Write a model's specification to the content of a metadata.json, in place."""
    formats = document["network_data_format"]
    for tensor, names in (
        (formats["inputs"]["image"], spec.channel_name),
        (formats["outputs"]["pred"], spec.phase_names),
    ):
        tensor["num_channels"] = len(names)
        tensor["channel_def"] = {str(index): name for index, name in enumerate(names)}
        tensor["spatial_shape"] = [f"{spec.stride}*n"] * 2
    document[KEY] = spec.to_json()


def check_idle(run: Path) -> None:
    """Refuse to replace a run during training.

    Raises:
        BusyError: it is.
    """
    last = run / CHECKPOINT
    if last.parent.is_dir():
        with lock(lock_path(last), f"{run} is being trained by another process; wait for it or choose another folder"):
            pass


def read_record(run: Path) -> dict[str, Any]:
    """Read the record of what a run folder was created from.

    Raises:
        ConfigError: it is missing or damaged, or lacks the bundle's name or the settings.
    """
    record = read_json(run / RECORD, ())
    validated(_Record, record, run / RECORD, "restore it from a copy, or train again")
    return record
