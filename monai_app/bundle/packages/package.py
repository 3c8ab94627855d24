"""Make a package of a trained run: a bundle that says what it is, where it comes from, and can check itself."""

import json
import logging
import re
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from monai.bundle import ConfigParser

from monai_app import __version__
from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.bundle.packages.archive import MANIFEST, pack, write_manifest
from monai_app.bundle.packages.golden import FOLDER, write_golden
from monai_app.bundle.prepare import RECORD, read_record
from monai_app.errors import ConfigError
from monai_app.files import check_file_target, file_sha256, work_folder
from monai_app.inference import Model
from monai_app.names import check_file_name
from monai_app.networks.calibration import read_calibration
from monai_app.stack import Stack
from monai_app.stack.places import check_outside_stores
from monai_app.training.evaluation import POOLED, pooled_path

PROVENANCE = "provenance.json"
"""File of a package that says which data, settings, seed and versions its weights come from."""

WEIGHTS = "models/model.pt"

COPIED = ("LICENSE", "configs", "docs", WEIGHTS, RECORD)
"""What of a run folder goes into a package, where it is there."""

README = "docs/README.md"

_NAME = re.compile(r"\w[\w+.-]*", re.ASCII)


def package(run: Path, stack: Stack, target: Path, *, unscored: bool = False, overwrite: bool = False) -> Path:
    """Make a package of a trained run.

    It is a zip file with one folder, named like the file: the bundle with weights, scores, a golden tile,
    ``provenance.json`` and ``manifest.json`` (the hash of every file). The same run gives the same bytes.

    Args:
        run: run folder with trained weights.
        stack: where the golden tile is cut out, usually the stack that was trained on; its pixels go into the package.
        target: file to write, ``NAME.zip``.
        unscored: allow a model without scores.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the weights were not scored, or don't fit, or were replaced meanwhile; the target's name does not
            end in ``.zip``.
        TargetExistsError: the file exists and may not be replaced.
        BusyError: another process is writing it.
        StackError: the stack's pixels are of another type than the model's, or it was replaced meanwhile.
    """
    check_target(target, run, overwrite=overwrite)
    model = load_model(run)
    model.spec.check_common_scaling(f"{run} cannot be packaged")
    scores = read_scores(run, model, unscored)
    with work_folder(target.absolute(), f"{target} is being written by another process; wait for it") as work:
        folder = work / target.stem
        _copy(run, folder, scores)
        write_golden(folder / FOLDER, model, stack)
        provenance = provenance_of(run, model, stack)
        (folder / PROVENANCE).write_text(_json(provenance), encoding="utf8")
        _complete_metadata(folder / "configs" / "metadata.json", provenance, scores)
        _complete_readme(folder / README, target.stem, model, provenance, scores)
        _check_inputs(run, folder, model, stack, scores)
        write_manifest(folder)
        pack(folder, target, target.stem)
    return target


def check_target(target: Path, run: Path, *, overwrite: bool) -> None:
    """Refuse a target early.

    Raises:
        ConfigError: its name does not end in ``.zip`` or has odd characters, or it lies in the run folder.
        TargetExistsError: it exists and may not be replaced.
    """
    if target.suffix != ".zip" or not _NAME.fullmatch(target.stem):
        raise ConfigError(f"{target}: a package is NAME.zip, of letters, digits, '_', '+', '-' and '.'; rename it")
    if target.resolve().is_relative_to(run.resolve()):
        raise ConfigError(f"{target} lies in the run folder, which is packed; choose another place")
    check_outside_stores(target)
    check_file_target(target.absolute(), overwrite=overwrite)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)


def read_scores(run: Path, model: Model, unscored: bool) -> dict[str, Any] | None:
    """Return the scores of a run's weights; None where they were not scored.

    Raises:
        ConfigError: there are none, and ``unscored`` does not allow that.
    """
    path = run / POOLED
    scores = (
        read_json(path, ("weights_sha256", "phases", "mean_iou", "pixel_accuracy", "stacks"))
        if path.is_file()
        else None
    )
    if scores is None or not _is_of(scores, model):
        found = "they are of other weights or another temperature" if scores is not None else _what_is_there(run)
        if not unscored:
            raise ConfigError(
                f"{path}: a package says how good its model is, and {found}; run monai-app evaluate first, or give "
                "--unscored"
            )
        logging.getLogger(__name__).warning("the package has no scores: %s", found)
        return None
    return scores


