"""Training from the labels that clients sent; the model that counts stays until a better informed one is complete.

A training that was stopped, or whose server was killed, leaves its run folder, and the same training asked for again
goes on there. What says that it is the same is the run's own record (`bundle/prepare.py`): of the images and
annotations, the settings, and the weights that it began with.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.trust import check_trusted
from monai_app.bundle.prepare import CHECKPOINT, check_idle, prepare
from monai_app.bundle.renew import usable_run
from monai_app.errors import AnnotationError, ConfigError, TargetExistsError
from monai_app.label.models import ServedModel, snapshot_of
from monai_app.stack import Stack, snapshot
from monai_app.training import epochs_done

_log = logging.getLogger(__name__)


def check_trainable(stack: Stack) -> None:
    """Refuse to train on nothing, before a process is started for it.

    Raises:
        AnnotationError: the stack has no phases or no labels to train on.
    """
    if not stack.phases:
        raise AnnotationError(f"{stack.path} has no phases: describe them in its sample.yaml and ingest it again")
    if not stack.train_slices:
        raise AnnotationError(
            f"{stack.path.name} has no label to train on; label a slice and submit it (PUT /datastore/label?image=ID)"
        )


def train(
    model: ServedModel, stack: Stack, *, settings: Mapping[str, Any], pretrained: bool, resume: bool = True
) -> dict[str, Any]:
    """Train a model on the annotations that the stack has now, and let it count.

    Where the model's last training did not come to count and was the same, it is gone on with, and ends with the
    weights of one that was never stopped. Any other training takes its place, and its run and snapshot are gone.

    Args:
        model: the model.
        stack: the stack.
        settings: settings of this training, laid over the model's.
        pretrained: begin with the weights that count now.
        resume: go on with an unfinished training where it is the same; else begin anew.

    Returns:
        The run's name, and the slices it was trained on.

    Raises:
        AppError: it cannot be trained, with the model that counted before left in place.
        BusyError: the process of the training before has not ended yet.
    """
    check_trainable(stack)
    run = model.begin()
    check_idle(run)
    # Labels may come in while this goes on; what is trained on stays as it was, and can be looked up.
    data = snapshot(stack, snapshot_of(run), overwrite=True)
    recipe = model.recipe
    make = partial(
        prepare,
        recipe.template,
        data,
        run,
        overlays=recipe.overlays,
        settings={**recipe.settings, **settings},
        pretrained=model.run if pretrained else None,
    )
    if not (resume and _goes_on(run, make)):
        make(overwrite=True)
    _log.info("training %s on slices %s of %s", run, list(data.train_slices), stack.path.name)
    BundleCommand((run / "configs" / "train.yaml",), {"bundle_root": str(run), "dataset_dir": str(data.path)}).run()
    model.publish(run)
    return {"run": run.name, "slices": list(data.train_slices)}


def _goes_on(run: Path, make: Callable[[], bool]) -> bool:
    """Whether an unfinished run is the same as the one to make, and nothing is wrong with it; else it is replaced."""
    if not run.exists():
        return False
    try:
        make()
    except TargetExistsError:
        _log.info("%s has other labels, settings or weights to begin with: a new training takes its place", run.name)
        return False
    try:
        check_trusted(usable_run(run))  # it was found, and may be of an earlier version
        done = epochs_done(run / CHECKPOINT)
    except ConfigError as error:
        _log.warning("%s cannot be gone on with: a new training takes its place (%s)", run.name, error)
        return False
    if done is None:
        _log.info("begins with %s again, in which no epoch was complete", run.name)
    else:
        _log.info('goes on with %s after epoch %d of %d; {"resume": false} begins anew', run.name, *done)
    return True
