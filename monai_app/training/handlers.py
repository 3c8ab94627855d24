"""Ignite handlers: progress, pictures, and aborting a training that diverged or whose stack was replaced."""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from ignite.distributed import all_gather
from ignite.engine import Engine, Events
from ignite.metrics import ConfusionMatrix
from monai.engines.utils import IterationEvents
from monai.handlers import StatsHandler
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import DivergedError, StackError, user_error
from monai_app.metrics.scores import score
from monai_app.pictures import draw_item
from monai_app.progress import Progress, duration, shown_progress, silent
from monai_app.stack import Stack
from monai_app.storage import refused
from monai_app.training.checkpoints import at_failure
from monai_app.training.losses import LabelledPixels

log = logging.getLogger(__name__)

_MINUTE = 60.0


class EpochProgress:
    """Log the training's progress after every epoch: loss, validation metrics, rate and remaining time.

    Within an epoch, a bar on a terminal shows its steps, and a line a minute otherwise. Attach to the trainer after its
    ``ValidationHandler``; ``evaluator`` is the validating engine.
    """

    def __init__(self, evaluator: Engine) -> None:
        self.evaluator = evaluator
        self._begun, self._first = 0.0, -1
        self._losses: list[float] = []
        self._shown = ExitStack()
        self._progress: Progress = silent

    def attach(self, engine: Engine) -> None:
        """Follow the trainer's iterations and epochs."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._report)
        at_failure(engine, self._close)

    def _start(self, engine: Engine) -> None:
        if self._first < 0:  # the first epoch of this process, which is later for a resumed run
            self._begun, self._first = time.monotonic(), engine.state.epoch - 1
        if log.isEnabledFor(logging.INFO):
            title = f"epoch {engine.state.epoch}/{engine.state.max_epochs}"
            shown = shown_progress(title, "step", log.info, interval=_MINUTE, keep=False)
            self._progress = self._shown.enter_context(shown)
        self._progress(0, engine.state.epoch_length or 0)

    def _collect(self, engine: Engine) -> None:
        self._losses.append(float(engine.state.output[0]["loss"]))  # type: ignore[index]
        length = engine.state.epoch_length or 0
        self._progress((engine.state.iteration - 1) % length + 1, length)

    def _report(self, engine: Engine) -> None:
        self._close()
        epoch, epochs = engine.state.epoch, engine.state.max_epochs or engine.state.epoch
        seconds = (time.monotonic() - self._begun) / (epoch - self._first)
        loss, self._losses = sum(self._losses) / max(len(self._losses), 1), []
        metrics = "".join(f", {name} {value:.4f}" for name, value in self.evaluator.state.metrics.items())
        left = duration(seconds * (epochs - epoch))
        log.info("epoch %d/%d: loss %.4f%s; %.1f s per epoch, %s left", epoch, epochs, loss, metrics, seconds, left)

    def _close(self) -> None:
        self._shown.close()


class Stats(StatsHandler):
    """MONAI's log of an engine's metrics, without tracebacks of errors that the user can correct."""

    def exception_raised(self, engine: Engine, e: Exception) -> None:
        """Log an unexpected error, and raise it as MONAI does."""
        if user_error(e) or refused(e):
            raise e
        super().exception_raised(engine, e)


class FiniteLoss:
    """Stop a training at the first loss that is not finite, before it affects the weights.

    Attach to the trainer, in every process.
    """

    def attach(self, engine: Engine) -> None:
        """Check every loss before its gradient is computed."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the loss of the current step.

        Raises:
            DivergedError: it is not finite.
        """
        trainer: Any = engine
        loss = float(trainer.state.output["loss"].detach())
        if math.isfinite(loss):
            return
        remedy = "a lower learning_rate" + (", or --no-amp" if trainer.amp else "")
        raise DivergedError(
            f"the loss is {loss} in step {trainer.state.iteration} of the training (epoch {trainer.state.epoch}, "
            f"learning rate {trainer.optimizer.param_groups[0]['lr']:.3g} in this step): the training diverged. Train "
            f"again with {remedy}; models/model.pt, if it exists, has the best weights of the previous epochs"
        )


class SameStack:
    """Stop a training if a stack was replaced: before the first step, and before an epoch's weights are saved.

    Pixels and annotations are read before the training starts and kept, so annotating a stack later changes nothing
    of it. Attach to the trainer before all others, in every process.

    Args:
        items: of the training slices, see :func:`monai_app.transforms.annotated_items`.
        models: the folder that weights go to; the ``run.json`` beside it, if there is one, names the stacks that the
            run was made of.

    Raises:
        StackError: when the trainer starts, or between its epochs, if a stack is not the one that was read and that
            the record names.
    """

    def __init__(self, items: Sequence[Mapping[str, Any]], models: str) -> None:
        read = {str(item["image"]): item["identity"] for item in items}
        self._stacks = [Stack.open(path, identity=identity) for path, identity in read.items()]
        self._record = Path(models).with_name("run.json")

    def attach(self, engine: Engine) -> None:
        """Check the stacks when the trainer starts, and after each epoch."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: [stack.reopened() for stack in self._stacks])

    def _start(self, engine: Engine) -> None:
        for stack in self._stacks:
            stack.check_unchanged()
        own = ",".join(stack.identity for stack in self._stacks)
        made_of = json.loads(self._record.read_text(encoding="utf8")).get("stack") if self._record.is_file() else None
        made_of = ",".join(made_of) if isinstance(made_of, list) else made_of
        identities = cast(list[str], all_gather(own))  # of all processes
        if {made_of or own, *identities} != {own}:
            raise StackError(
                f"{' or '.join(str(stack.path) for stack in self._stacks)} was replaced or annotated since "
                f"{self._record.parent} was created or while it was read, or these are other stacks; train in another "
                "folder, or with --overwrite"
            )