def _is_of(scores: Mapping[str, Any], model: Model) -> bool:
    """Whether scores are of a model's weights and temperature; those of versions before this were of 1."""
    return (scores["weights_sha256"], scores.get("temperature", 1.0)) == (model.sha256, model.temperature)


def _what_is_there(run: Path) -> str:
    """What there is in place of scores of the model on its own detectors."""
    if pooled_path(run, stand_ins=True).is_file():
        return "there are only some of other detectors than the model's (--detector)"
    earlier = (run / "eval" / "scores.json").is_file()
    return "there are only some of an earlier version" if earlier else "there are none"


def _copy(run: Path, folder: Path, scores: Mapping[str, Any] | None) -> None:
    """Copy a run's files; of its evaluation only what belongs to these scores."""
    names = COPIED if scores is None else (*COPIED, *_scores_of(run, scores))
    for name in names:
        source, target = run / name, folder / name
        folders = [run / part for part in Path(name).parents if part != Path()]
        if any(path.is_symlink() for path in (source, *source.rglob("*"), *folders)):
            raise ConfigError(f"{source} is a link or holds one: put the files there, packages hold nothing else")
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _scores_of(run: Path, scores: Mapping[str, Any]) -> list[str]:
    """Files and folders of an evaluation: the pooled scores, their figures, and a folder for each stack."""
    folder = Path(POOLED).parent
    named = (path for path in (run / folder).iterdir() if path.suffix in (".json", ".csv", ".png"))
    files = [path.name for path in named if not path.is_dir()]
    stacks = [check_file_name(each["folder"], f"{run / POOLED}: folder") for each in scores["stacks"]]
    return [str(folder / name) for name in (*sorted(files), *stacks)]


def _check_inputs(run: Path, folder: Path, model: Model, stack: Stack, scores: Mapping[str, Any] | None) -> None:
    """Refuse to pack what is not of one model, one evaluation and one stack, because some were replaced meanwhile."""
    stack.check_unchanged()
    model.origin.check()
    places = () if scores is None else (run / POOLED, folder / POOLED)
    same = all(path.is_file() and read_json(path, ()) == scores for path in places)
    calibrated = read_calibration(folder / WEIGHTS, model.sha256) == model.calibration
    if file_sha256(folder / WEIGHTS) != model.sha256 or not calibrated or not same:
        raise ConfigError(f"{run} was trained or evaluated while it was packed; give the same command again")
    for each in () if scores is None else scores["stacks"]:
        path = folder / Path(POOLED).parent / each["folder"] / Path(POOLED).name
        own = read_json(path, ("weights_sha256", "stack_identity"))
        if not _is_of(own, model) or own["stack_identity"] != each["stack_identity"]:
            raise ConfigError(f"{path.relative_to(folder)} is not what {POOLED} lists; run monai-app evaluate again")


def provenance_of(run: Path, model: Model, stack: Stack) -> dict[str, Any]:
    """Return where a run's weights come from; the stack's name and voxel size only if it was trained on this one."""
    record = read_record(run)
    config = ConfigParser.load_config_file(run / "configs" / "train.yaml")
    trained_on = record["settings"]["trained_on"]
    alone = isinstance(trained_on, Mapping) and stack.ingested == trained_on["identity"]
    return {
        "run": run.name,
        "bundle": record["bundle"],
        "weights_sha256": model.sha256,
        "data": {
            "trained_on": trained_on,
            "name": stack.name if alone else None,
            "voxel_nm": list(stack.voxel_nm) if alone else None,
            "training_stacks": record["settings"].get("training_stacks", []),
        },
        "seed": config["seed"],
        "model": model.describe(),
        "settings": record["settings"],
        "pretrained": record.get("pretrained"),
        "versions": {
            "monai_app": __version__,
            "monai_app at training": record.get("monai_app"),
            "monai": monai.__version__,
            "pytorch": torch.__version__.split("+")[0],
            "numpy": np.__version__,
            "pytorch-ignite": version("pytorch-ignite"),
        },
    }


