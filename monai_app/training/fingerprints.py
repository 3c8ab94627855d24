"""The settings that determine the weights of a training: its config without paths, reports and process counts."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, cast

from monai_app.stack import Stack

RENAMED: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "deformed": ("augmentation::deform::prob", lambda value: value),
    "rotation": ("augmentation::deform::rotate_range", lambda value: value),
    "zoom": ("augmentation::deform::scale_range", lambda value: [value, value]),
    "elastic": ("augmentation::deform::magnitude_range", lambda value: [0, value]),
    "rotate90": ("augmentation::rotate90::prob", lambda value: value),
}
"""Settings of earlier versions, the ids that they have now, and their values there."""

_PLACES = {
    "train::trainer::max_epochs",
    "bundle_root",
    "dataset_dir",
    "more_stacks",
    "stacks",
    "models_dir",
    "output_dir",
    "device",
    "workers",
    "imports",
    "finalize",
}
_REPORTS = {"picture_interval", "summary_writer", "resume", "calibrate"}
# Overrides in multi_gpu_train.yaml: the weights do not depend on the number of processes.
_SHARED_WORK = {"group", "rank", "processes", "network", "train::trainer::network", "train::trainer::loss_function"}
_LEFT_OUT = _PLACES | _REPORTS | _SHARED_WORK
_REPORTERS = {
    "MLFlowHandler",
    "StatsHandler",
    "TensorBoardStatsHandler",
    "monai_app.training.EpochProgress",
    "monai_app.training.FiniteLoss",
    "monai_app.training.PhaseCurves",
    "monai_app.training.SameStack",
    "monai_app.training.Stats",
    "monai_app.training.TrainingCurves",
    "monai_app.training.ValidationPictures",
}


def fingerprint(**more: Any) -> dict[str, Any]:
    """Return id and value of everything in the running config that determines the weights.

    For an expression of a bundle's config. MONAI gives an expression no way to the config that it stands in, so the
    parser that evaluates it is looked up on the call stack.

    Args:
        more: other values that determine the weights, such as the identity of the stack.

    Returns:
        Ids such as ``augmentation::gain::prob`` and the plain values or expressions that the config has there, with
        overrides of the command line and overlays.
    """
    # Whatever reads a run folder needs the names above, and not MONAI.
    from monai.bundle import ConfigParser
    from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

    parser = next((each for each in _callers() if isinstance(each, ConfigParser)), None)
    if parser is None:
        raise RuntimeError("fingerprint() is for expressions of a config that MONAI evaluates")
    left_out = _LEFT_OUT | cast(Mapping[str, Any], DEFAULT_MLFLOW_SETTINGS["configs"]).keys()
    return {**dict(_leaves(parser.config, left_out)), **more}


def identities(stacks: Sequence[str]) -> str | list[str]:
    """Return the identity of a stack, or of each of several, by their paths."""
    found = [Stack.open(path).identity for path in stacks]
    return found[0] if len(found) == 1 else found


def is_earlier(settings: Mapping[str, Any]) -> bool:
    """Whether the settings of a checkpoint are the 22 that earlier versions kept."""
    return isinstance(settings.get("network"), Mapping)


def translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of an earlier version under the ids that they have now."""
    flat = {**settings, **settings.get("network", {})}
    flat.pop("network", None)
    return dict(renamed(name, value) for name, value in flat.items())


def renamed(name: str, value: Any) -> tuple[str, Any]:
    """Return id and value of a setting, which may have the name that it had in earlier versions."""
    new, convert = RENAMED.get(name, (name, lambda value: value))
    return new, convert(value)


def _callers() -> Iterator[Any]:
    """Yield the objects whose methods are being called, from the innermost."""
    frame = inspect.currentframe()
    while frame is not None:
        yield frame.f_locals.get("self")
        frame = frame.f_back


def _leaves(value: Any, left_out: Set[str], place: str = "") -> Iterator[tuple[str, Any]]:
    if place in left_out or place.startswith("_"):  # MONAI keeps the metadata at _meta_
        return
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        reported = [each for each in value if not (isinstance(each, dict) and each.get("_target_") in _REPORTERS)]
        value = {str(index): each for index, each in enumerate(reported)}
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, left_out, f"{place}::{name}" if place else str(name))
    else:
        yield place, value
