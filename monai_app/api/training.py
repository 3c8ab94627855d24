"""Train a model."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_app.api.given import LogConfig, PathLike, Report, Show, StackLike, ignore, opened_all, path_of, several
from monai_app.domain.model_spec import ModelSpec
from monai_app.stack.html import html_table

if TYPE_CHECKING:
    from monai_app.bundle.command import BundleCommand

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run(os.PathLike[str]):
    """A run folder: a MONAI bundle with trained weights. It is accepted wherever its path is.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def weights(self) -> Path:
        """The file with the best weights by validation."""
        return self.path / "models" / "model.pt"

    @property
    def spec(self) -> ModelSpec:
        """Detectors, slices, phases and scaling of the model.

        Raises:
            ConfigError: the folder's metadata is missing or damaged.
        """
        from monai_app.bundle.pretrained import read_spec

        return read_spec(self.path / "configs" / "metadata.json")

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        spec = self.spec
        rows = [
            ("run folder", str(self.path)),
            ("network", "" if spec.definition is None else spec.definition.name),
            ("detectors", ", ".join(spec.detectors)),
            ("slices", str(spec.slices)),
            ("phases", ", ".join(spec.phase_names)),
        ]
        return html_table(rows)


def train(
    stacks: StackLike | Sequence[StackLike],
    run: PathLike,
    *,
    variant: str | None = None,
    bundle: str | None = None,
    size: str = "small",
    detectors: str | Sequence[str] | None = None,
    slices: int | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    pretrained: PathLike | None = None,
    processes: int = 1,
    amp: bool | None = None,
    device: str | None = None,
    tracking: str | None = None,
    trust: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    report: Report = _log.info,
    show: Show = ignore,
    log_config: LogConfig | None = None,
) -> Run:
    """Train a model on the annotated slices of one stack or several, as ``monai-app train`` does.

    The same call resumes a training that was stopped. It is logged by Python's ``logging``, a line per epoch;
    several processes log to standard error.

    Args:
        stacks: a stack or several, opened or as paths.
        run: the run folder to create or resume.
        variant: network, detectors and slices, such as ``"sensor3d_ice+tld_3"``.
        bundle: name or path of the bundle to train; None means that of the variant, or the U-Net.
        size: size of the network and its crops: ``"small"`` for a CPU, ``"paper"`` for a GPU, ``"none"`` or ``"auto"``.
        detectors: names of the detectors to use, or one; None means all that the stacks share.
        slices: odd number of slices in the slab; None means that of the variant or bundle.
        epochs: number of epochs; None means that of the size.
        minutes: time limit of the training, instead of epochs.
        seed: the same seed and data give the same weights on a CPU.
        settings: other settings, id -> value (``monai-app settings`` lists them).
        pretrained: run folder to start from; layers that do not fit start from random weights.
        processes: on this machine, one per GPU; they share each batch.
        amp: mixed precision; None means on a GPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; None lets the bundle choose.
        tracking: also record the training with this tracker: ``"mlflow"``.
        trust: trust the code that the bundle brings with it.
        overwrite: replace an existing run folder instead of resuming.
        dry_run: only create the run folder.
        report: called with messages about what was done, line by line; by default they are logged.
        show: called with the equivalent ``python -m monai.bundle run`` command.
        log_config: returns a config of Python's ``logging`` for a stream, which MONAI applies; None leaves logging
            unchanged.

    Returns:
        The run folder.

    Raises:
        ConfigError: a setting is unknown or invalid, or the folder belongs to another training.
        StackError: there is no stack at a path.
        AnnotationError: no annotated slice has the role ``train``.
        TargetExistsError: the folder exists and is not a run folder.
        AppError: the training failed or was stopped.
    """
    begun = time.time()
    from monai_app.api.running import checked_device, run_command
    from monai_app.bundle.checks import check_tracking
    from monai_app.bundle.configs.templates import DEFAULT_BUNDLE
    from monai_app.bundle.configs.variants import read_variant
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.recipe import begin_run
    from monai_app.inspection import warn_of_faults

    names: list[str] | None = None if detectors is None else several(detectors)
    named: dict[str, Any] = {"detectors": names, "slices": slices, "max_epochs": epochs, "seed": seed}
    given = {**(settings or {}), **{name: value for name, value in named.items() if value is not None}}
    check_processes(processes)
    options = {"amp": amp, "device": checked_device(device, processes)}
    if tracking is not None:
        check_tracking(tracking)
    opened = opened_all(stacks)
    if variant is not None:
        bundle, given = read_variant(variant).choose(opened[0], bundle, given)
    path, new = begin_run(
        DEFAULT_BUNDLE if bundle is None else bundle,
        opened,
        path_of(run, "run").absolute(),
        size=size,
        settings=given,
        processes=processes,
        pretrained=None if pretrained is None else path_of(pretrained, "pretrained"),
        trust=trust,
        overwrite=overwrite,
        report=report,
        begun=begun,
        minutes=minutes,
        options=options,
    )
    for stack in opened:
        warn_of_faults(stack)
    paths = [stack.path for stack in opened]
    command = run_command(path, paths, ("train",), processes, **options, tracking=tracking)
    if dry_run:
        show(command)
    else:
        _run(path, command, show, log_config, new=new)
    return Run(path)


def _run(path: Path, command: "BundleCommand", show: Show, log_config: LogConfig | None, *, new: bool) -> None:
    from monai_app.api.running import run_trusted
    from monai_app.bundle.configs.trust import trusted_copy
    from monai_app.bundle.run_folder import describe_again

    with trusted_copy(path) as copy:
        if not new:
            describe_again(path, copy / "configs")  # the user may have edited it
    run_trusted(path, command, show, log_config)
