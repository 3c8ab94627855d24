"""Make a package of a trained run: a bundle that says what it is, where it comes from, and can check itself."""

import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.bundle.packages.archive import pack
from monai_app.bundle.packages.description import describe, provenance_of
from monai_app.bundle.packages.manifest import write_manifest
from monai_app.bundle.packages.tile import FOLDER, write_test_tile
from monai_app.bundle.run_folder import RECORD
from monai_app.errors import ConfigError
from monai_app.files import check_file_target, file_sha256, work_folder
from monai_app.inference import Model
from monai_app.names import check_file_name
from monai_app.networks.calibration import read_calibration
from monai_app.stack import Stack
from monai_app.stack.places import check_outside_stores
from monai_app.training.evaluation import POOLED, pooled_path

WEIGHTS = "models/model.pt"

COPIED = ("LICENSE", "configs", "docs", WEIGHTS, RECORD)
"""What of a run folder goes into a package, where it is there."""

_NAME = re.compile(r"\w[\w+.-]*", re.ASCII)


def package(run: Path, stack: Stack, target: Path, *, unscored: bool = False, overwrite: bool = False) -> Path:
    """Make a package of a trained run.

    It is a zip file with one folder, named like the file: the bundle with weights, scores, a test tile,
    ``provenance.json`` and ``manifest.json`` (the hash of every file). The same run gives the same bytes.

    Args:
        run: run folder with trained weights.
        stack: where the test tile is cut out, usually the stack that was trained on; its pixels go into the package.
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
        write_test_tile(folder / FOLDER, model, stack)
        describe(folder, model, provenance_of(run, model, stack), scores)
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
        found = "they belong to other weights or another temperature" if scores is not None else _what_is_there(run)
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
        raise ConfigError(f"{run} was trained or evaluated while it was packed; run the same command again")
    for each in () if scores is None else scores["stacks"]:
        path = folder / Path(POOLED).parent / each["folder"] / Path(POOLED).name
        own = read_json(path, ("weights_sha256", "stack_identity"))
        if not _is_of(own, model) or own["stack_identity"] != each["stack_identity"]:
            raise ConfigError(f"{path.relative_to(folder)} is not what {POOLED} lists; run monai-app evaluate again")
