"""Create a package of a trained run: a bundle with provenance, checksums and a self-test."""

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
"""Files and folders of a run folder that go into a package if they exist."""

_NAME = re.compile(r"\w[\w+.-]*", re.ASCII)


def package(run: Path, stack: Stack, target: Path, *, unscored: bool = False, overwrite: bool = False) -> Path:
    """Create a package of a trained run.

    It is a zip file with one folder of the same name: the bundle with weights, scores, a test tile, ``provenance.json``
    and ``manifest.json`` (the hash of every file). The same run yields the same bytes.

    Args:
        run: run folder with trained weights.
        stack: source of the test tile, usually the training stack; the tile's pixels become part of the package.
        target: file to write, ``NAME.zip``.
        unscored: allow a model without scores.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the weights were not scored, do not fit or were replaced meanwhile, or the target's name does not
        end in ``.zip``.
        TargetExistsError: the file exists and may not be replaced.
        BusyError: another process is writing it.
        StackError: the stack's pixel type differs from the model's, or the stack was replaced meanwhile.
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
    """Check the target before the work starts.

    Raises:
        ConfigError: its name does not end in ``.zip`` or has invalid characters, or it is inside the run folder.
        TargetExistsError: it exists and may not be replaced.
    """
    if target.suffix != ".zip" or not _NAME.fullmatch(target.stem):
        raise ConfigError(f"{target}: a package is NAME.zip, of letters, digits, '_', '+', '-' and '.'; rename it")
    if target.resolve().is_relative_to(run.resolve()):
        raise ConfigError(f"{target} is inside the run folder, which is packed; choose another place")
    check_outside_stores(target)
    check_file_target(target.absolute(), overwrite=overwrite)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)


def read_scores(run: Path, model: Model, unscored: bool) -> dict[str, Any] | None:
    """Return the scores of a run's weights; None if they were not scored.

    Raises:
        ConfigError: there are none, and ``unscored`` is false.
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
                f"{path}: a package needs the scores of its model, but {found}; run monai-app evaluate first, or give "
                "--unscored"
            )
        logging.getLogger(__name__).warning("the package has no scores: %s", found)
        return None
    return scores


def _is_of(scores: Mapping[str, Any], model: Model) -> bool:
    """Whether scores belong to a model's weights and temperature; in earlier versions the temperature was 1."""
    return (scores["weights_sha256"], scores.get("temperature", 1.0)) == (model.sha256, model.temperature)


def _what_is_there(run: Path) -> str:
    """Return what exists instead of scores of the model with its own detectors."""
    if pooled_path(run, stand_ins=True).is_file():
        return "the existing ones are for replaced detectors (--detector)"
    earlier = (run / "eval" / "scores.json").is_file()
    return "the existing ones were written by an earlier version" if earlier else "there are none"


def _copy(run: Path, folder: Path, scores: Mapping[str, Any] | None) -> None:
    """Copy a run's files, and those of its evaluation that belong to these scores."""
    names = COPIED if scores is None else (*COPIED, *_scores_of(run, scores))
    for name in names:
        source, target = run / name, folder / name
        folders = [run / part for part in Path(name).parents if part != Path()]
        if any(path.is_symlink() for path in (source, *source.rglob("*"), *folders)):
            raise ConfigError(
                f"{source} is or contains a link; replace it by the files, because packages cannot contain links"
            )
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _scores_of(run: Path, scores: Mapping[str, Any]) -> list[str]:
    """Return the files of an evaluation: pooled scores, their figures, and a folder for each stack."""
    folder = Path(POOLED).parent
    named = (path for path in (run / folder).iterdir() if path.suffix in (".json", ".csv", ".png"))
    files = [path.name for path in named if not path.is_dir()]
    stacks = [check_file_name(each["folder"], f"{run / POOLED}: folder") for each in scores["stacks"]]
    return [str(folder / name) for name in (*sorted(files), *stacks)]


def _check_inputs(run: Path, folder: Path, model: Model, stack: Stack, scores: Mapping[str, Any] | None) -> None:
    """Check that model, evaluation and stack were not replaced while they were packed."""
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
            raise ConfigError(
                f"{path.relative_to(folder)} differs from what {POOLED} lists; run monai-app evaluate again"
            )
