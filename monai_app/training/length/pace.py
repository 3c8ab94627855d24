"""Training with a time limit: the number of epochs is adjusted by the clock during training.

The learning-rate schedule has a fixed length in steps. If the plan changes, the rest of the schedule is stretched over
the remaining steps: a step then advances the schedule by more or less than one.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ignite.distributed import broadcast
from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import OneCycleLR

from monai_app.progress import counted, duration

TOLERANCE = 0.03
"""Tolerance of the plan before it is revised, as a share of the time at the start of this process."""

AFTERWARDS = 2.0
"""Validations that the end takes as long as: it predicts the validation slices once more, and fits the temperature."""

_NEWEST = 0.3
"""Share of the last epoch in the mean duration of an epoch: machines slow down and recover."""


def epochs_within(seconds: float, epoch: float, validation: float, interval: int, done: int = 0) -> int:
    """Return the number of epochs whose duration is closest to a time, at least one more than are done.

    Args:
        seconds: that are left.
        epoch: seconds of an epoch without validation.
        validation: seconds of a validation.
        interval: epochs between two validations; the last epoch is always validated.
        done: epochs that are done.
    """
    about = done + round(seconds / (epoch + validation / interval))
    near = range(max(done + 1, about - interval), max(done + 1, about + interval) + 1)
    return min(near, key=lambda total: abs(seconds_of(total, epoch, validation, interval, done) - seconds))


def seconds_of(total: int, epoch: float, validation: float, interval: int, done: int = 0) -> float:
    """Return the seconds that the epochs from ``done`` to ``total`` take; see `epochs_within`."""
    validations = total // interval - done // interval + bool(total % interval)
    return (total - done) * epoch + validations * validation


class Pace:
    """Fit a training into a time limit, and validate its last epoch.

    Before every epoch the time that is left is compared with what the planned epochs will take; where the two differ by
    more than `TOLERANCE` of the time, the number of epochs changes. Until a validation was timed it only becomes
    smaller, because the time that is left for validations is not known. All changes are kept, because they decide the
    weights: given as ``replay`` they happen again, whatever the clock says. Of several processes rank 0 decides.

    Attach to the trainer before its ``LrScheduleHandler``. Its state belongs into the resume checkpoint.

    Args:
        scheduler: one step of it is made after every optimiser step.
        validator: the evaluator that the trainer's ``ValidationHandler`` runs.
        interval: epochs between two validations.
        minutes: what the training takes until the temperature is fitted, interrupted runs included; None leaves the
            number of epochs as it is.
        replay: pairs of epochs: when so many are done, so many are planned in all.
        first: epochs that were done when the schedule began, see `ResumeCheckpoint`.
        started: when the training began, by the clock; None is now.
        clock: gives seconds.
    """

    def __init__(
        self,
        scheduler: OneCycleLR,
        validator: Engine,
        interval: int = 1,
        *,
        minutes: float | None = None,
        replay: Sequence[tuple[int, int]] | None = None,
        first: int | None = None,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scheduler, self.validator, self.interval, self.clock = scheduler, validator, interval, clock
        self.budget = None if minutes is None else 60 * minutes
        self.replay = dict(replay or ())
        self.first = first or 0
        self.changes: list[tuple[int, int]] = []
        self._spent, self._rate, self._epoch, self._validation = 0.0, 1.0, 0.0, 0.0
        self._begun = clock() if started is None else started
        self._validation_begun = self._begun
        self._epoch_begun: float | None = None  # in this process
        self._validated = 0.0  # seconds of the current epoch

    @property
    def seconds(self) -> float:
        """What the training has taken so far, in all its runs."""
        return self._spent + self.clock() - self._begun

    def attach(self, engine: Engine) -> None:
        """Plan before every epoch, move the schedule in every step, validate the last epoch."""
        self._engine = engine
        engine.add_event_handler(Events.EPOCH_STARTED, self._plan)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._move)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._validate_last)
        engine.add_event_handler(Events.COMPLETED, self._tell)
        self.validator.add_event_handler(Events.STARTED, self._start_validation)
        self.validator.add_event_handler(Events.COMPLETED, self._end_validation)

    def state_dict(self) -> dict[str, Any]:
        """Return the time that was taken, the changes of the plan, and what the next one follows from."""
        return {
            "seconds": self.seconds,
            "changes": self.changes,
            "rate": self._rate,
            "epoch": self._epoch,
            "validation": self._validation,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the time and the plan of an interrupted run; for a continued one only the time."""
        self._spent, self._epoch, self._validation = state["seconds"], state["epoch"], state["validation"]
        self.changes = [change for change in state["changes"] if change[0] >= self.first]
        if self.changes:
            self._rate, self._engine.state.max_epochs = state["rate"], self.changes[-1][1]

    def _plan(self, engine: Engine) -> None:
        done, planned = engine.state.epoch - 1, int(engine.state.max_epochs or 0)
        if self._epoch_begun is not None:
            self._measure_epoch(self.clock() - self._epoch_begun - self._validated)
        total = self.replay.get(done, planned)
        if self.budget is not None and self._epoch:
            total = int(broadcast(float(self._by_the_clock(done, planned, self.budget))))  # type: ignore[arg-type]
        self._epoch_begun, self._validated = self.clock(), 0.0
        if total != planned:
            after_the_next = (total - done) * int(engine.state.epoch_length or 1) - 1
            self._rate = (self.scheduler.total_steps - 1 - self.scheduler.last_epoch) / max(after_the_next, 1)
            self.changes.append((done, total))
            engine.state.max_epochs = total
            logging.getLogger(__name__).info(
                "adjusted to the time limit: %s in all instead of %d", counted(total, "epoch"), planned
            )

    def _measure_epoch(self, seconds: float) -> None:
        self._epoch = seconds if not self._epoch else (1 - _NEWEST) * self._epoch + _NEWEST * seconds

    def _by_the_clock(self, done: int, planned: int, budget: float) -> int:
        left = budget - self.seconds - AFTERWARDS * self._validation
        durations = self._epoch, self._validation, self.interval, done
        if abs(seconds_of(planned, *durations) - left) <= TOLERANCE * (budget - self._spent):
            return planned
        total = epochs_within(left, *durations)
        return total if self._validation else min(total, planned)

    def _move(self, engine: Engine) -> None:
        scheduler = self.scheduler  # its own step adds one
        scheduler.last_epoch = min(scheduler.last_epoch + self._rate, scheduler.total_steps) - 1  # type: ignore[assignment]

    def _validate_last(self, engine: Engine) -> None:
        if engine.state.epoch == engine.state.max_epochs and engine.state.epoch % self.interval:
            self.validator.run(engine.state.epoch)  # type: ignore[arg-type]  # MONAI's: the trainer's epoch

    def _start_validation(self, _: Engine) -> None:
        self._validation_begun = self.clock()

    def _end_validation(self, _: Engine) -> None:
        self._validation = self.clock() - self._validation_begun
        self._validated += self._validation

    def _tell(self, engine: Engine) -> None:
        if self._epoch_begun is None:  # it was finished
            return
        log, steps = logging.getLogger(__name__), engine.state.iteration
        epochs = counted(engine.state.epoch, "epoch")
        log.info("trained for %s: %s, %s", duration(self.seconds), epochs, counted(steps, "step"))
        if self.changes and not self.first:  # a continuation follows from weights too
            log.info("to repeat with the same epochs: --set pace=%s", json.dumps(self.changes, separators=(",", ":")))
