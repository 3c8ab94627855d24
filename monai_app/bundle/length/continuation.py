"""Existing run folders: their training is resumed, continued beyond its end, or refused."""

import math
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import apply_settings
from monai_app.bundle.configs.training_settings import MOST_COUNT
from monai_app.bundle.configs.trust import FROM_STACK
from monai_app.domain.validation import shown
from monai_app.errors import TargetExistsError
from monai_app.files import atomic_file, lock, lock_path, write_json
from monai_app.progress import counted, duration
from monai_app.training import TrainingProgress, training_progress
from monai_app.training.fingerprints import renamed
from monai_app.training.length.progress import LENGTH

CONTINUATIONS = "continuations"
"""Entry of ``run.json``: the epochs after which a finished training was continued, and the new lengths, in order."""

_NOT_COMPARED = ("monai_app", "template", "training_stacks", "planned", "settings", "minutes", CONTINUATIONS)
_DESCRIPTIONS = {
    "stack": "its stack is different, or was annotated or ingested again",
    "pretrained": "it started from other weights (--from)",
}
"""Descriptions of entries whose values are not readable."""


def resume(
    run: Path,
    record: Path,
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    begun: float | None,
    given: Collection[str] = (),
) -> None:
    """Resume a run, or continue a finished one if more epochs or minutes are requested.

    A continuation is written to the record first, so a kill leaves either the finished run or the continuation.

    Args:
        run: the run folder.
        record: its ``run.json``.
        found: its content.
        wanted: the content for the requested training.
        begun: start time of the command that names a length, seconds since 1970; None keeps the run's length.
        given: names of the user's settings.

    Raises:
        TargetExistsError: the run was created from other inputs, or its length cannot be changed to the requested one.
        BusyError: it is being trained.
    """
    config = run / "configs" / "train.yaml"
    own, now = _option(found), _option(wanted)
    if others := list(_differences(found, wanted)):
        raise TargetExistsError(
            f"{run} was created from other inputs: {'; '.join(others)}. Choose another folder (--from {run} starts "
            "from its weights), or --overwrite to train from scratch"
        )
    if own == now:
        if CONTINUATIONS in found:
            _write(config, found["planned"])
        return
    default = {"max_epochs": read_config(config)["max_epochs"]}
    found = {**found, "settings": {**default, **found["settings"]}}
    if begun is None:
        raise TargetExistsError(
            f"{run} has {_length(found)} and this training would have {_length(wanted)}: give --{_option(found)} to "
            "resume it; when it is finished, give more --epochs or --minutes to continue it"
        )
    checkpoint = run / "models" / "last.ckpt"
    settings = _continued(run, training_progress(checkpoint), found, wanted, begun)
    if "patience" in given:
        settings.pop("patience", None)
    declared = _declared(found, wanted, settings)
    with lock(lock_path(checkpoint), f"{run} is being trained by another process; wait for it"):
        write_json(record, declared)
        _write(config, declared["planned"])


def _continued(
    run: Path, done: TrainingProgress | None, found: Mapping[str, Any], wanted: Mapping[str, Any], begun: float
) -> dict[str, Any]:
    """Return the settings of a continuation."""
    if done is None or not done.finished:
        at = "has no complete epoch yet" if done is None else f"is at epoch {done.epochs} of {done.planned}"
        raise TargetExistsError(
            f"{run} {at}: finish it with --{_option(found)} first; --{_option(wanted)} then continues it"
        )
    if found.get("template") != wanted["template"] or not done.seconds:  # whose configs may have been renewed
        raise TargetExistsError(
            f"{run} was created by another version, and its training cannot be continued; train in another folder "
            f"with --from {run}"
        )
    shorter = TargetExistsError(
        f"{run} is finished, and its length is {_length(found)}: give more to continue it, or choose another folder"
    )
    if "minutes" not in wanted:
        total = wanted["settings"].get("max_epochs", 0)
        if total <= max(done.epochs, done.planned):
            raise shorter
        return {"max_epochs": total, "continues": done.epochs, "minutes": None, "pace": None}
    before = _lengths(found, begun_from=done.epochs)[-1]
    more = 60 * wanted["minutes"] - (60 * before["minutes"] if "minutes" in before else done.seconds)
    left = more - (time.time() - begun)
    if more <= 0:
        raise shorter
    epoch = done.seconds / done.epochs
    if left < epoch:
        least = wanted["minutes"] + (epoch - left) / 60
        raise TargetExistsError(
            f"{run}: an epoch takes {duration(epoch)}, more than --minutes {wanted['minutes']:g} adds to it; give "
            f"--minutes {math.ceil(10 * least) / 10:g} or more, or --epochs {done.epochs + 1}"
        )
    total = done.epochs + round(left / epoch)
    minutes = round((done.seconds + left) / 60, 4)
    return {"max_epochs": total, "continues": done.epochs, "minutes": minutes, "pace": None, "patience": MOST_COUNT}


def _declared(found: Mapping[str, Any], wanted: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run that is continued with these settings."""
    to = {name: wanted[name] for name in ("minutes",) if name in wanted} or {"max_epochs": settings["max_epochs"]}
    first = settings["continues"]
    begun = [each for each in found.get(CONTINUATIONS, []) if each["continues"] != first]
    continuations = [*begun, {"continues": first, **to}]
    return {**found, "planned": {**found.get("planned", {}), **settings}, CONTINUATIONS: continuations}


def _write(config: Path, planned: Mapping[str, Any]) -> None:
    """Update the length in a training config to that of the record."""
    settings = {name: planned[name] for name in LENGTH if name in planned}
    current = read_config(config)
    if any(current.get(name) != value for name, value in settings.items()):
        with atomic_file(config) as temporary:
            shutil.copy(config, temporary)
            apply_settings([temporary], settings)


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Describe the differences of two training records, except for the length."""
    for name in sorted({*found, *wanted} - {*_NOT_COMPARED}):
        if found.get(name) != wanted.get(name):
            yield _DESCRIPTIONS.get(name, f"{name} is {found.get(name)!r} there and {wanted.get(name)!r} now")
    old, new = (dict(renamed(*entry) for entry in record["settings"].items()) for record in (found, wanted))
    for name in sorted({*old, *new} - {*FROM_STACK, "max_epochs"}):
        if old.get(name) != new.get(name):
            yield f"{name} is {shown(old.get(name))} there and {shown(new.get(name))} now"


def _lengths(record: Mapping[str, Any], begun_from: int | None = None) -> list[Mapping[str, Any]]:
    """Return the successive lengths of a training, without a continuation that has not been trained yet."""
    first = record if "minutes" in record else record["settings"]
    return [first, *(each for each in record.get(CONTINUATIONS, []) if each["continues"] != begun_from)]


def _length(record: Mapping[str, Any]) -> str:
    last = _lengths(record)[-1]
    if "minutes" in last:
        return f"{last['minutes']:g} min"
    epochs = last.get("max_epochs")
    return "default epochs" if epochs is None else counted(epochs, "epoch")


def _option(record: Mapping[str, Any]) -> str:
    number, unit = _length(record).rsplit(" ", 1)
    return f"{'minutes' if unit == 'min' else unit} {number}"
