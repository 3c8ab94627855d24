"""MONAI Label's training task; the active model stays until a new one is complete.

A training is ``monai-app train SNAPSHOT RUN`` in a separate process. If it or the server is stopped, its run folder
remains, and a request for the same training resumes it.
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
    """Raise AnnotationError if there is nothing to train on, before a process is started."""
    if not stack.phases:
        raise AnnotationError(f"{stack.path} has no phases; list them in its sample.yaml and ingest it again")
    if not stack.train_slices:
        raise AnnotationError(
            f"{stack.path.name} has no label to train on; label a slice and submit it (PUT /datastore/label?image=ID)"
        )


class TrainingTask(TrainTask):
    """Trains a model on the current annotations of the stack, and makes it the active one. It is called in a thread.

    If the model's last training is unfinished and was the same, it is resumed, with the same weights as without the
    interruption. Any other training replaces it, with its run and snapshot.

    Args:
        model: the model.
        stack: returns the stack.
        after: called when the model is active.
    """

    def __init__(self, model: ServedModel, stack: Callable[[], Stack], after: Callable[[], object]) -> None:
        super().__init__(f"train {model.name} on the labelled slices; unlabelled pixels are ignored")
        self.model, self.stack, self.after = model, stack, after

    def config(self) -> dict[str, Any]:
        """Return the options that clients show, with their defaults (0 means the model's own)."""
        return {"max_epochs": 0, "pretrained": True, "resume": True}

    def stats(self) -> dict[str, Any]:
        """Return the active run, and MONAI's ``epoch`` and ``total_epochs`` of an unfinished one."""
        status, unfinished = {"run": self.model.run_name}, self.model.runs.unfinished
        if unfinished is None:
            return status
        done = None
        with suppress(ConfigError):  # the next training reports the error and starts over
            done = training_progress(unfinished / CHECKPOINT)
        epochs = {} if done is None else {"epoch": done.epochs, "total_epochs": done.planned}
        return {**status, "unfinished": unfinished.name, **epochs}

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train with `TrainingOptions`, append the output to the file ``log``, and return the run's name.

        Raises:
            AppError: it cannot be trained, or failed; the previous model stays active.
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
