"""Training from the labels that clients sent; the model that counts stays until a better informed one is complete."""

import logging
from collections.abc import Mapping
from typing import Any

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.prepare import prepare
from monai_app.errors import AnnotationError
from monai_app.label.models import ServedModel
from monai_app.stack import Stack, snapshot

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


def train(model: ServedModel, stack: Stack, *, settings: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    """Train a model on the annotations that the stack has now, and let it count.

    Args:
        model: the model.
        stack: the stack.
        settings: settings of this training, laid over the model's.
        pretrained: begin with the weights that count now.

    Returns:
        The run's name, and the slices it was trained on.

    Raises:
        AppError: it cannot be trained, with the model that counted before left in place.
    """
    check_trainable(stack)
    run = model.next_run()
    model.folder.mkdir(parents=True, exist_ok=True)
    # Labels may come in while this goes on; what is trained on stays as it was, and can be looked up.
    data = snapshot(stack, model.folder / f"{run.name}.ome.zarr")
    recipe = model.recipe
    prepare(
        recipe.template,
        data,
        run,
        overlays=recipe.overlays,
        settings={**recipe.settings, **settings},
        pretrained=model.run if pretrained else None,
    )
    _log.info("training %s on slices %s of %s", run, list(data.train_slices), stack.path.name)
    BundleCommand((run / "configs" / "train.yaml",), {"bundle_root": str(run), "dataset_dir": str(data.path)}).run()
    model.publish(run)
    return {"run": run.name, "slices": list(data.train_slices)}
