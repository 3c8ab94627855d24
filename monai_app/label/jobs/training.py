"""MONAI Label's task of training; the model that counts stays until a better informed one is complete.

A training is ``monai-app train SNAPSHOT RUN`` in a process of its own. One that was stopped, or whose server was
killed, leaves its run folder, and the same training asked for again goes on there: the command says whether it is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio import from_thread
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from monai_app.background.command import run_command
from monai_app.bundle.run_folder import CHECKPOINT
from monai_app.bundle.runs import train_next
from monai_app.errors import AnnotationError, ConfigError
from monai_app.label.models import ServedModel
from monai_app.stack import Stack
from monai_app.training import training_progress


def check_trainable(stack: Stack) -> None:
    """Refuse to train on nothing, before a process is started for it: AnnotationError."""
    if not stack.phases:
        raise AnnotationError(f"{stack.path} has no phases: describe them in its sample.yaml and ingest it again")
    if not stack.train_slices:
        raise AnnotationError(
            f"{stack.path.name} has no label to train on; label a slice and submit it (PUT /datastore/label?image=ID)"
        )


class TrainingTask(TrainTask):
    """Trains a model on the annotations that the stack has now, and lets it count. It is called in a thread.

    Where the model's last training did not come to count and was the same, it is gone on with, and ends with the
    weights of one that was never stopped. Any other training takes its place, and its run and snapshot are gone.

    Args:
        model: the model.
        stack: gives the stack.
        after: is called when the model counts.
    """

    def __init__(self, model: ServedModel, stack: Callable[[], Stack], after: Callable[[], object]) -> None:
        super().__init__(f"train {model.name} on the labelled slices; unlabelled pixels are left out")
        self.model, self.stack, self.after = model, stack, after

    def config(self) -> dict[str, Any]:
        """Return the options that clients show, with what is taken where they are left alone (0: the model's own)."""
        return {"max_epochs": 0, "pretrained": True, "resume": True}

    def stats(self) -> dict[str, Any]:
        """Return which run counts, and of an unfinished one MONAI's ``epoch`` and ``total_epochs``."""
        told, unfinished = {"run": self.model.run_name}, self.model.runs.unfinished
        if unfinished is None:
            return told
        done = None
        with suppress(ConfigError):  # the next training says what is wrong, and begins anew
            done = training_progress(unfinished / CHECKPOINT)
        epochs = {} if done is None else {"epoch": done.epochs, "total_epochs": done.planned}
        return {**told, "unfinished": unfinished.name, **epochs}

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train as `TrainingOptions` say, add what is said to the file ``log``, and return the run's name.

        Raises:
            AppError: it cannot be trained, or failed, with the model that counted before left in place.
        """
        model, stack, epochs = self.model, self.stack(), request["max_epochs"]
        check_trainable(stack)
        options = model.recipe.words({"max_epochs": epochs} if epochs else {})
        if request["pretrained"] and model.run is not None:
            options += ["--from", str(model.run)]
        run = train_next(model.runs, stack, options, request["log"], _in_event_loop, resume=request["resume"])
        self.after()
        return {"run": run.name}


def _in_event_loop(words: Sequence[str], log: Path) -> None:
    from_thread.run(run_command, words, log)
