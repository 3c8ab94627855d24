"""Plan the number of epochs of a training, and their steps, for a time limit."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.training_settings import MOST_COUNT, MOST_CROPS, MOST_MINUTES, MOST_STEPS
from monai_app.bundle.length.measurement import Measurement, measure
from monai_app.bundle.length.size import AUTO, larger_size
from monai_app.errors import ConfigError
from monai_app.progress import counted, duration
from monai_app.stack import Stack
from monai_app.training.length.pace import AFTERWARDS, epochs_within, seconds_of

EPOCHS = 40
"""Minimum number of epochs: the training ends with an epoch, so within about 1 % of the time."""

LONGEST_EPOCH = 15 * 60
"""Maximum seconds of an epoch: a kill loses the current epoch."""

VALIDATING = 0.1
"""Share of the time for validations; if it is not enough for one per epoch, there are fewer."""

LEAST_STEPS = 10
"""Minimum number of steps of a training."""

MEASURED_FROM = 200
"""Minimum number of steps for which the cost is measured, because measuring takes about ten steps."""


def check_length(minutes: float | None, settings: Mapping[str, Any], size: str) -> None:
    """Check the requested length of a training before the work starts.

    Args:
        minutes: time limit of the command; None if the epochs are given.
        settings: that the user chose.
        size: name of the size.

    Raises:
        ConfigError: the minutes are out of range or given together with epochs, or the size is `AUTO` without minutes.
    """
    if minutes is None:
        if size == AUTO:
            raise ConfigError(
                f"size {AUTO}: this size depends on the available time; give --minutes N, or another size"
            )
        return
    if not 0 < minutes <= MOST_MINUTES:
        raise ConfigError(f"minutes {minutes:g}: must be above 0 and at most {MOST_MINUTES}; give --minutes 10, say")
    both = [name for name in ("max_epochs", "minutes", "pace") if name in settings]
    if both:
        raise ConfigError(
            f"minutes {minutes:g} and {both[0]} {settings[both[0]]}: the minutes determine the number of epochs; "
            "leave one of them out"
        )


@dataclass(frozen=True)
class Planner:
    """Plans trainings.

    Attributes:
        minutes: time limit of the complete command; None if the epochs are given.
        begun: start time of the command, seconds since 1970.
        bundle: name of the bundle.
        stacks: the training stacks.
        size: `AUTO` to choose the size, too.
        given: the user's settings, which no plan changes.
        options: config ids and values of the training call, such as the device; None is left out.
        report: called with findings and choices, line by line.
    """

    minutes: float | None
    begun: float
    bundle: str
    stacks: Sequence[Stack]
    size: str
    given: Mapping[str, Any]
    options: Mapping[str, Any]
    report: Callable[[str], None]

    @property
    def asked(self) -> dict[str, Any]:
        """The values that the run's record contains."""
        return {"minutes": self.minutes, **({"size": AUTO} if self.size == AUTO else {})} if self.minutes else {}

    @property
    def names_length(self) -> bool:
        """Whether the user chose the length of the training, which may extend a finished run."""
        return self.minutes is not None or "max_epochs" in self.given

    def __call__(self, run: Path) -> dict[str, Any]:
        """Return the training settings that follow from the time limit; empty if epochs are given.

        Raises:
            ConfigError: the time is too short.
        """
        if self.minutes is None:
            self._estimate(run)
            return {}
        found, size = measure(run, self._overrides), dict[str, Any]()
        if self.size == AUTO:
            what = self.bundle, self.stacks, self._overrides, self.given
            size, found = larger_size(run, found, *what, 60 * self.minutes, self.report)
        batch = {**read_config(run / "configs" / "train.yaml"), **size}["batch_size"]
        planned = plan(found, self.minutes, time.time() - self.begun, self.given, batch)
        self.report(_summary(found, self.minutes, {**self.given, **planned}))
        self.report(_needs(found))
        return {**size, **planned}

    @property
    def _overrides(self) -> dict[str, Any]:
        first, *others = (str(stack.path) for stack in self.stacks)
        chosen = {name: value for name, value in self.options.items() if value is not None}
        return {**chosen, "dataset_dir": first, "more_stacks": others}

    def _estimate(self, run: Path) -> None:
        config = read_config(run / "configs" / "train.yaml")
        epochs, steps, interval = (config[name] for name in ("max_epochs", "steps_per_epoch", "val_interval"))
        if epochs * steps < MEASURED_FROM:
            return
        found = measure(run, self._overrides)
        seconds = found.start + seconds_of(epochs, steps * found.step, found.validation, interval)
        took = duration(seconds + AFTERWARDS * found.validation)
        self.report(f"{counted(epochs, 'epoch')} of {counted(steps, 'step')} take about {took}: {_measured(found)}")
        self.report(_needs(found))


def plan(found: Measurement, minutes: float, spent: float, given: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """Return the settings with which a training takes a given time.

    An epoch is a fortieth of it, so that the training can end close to it, but at most `LONGEST_EPOCH` or what the
    settings allow; validations take at most a tenth of the time.

    Args:
        found: cost of the training.
        minutes: time limit of the complete command.
        spent: elapsed seconds.
        given: the user's settings, which are kept.
        batch_size: crops in a step.

    Raises:
        ConfigError: the time is enough for fewer than `LEAST_STEPS` steps, or for more than `MOST_COUNT` epochs.
    """
    seconds = 60 * minutes - spent
    left = seconds - found.start - AFTERWARDS * found.validation
    least = LEAST_STEPS * found.step + found.validation
    if left < least:
        needed = (60 * minutes - left + least) / 60
        raise ConfigError(
            f"minutes {minutes:g}: {_measured(found)}; with {spent + found.start:.0f} s to start and the calibration "
            f"at the end, fewer than {LEAST_STEPS} steps are left; give at least {math.ceil(10 * needed) / 10:g}"
        )
    within = round(min(left / EPOCHS, LONGEST_EPOCH) / found.step)
    steps = given.get("steps_per_epoch", max(1, min(within, MOST_STEPS, MOST_CROPS // batch_size)))
    epoch = steps * found.step
    interval = given.get("val_interval", max(1, math.ceil((1 / VALIDATING - 1) * found.validation / epoch)))
    epochs = epochs_within(left, epoch, found.validation, interval)
    if epochs > MOST_COUNT:
        raise ConfigError(
            f"minutes {minutes:g} and steps_per_epoch {steps}: {counted(epochs, 'epoch')}, of at most {MOST_COUNT}; "
            "give fewer minutes, or more steps_per_epoch"
        )
    planned = {
        "minutes": round(seconds / 60, 4),
        "max_epochs": epochs,
        "steps_per_epoch": steps,
        "val_interval": min(interval, epochs),
        "patience": MOST_COUNT,  # use the remaining time
    }
    return {name: value for name, value in planned.items() if name not in given}


def _summary(found: Measurement, minutes: float, planned: Mapping[str, Any]) -> str:
    epochs, steps, interval = (planned[name] for name in ("max_epochs", "steps_per_epoch", "val_interval"))
    often = "each" if interval == 1 else f"every {interval} of them"
    total = f"{counted(epochs, 'epoch')} of {counted(steps, 'step')}, {epochs * steps} in all, validated after {often}"
    return f"{minutes:g} min allow {total}: {_measured(found)}"


def _measured(found: Measurement) -> str:
    return f"{found.step:.2g} s a step and {found.validation:.2g} s a validation, measured on {found.device}"


def _needs(found: Measurement) -> str:
    return f"needs about {found.memory / 2**30:.1f} GiB of memory and {found.disk / 2**20:.0f} MiB of disk space"