class TrainingCurves:
    """Write the learning rate and the terms of the loss of every step to TensorBoard.

    Attach to the trainer before its ``LrScheduleHandler``: the rate is that of the step.
    """

    def __init__(self, writer: SummaryWriter, loss: LabelledPixels, optimizer: Optimizer) -> None:
        self.writer, self.loss, self.optimizer = writer, loss, optimizer

    def attach(self, engine: Engine) -> None:
        """Follow the trainer's steps."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the values of the step that was done."""
        step = engine.state.iteration
        self.writer.add_scalar("learning_rate", self.optimizer.param_groups[0]["lr"], step)
        for name, value in self.loss.parts.items():
            self.writer.add_scalar(f"train_loss/{name}", float(value), step)


class PhaseCurves:
    """Write the validation IoU of every annotated phase to TensorBoard.

    Attach to the evaluator of every process: their counts are added up. ``writer`` is ``None`` in all but the first;
    ``confusion`` is what the evaluator's mean IoU is computed from.
    """

    def __init__(self, writer: SummaryWriter | None, confusion: ConfusionMatrix, spec: ModelSpec) -> None:
        self.writer, self.confusion, self.phases = writer, confusion, [phase.name for phase in spec.phases]

    def attach(self, engine: Engine) -> None:
        """Write the scores after every validation."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the values of the validation that was done."""
        counts = self.confusion.compute().cpu().numpy()
        if self.writer is None:
            return
        for each in score(counts, self.phases).phases:
            if each.support:
                self.writer.add_scalar(f"val_iou/{each.phase}", each.iou, engine.state.epoch)


class ValidationPictures:
    """Write a validated slice to TensorBoard: input detectors, truth, prediction, errors.

    Attach to the evaluator. Every ``interval``-th of its runs shows a slice, each time the next one.
    """

    def __init__(self, writer: SummaryWriter, spec: ModelSpec, interval: int = 1) -> None:
        self.writer, self.spec, self.interval = writer, spec, interval

    def attach(self, engine: Engine) -> None:
        """Follow the evaluator's iterations."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Draw the current slice if it is this epoch's turn."""
        state = engine.state  # MONAI gives its evaluator the trainer's epoch
        shown, skipped = divmod(state.epoch - 1, self.interval)
        length = state.epoch_length or 1
        if skipped or (state.iteration - 1) % length != shown % length:
            return
        item = state.output[0]  # type: ignore[index]
        figure = draw_item(item, self.spec, f"epoch {state.epoch}")
        self.writer.add_figure("validation", figure, global_step=state.epoch)
