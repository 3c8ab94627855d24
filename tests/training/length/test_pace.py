"""Trainings that follow the clock: when they end, what their learning rates are, and what repeats them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import OneCycleLR

from monai_app.training import Pace
from monai_app.training.length.pace import epochs_within, seconds_of

STEPS, EPOCHS, STEP, VALIDATION = 5, 40, 1.0, 0.5
MINUTES = (EPOCHS * (STEPS * STEP + VALIDATION) + 2 * VALIDATION) / 60
"""What the planned epochs take at the expected speed, and the end after them."""

END = 1 / 25 / 10_000
"""The learning rate of the last step, by the defaults of OneCycleLR."""


@dataclass
class Training:
    """A training without a network, on a machine whose steps take as long as they are told.

    Attributes:
        slowness: factor of a step's and a validation's time, by the seconds that are over.
    """

    slowness: Callable[[float], float] = lambda _: 1.0
    minutes: float | None = MINUTES
    replay: Sequence[tuple[int, int]] | None = None
    interval: int = 1
    validation: float = VALIDATION
    now: float = 0.0
    rates: list[float] = field(default_factory=list)
    validated: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
        self.schedule = OneCycleLR(self.optimizer, 1.0, EPOCHS * STEPS, pct_start=0.1, cycle_momentum=False)
        self.trainer = Engine(lambda *_: self._take(STEP))
        evaluator = Engine(lambda *_: self._take(self.validation))
        self.pace = Pace(
            self.schedule,
            Validator(evaluator, self.validated),  # type: ignore[arg-type]
            self.interval,
            minutes=self.minutes,
            replay=self.replay,
            clock=lambda: self.now,
        )
        self.pace.attach(self.trainer)
        self.trainer.add_event_handler(Events.EPOCH_STARTED, self._end_at_last)
        self.trainer.add_event_handler(Events.ITERATION_STARTED, self._keep_rate)
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        self.trainer.add_event_handler(
            Events.EPOCH_COMPLETED(every=self.interval),
            lambda: self.pace.validator.run(self.trainer.state.epoch),  # type: ignore[arg-type]
        )

    def run(self) -> None:
        self.trainer.run(range(STEPS), max_epochs=EPOCHS)

    def _end_at_last(self) -> None:
        assert self.trainer.state.epoch <= 10 * EPOCHS, "it plans more and more epochs"

    def _take(self, seconds: float) -> None:
        self.now += seconds * self.slowness(self.now)

    def _step(self) -> None:
        self.optimizer.step()
        self.schedule.step()

    def _keep_rate(self) -> None:
        self.rates.append(self.schedule.get_last_lr()[0])  # type: ignore[arg-type]


class Validator:
    """An engine that is run as MONAI's evaluator is, with the trainer's epoch."""

    def __init__(self, engine: Engine, validated: list[int]) -> None:
        self.engine, self.validated = engine, validated
        self.add_event_handler = engine.add_event_handler

    def run(self, epoch: int) -> None:
        self.validated.append(epoch)
        self.engine.run([0])


def assert_ends_in_time(training: Training) -> None:
    assert (training.now + 2 * VALIDATION) / 60 == pytest.approx(MINUTES, rel=0.05)
    assert training.rates[-1] == pytest.approx(END)
    assert training.validated[-1] == training.trainer.state.epoch


def test_a_machine_that_keeps_its_speed_has_the_schedule_that_was_planned() -> None:
    by_the_clock, by_epochs = Training(), Training(minutes=None)
    by_the_clock.run()
    by_epochs.run()
    assert by_the_clock.pace.changes == []
    assert by_the_clock.rates == by_epochs.rates
    assert len(by_epochs.rates) == EPOCHS * STEPS
    assert_ends_in_time(by_the_clock)


@pytest.mark.parametrize("interval", [4, 13])
def test_before_the_first_validation_a_steady_machine_changes_no_plan(interval: int) -> None:
    validations = -(-EPOCHS // interval)
    training = Training(interval=interval, minutes=(EPOCHS * STEPS * STEP + (validations + 2) * 12) / 60, validation=12)
    training.run()
    assert training.pace.changes == []


def test_a_continuation_has_the_tolerance_of_what_it_adds() -> None:
    training = Training(lambda _: 1.1)
    before = {"seconds": 9000.0, "changes": [], "rate": 1.0, "epoch": 0.0, "validation": 0.0}
    training.pace.load_state_dict(before)
    training.pace.budget = 9000 + 60 * MINUTES
    training.run()
    assert training.pace.changes


def test_how_to_repeat_it_is_told_of_a_whole_training_alone(caplog: pytest.LogCaptureFixture) -> None:
    for first in (0, 3):
        training = Training(lambda _: 2.0)
        training.pace.first = first
        with caplog.at_level("INFO"):
            training.run()
    assert caplog.text.count("trained for") == 2
    assert caplog.text.count("--set pace=") == 1


@pytest.mark.parametrize(
    "slowness",
    [
        lambda _: 0.4,
        lambda _: 3.0,
        lambda now: 1.0 if now < 110 else 2.0,
        lambda now: 1.0 if now < 110 else 0.5,
        lambda now: 1.0 + (int(now / 7) % 3) / 2,
        lambda now: 1.0 if now < 205 else 2.0,
    ],
    ids=["fast", "slow", "slows down", "speeds up", "changes", "slows down near the end"],
)
@pytest.mark.parametrize("interval", [1, 3])
def test_a_training_ends_in_time_on_a_machine_of_another_speed(
    slowness: Callable[[float], float], interval: int
) -> None:
    training = Training(slowness, interval=interval)
    training.run()
    assert training.pace.changes
    assert_ends_in_time(training)
    falling = training.rates[training.rates.index(max(training.rates)) :]
    assert all(after < before for before, after in pairwise(falling))


def test_what_followed_the_clock_is_repeated_without_one() -> None:
    first = Training(lambda now: 1.0 if now < 110 else 1.7)
    first.run()
    again = Training(lambda _: 0.1, minutes=None, replay=first.pace.changes)
    again.run()
    assert again.rates == first.rates
    assert again.pace.changes == first.pace.changes


def test_an_interrupted_training_has_the_time_that_is_left() -> None:
    first = Training(lambda _: 1.5)

    def stop(engine: Engine) -> None:
        if engine.state.epoch == 12:
            engine.terminate()

    first.trainer.add_event_handler(Events.EPOCH_COMPLETED, stop)
    first.run()
    second = Training(lambda _: 2.0)

    def load(engine: Engine) -> None:
        second.pace.load_state_dict(first.pace.state_dict())
        second.schedule.load_state_dict(first.schedule.state_dict())
        engine.state.epoch, engine.state.iteration = first.trainer.state.epoch, first.trainer.state.iteration

    second.trainer.add_event_handler(Events.STARTED, load)
    second.run()
    assert (first.now + second.now + 2 * VALIDATION) / 60 == pytest.approx(MINUTES, rel=0.05)
    assert second.rates[-1] == pytest.approx(END)


def test_a_continued_training_keeps_the_time_and_not_the_plan() -> None:
    first = Training(lambda _: 2.0)
    first.run()
    second = Training()
    second.pace.first = first.trainer.state.epoch
    second.pace.load_state_dict(first.pace.state_dict())
    assert second.pace.seconds == pytest.approx(first.now)
    assert second.pace.changes == []


def test_the_last_epoch_is_validated_whatever_the_interval() -> None:
    training = Training(minutes=None, interval=7)
    training.run()
    assert training.validated == [7, 14, 21, 28, 35, 40]


@pytest.mark.parametrize("interval", [1, 4])
@pytest.mark.parametrize("done", [0, 6])
def test_the_number_of_epochs_is_the_nearest(interval: int, done: int) -> None:
    for seconds in (0.0, 3.0, 47.0, 1000.0):
        found = epochs_within(seconds, 3.0, 5.0, interval, done)
        away = {total: abs(seconds_of(total, 3.0, 5.0, interval, done) - seconds) for total in range(done + 1, 500)}
        assert found > done
        assert away[found] == min(away.values())