def _trained_on(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Identity and slices of every training stack."""
    return [data["trained_on"]] if isinstance(data["trained_on"], Mapping) else data["trained_on"]


def _complete_metadata(path: Path, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None) -> None:
    """Write scores, data and versions into the metadata."""
    metadata = json.loads(path.read_text(encoding="utf8"))
    versions, data = provenance["versions"], provenance["data"]
    metadata |= {f"{name}_version": versions[name] for name in ("monai", "pytorch", "numpy")}
    name = f"stack {data['name']!r}" if data["name"] else "a stack"
    metadata["data_source"] = "; ".join(
        f"{name}, identity {each['identity']}, trained on slices {each['slices']}" for each in _trained_on(data)
    )
    metadata.pop("eval_metrics", None)  # of the shipped bundle's experiments
    if scores is not None:
        ious = {f"iou_{row['phase']}": row["iou"] for row in scores["phases"] if row["iou"] is not None}
        whole = {"mean_iou": scores["mean_iou"], "pixel_accuracy": scores["pixel_accuracy"]}
        names = ("stack", "stack_identity", "slices")
        scored_on = [{name: each[name] for name in names} for each in scores["stacks"]]
        metadata["eval_metrics"] = whole | ious | {"scored_on": scored_on}
    path.write_text(_json(metadata), encoding="utf8")


def _complete_readme(
    path: Path, name: str, model: Model, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None
) -> None:
    """Put what this model is before what the bundle's README says of all its models."""
    spec = model.spec
    scaling = [f"{name}: mean {stats.mean}, std {stats.std}" for name, stats in spec.scaling.items()]
    lines = [
        f"# {name}",
        "",
        "A trained model; what holds for every model of its kind stands below.",
        "",
        f"- detectors: {', '.join(spec.detectors)}; {spec.slices} slice(s) at a time; {spec.dtype} pixels",
        f"- grey values are scaled by (grey - mean) / std: {'; '.join(scaling)}",
        f"- phases: {', '.join(f'{phase.value} {phase.name}' for phase in spec.phases)}",
        f"- weights: SHA-256 {model.sha256}; seed {provenance['seed']}",
        *(
            f"- trained on slices {each['slices']} of the stack with the identity {each['identity']}"
            for each in _trained_on(provenance["data"])
        ),
        f"- `{PROVENANCE}` has settings and versions, `{FOLDER}/` a piece of a slice with its labels, `{MANIFEST}` the "
        "hash of every file; `monai-app check` proves them",
        "",
        *score_table(scores),
        "",
    ]
    path.write_text("\n".join(lines) + "\n" + path.read_text(encoding="utf8"), encoding="utf8")


def score_table(scores: Mapping[str, Any] | None) -> list[str]:
    """Return the scores as lines of Markdown."""
    if scores is None:
        return ["This model was not scored."]
    names = ("iou", "dice", "precision", "recall", "fraction_error")
    rows = [
        f"| {row['phase']} | " + " | ".join("-" if row[n] is None else f"{row[n]:.4f}" for n in names) + " |"
        for row in scores["phases"]
    ]
    mean, accuracy = scores["mean_iou"], scores["pixel_accuracy"]
    summary = f"mean IoU {'-' if mean is None else f'{mean:.4f}'}, pixel accuracy {accuracy:.4f}"
    return [
        f"Scores on {_places(scores)}: {summary}.",
        "",
        "| phase | IoU | Dice | precision | recall | fraction error |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _places(scores: Mapping[str, Any]) -> str:
    return "; ".join(
        f"test slice(s) {each['slices']} of stack {each['stack']!r}, identity {each['stack_identity']}"
        for each in scores["stacks"]
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"
