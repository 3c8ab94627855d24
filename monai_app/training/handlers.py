"""Ignite handlers: progress, pictures, and the end of a training that diverged."""

import logging
import math
import time
from typing import Any

from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from monai.handlers import StatsHandler
from torch.utils.tensorboard import SummaryWriter

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import DivergedError, user_error
from monai_app.pictures import draw_item
from monai_app.progress import duration
from monai_app.storage import refused


class EpochProgress:
    """Log the training's progress after every epoch: loss, validation metrics, rate and time left.

    Attach to the trainer after its ``ValidationHandler``; ``evaluator`` is the validating engine.
    """

    def __init__(self, evaluator: Engine) -> None:
        self.evaluator = evaluator
        self._begun, self._first = 0.0, -1
        self._losses: list[float] = []

    def attach(self, engine: Engine) -> None:
        """Follow the trainer's iterations and epochs."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._report)

    def _start(self, engine: Engine) -> None:
        if self._first < 0:  # the first epoch of this process; an interrupted run goes on with a later one
            self._begun, self._first = time.monotonic(), engine.state.epoch - 1

    def _collect(self, engine: Engine) -> None:
        self._losses.append(float(engine.state.output[0]["loss"]))  # type: ignore[index]

    def _report(self, engine: Engine) -> None:
        epoch, epochs = engine.state.epoch, engine.state.max_epochs or engine.state.epoch
        seconds = (time.monotonic() - self._begun) / (epoch - self._first)
        loss, self._losses = sum(self._losses) / max(len(self._losses), 1), []
        metrics = "".join(f", {name} {value:.4f}" for name, value in self.evaluator.state.metrics.items())
        left = duration(seconds * (epochs - epoch))
        logging.getLogger(__name__).info(
            "epoch %d/%d: loss %.4f%s; %.1f s per epoch, %s left", epoch, epochs, loss, metrics, seconds, left
        )


class Stats(StatsHandler):
    """MONAI's log of an engine's metrics, without the traceback of what a person can mend: that is told at the end."""

    def exception_raised(self, engine: Engine, e: Exception) -> None:
        """Log an error that no person can mend, and raise it as MONAI does."""
        if user_error(e) or refused(e):
            raise e
        super().exception_raised(engine, e)


class FiniteLoss:
    """End a training at the first loss that is no finite number, before a step takes it into the weights.

    Attach to the trainer, in every process.
    """

    def attach(self, engine: Engine) -> None:
        """Look at every loss before its gradient is computed."""
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
            f"learning rate {trainer.optimizer.param_groups[0]['lr']:.3g} in this step): it diverged, and nothing more "
            f"would be learned. Train anew with {remedy}; models/model.pt, if it is there, holds the best weights of "
            "the epochs before"
        )


class ValidationPictures:
    """Write a validated slice to TensorBoard: input detectors, truth, prediction, errors.

    Attach to the evaluator. Every ``interval``-th of its runs shows a slice, each time the next one.
    """

    def __init__(self, writer: SummaryWriter, spec: ModelSpec, interval: int = 1) -> None:
        self.writer, self.spec, self.interval = writer, spec, interval

    def attach(self, engine: Engine) -> None:
        """Look at the evaluator's slices."""
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
