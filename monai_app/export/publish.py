"""Export the model of a run folder: write it, compare it with the original, and publish it."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from monai_app import __version__
from monai_app.bundle.command import command_line
from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.bundle.runs import WEIGHTS
from monai_app.domain.calibration import CALIBRATION
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import ConfigError
from monai_app.export.formats import METADATA, SUFFIXES, Format, format_of, parity_path
from monai_app.export.networks import ExportedNetwork
from monai_app.export.parity import ALLOWED, Parity, check, compare
from monai_app.export.trust import sign
from monai_app.export.writers import WRITERS, check_onnx, write_torchscript
from monai_app.files import atomic_file, check_file_target, lock, lock_path
from monai_app.inference.model import Model
from monai_app.inference.tiling.activations import count_maps
from monai_app.inference.tiling.receptive_field import measure_halo
from monai_app.networks.weights import CHECKSUMS
from monai_app.stack.places import check_outside_stores
from monai_app.storage import check_writable, writing

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """The exported file, and its agreement with the original.

    Attributes:
        file: the exported file.
        parity_file: the comparison as JSON.
        parities: the comparison, a size each.
    """

    file: Path
    parity_file: Path
    parities: tuple[Parity, ...]


def export_run(
    run: Path,
    kind: Format = "torchscript",
    target: Path | None = None,
    *,
    overwrite: bool = False,
    show: Callable[[str], None] = lambda _: None,
) -> Report:
    """Write the model of a run folder as one file, with its metadata, and compare the two.

    Args:
        run: the run folder.
        kind: the format.
        target: the file; None is ``models/model`` with the format's suffix in the run folder.
        overwrite: replace an existing file.
        show: takes the ``python -m monai.bundle`` line that does the same, if there is one.

    Raises:
        ConfigError: the run folder or the target does not fit, a package is missing, or the file would give other
            labels than the run folder, or the weights were replaced meanwhile; nothing is written then.
        TargetExistsError: the file is there already.
        BusyError: another process is writing it.
        StorageError: the file cannot be written.
    """
    path = _checked_target(run, kind, target, overwrite)
    check_writable(path.parent, "name a file in a place that can be written")
    if kind == "onnx":
        check_onnx()
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(lock_path(path), f"{path} is being written by another process; wait for it, or choose another name"):
        _checked_target(run, kind, target, overwrite)
        return _export(run, kind, path, show)


def _export(run: Path, kind: Format, path: Path, show: Callable[[str], None]) -> Report:
    model = load_model(run)
    model.spec.check_common_scaling(f"{run} cannot be exported")
    channels, stride = len(model.spec.channel_name), model.spec.stride
    measured = {"halo": measure_halo(model), "maps": count_maps(model.network, channels, stride)}
    spec = model.spec.replaced(**measured)
    metadata = read_json(run / "configs" / "metadata.json", ())
    metadata |= {KEY: spec.to_json(), CHECKSUMS: {WEIGHTS.as_posix(): [model.sha256]}}
    if model.calibration is None:  # there may be that of other weights
        metadata.pop(CALIBRATION, None)
    parity_file = parity_path(path)
    with ExitStack() as stack:
        partial, partial_report = (stack.enter_context(atomic_file(each)) for each in (path, parity_file))
        if kind == "torchscript":
            show(command_line("ckpt_export", _ckpt_export_arguments(run, spec, path)))
            config = read_config(run / "configs" / "inference.yaml")
            with writing(path):
                write_torchscript(model.network, {METADATA: metadata, "inference.json": config}, partial)
        else:
            with writing(path):
                WRITERS[kind](model.network, channels, stride, metadata, partial)
        exported = ExportedNetwork.read(partial, kind)
        parities = tuple(compare(model.network, exported, channels, stride))
        check(parities, kind)
        model.origin.check()
        report = _as_json(path, kind, model, exported, parities)
        partial_report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf8")
        _sign(exported)  # before it has its name: a run that is killed then is not refused
    return Report(path, parity_file, parities)


def _sign(exported: ExportedNetwork) -> None:
    try:
        sign(exported.content)
    except OSError as error:  # a home that cannot be written: the file is whole all the same
        _log.warning("the export cannot be signed (%s); segmenting with it will ask for `monai-app trust`", error)


def _checked_target(run: Path, kind: Format, target: Path | None, overwrite: bool) -> Path:
    path = (target or run / "models" / f"model{SUFFIXES[kind]}").absolute()
    if format_of(path) != kind:
        raise ConfigError(
            f"target {path}: a file of format {kind} must end in {SUFFIXES[kind]}; rename it, or change --format"
        )
    check_outside_stores(path)
    check_file_target(path, overwrite=overwrite)
    return path


def _ckpt_export_arguments(run: Path, spec: ModelSpec, target: Path) -> dict[str, Any]:
    """Return the arguments of MONAI's ``ckpt_export``, with which it writes what was measured into the metadata."""
    measured = {f"_meta_::{KEY}::{name}": getattr(spec, name) for name in ("halo", "maps")}
    config = run / "configs" / "inference.yaml"
    return {"bundle_root": str(run), "config_file": str(config), "filepath": str(target), **measured}


def _as_json(
    path: Path, kind: Format, model: Model, exported: ExportedNetwork, parities: Sequence[Parity]
) -> dict[str, Any]:
    return {
        "file": path.name,
        "format": kind,
        "sha256": exported.sha256,
        "weights_sha256": model.sha256,
        "allowed_share": ALLOWED[kind],
        "sizes": [{**asdict(parity), "pixels": parity.pixels} for parity in parities],
        "torch": torch.__version__,
        "monai_app": __version__,
    }
