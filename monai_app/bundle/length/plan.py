"""How many epochs a training has, of how many steps, in the time that there is for it."""

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
from monai_app.progress import duration
from monai_app.stack import Stack
from monai_app.training.length.pace import AFTERWARDS, epochs_within, seconds_of

EPOCHS = 40
"""Epochs that the time is divided into at least: the training ends with one, so within about 1 % of the time."""

LONGEST_EPOCH = 15 * 60
"""Seconds that an epoch takes at most: a kill costs the epoch that it falls into."""

VALIDATING = 0.1
"""Share of the time that validations may take; where it is not enough for one after each epoch, they are fewer."""

LEAST_STEPS = 10
"""Steps that a training takes at least."""

MEASURED_FROM = 200
"""Steps of a training that are worth measuring what they will take: that costs about ten of them."""


def check_length(minutes: float | None, settings: Mapping[str, Any], size: str) -> None:
    """Check what a training's length is asked to be, before anything is made.

    Args:
        minutes: what the command may take; None where the epochs are given.
        settings: that the user chose.
        size: name of the size.

    Raises:
        ConfigError: it is no time above 0, or above the most, or is given with epochs; or a size is to be chosen
            without it.
    """
    if minutes is None:
        if size == AUTO:
            raise ConfigError(f"size {AUTO}: it is chosen by the available time; give --minutes N, or another size")
        return
    if not 0 < minutes <= MOST_MINUTES:
        raise ConfigError(f"minutes {minutes:g}: must be above 0 and at most {MOST_MINUTES}; give --minutes 10, say")
    both = [name for name in ("max_epochs", "minutes", "pace") if name in settings]
    if both:
        raise ConfigError(
            f"minutes {minutes:g} and {both[0]} {settings[both[0]]}: the time decides the epochs; leave one of them out"
        )


@dataclass(frozen=True)
class Planner:
    """Plans trainings.

    Attributes:
        minutes: what the whole command may take; None where the epochs are given.
        begun: when the command began, seconds since 1970.
        bundle: name of the bundle.
        stacks: what is trained on.
        size: `AUTO` where the size is chosen too.
        given: settings that the user chose, which no plan changes.
        options: config ids and values, such as the device, that the training will be run with; None is left out.
        report: called with what was found and chosen, line by line.
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
        """What of it the run's record holds."""
        return {"minutes": self.minutes, **({"size": AUTO} if self.size == AUTO else {})} if self.minutes else {}

    @property
    def names_length(self) -> bool:
        """Whether the user said how long the training is to be, which may be longer than a finished run."""
        return self.minutes is not None or "max_epochs" in self.given

    def __call__(self, run: Path) -> dict[str, Any]:
        """Return the settings of a run folder's training that follow from the time; none where epochs are given.

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
        self.report(_told(found, self.minutes, {**self.given, **planned}))
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
        self.report(f"{epochs} epochs of {steps} steps take about {took}: {_measured(found)}")
        self.report(_needs(found))


def plan(found: Measurement, minutes: float, spent: float, given: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """Return the settings by which a training takes a time.

    An epoch is a fortieth of it, so that the training can end near it, or less where that is over `LONGEST_EPOCH` or
    what the settings allow; validations take a tenth of the time at most.

    Args:
        found: what the training costs.
        minutes: what the whole command may take.
        spent: seconds of them that are over.
        given: settings that the user chose, which stay.
        batch_size: crops in a step.

    Raises:
        ConfigError: the time holds fewer than `LEAST_STEPS` steps, or more than `MOST_COUNT` epochs of given steps.
    """
    seconds = 60 * minutes - spent
    left = seconds - found.start - AFTERWARDS * found.validation
    least = LEAST_STEPS * found.step + found.validation
    if left < least:
        needed = (60 * minutes - left + least) / 60
        raise ConfigError(
            f"minutes {minutes:g}: {_measured(found)}; with {spent + found.start:.0f} s to begin and the calibration "
            f"at the end, fewer than {LEAST_STEPS} steps are left; give at least {math.ceil(10 * needed) / 10:g}"
        )
    within = round(min(left / EPOCHS, LONGEST_EPOCH) / found.step)
    steps = given.get("steps_per_epoch", max(1, min(within, MOST_STEPS, MOST_CROPS // batch_size)))
    epoch = steps * found.step
    interval = given.get("val_interval", max(1, math.ceil((1 / VALIDATING - 1) * found.validation / epoch)))
    epochs = epochs_within(left, epoch, found.validation, interval)
    if epochs > MOST_COUNT:
        raise ConfigError(
            f"minutes {minutes:g} and steps_per_epoch {steps}: {epochs} epochs, of at most {MOST_COUNT}; "
            "give fewer minutes, or more steps_per_epoch"
        )
    planned = {
        "minutes": round(seconds / 60, 4),
        "max_epochs": epochs,
        "steps_per_epoch": steps,
        "val_interval": min(interval, epochs),
        "patience": MOST_COUNT,  # the time is there to be used
    }
    return {name: value for name, value in planned.items() if name not in given}


def _told(found: Measurement, minutes: float, planned: Mapping[str, Any]) -> str:
    epochs, steps, interval = (planned[name] for name in ("max_epochs", "steps_per_epoch", "val_interval"))
    often = "each" if interval == 1 else f"every {interval} of them"
    total = f"{epochs} epochs of {steps} steps, {epochs * steps} in all, validated after {often}"
    return f"{minutes:g} min hold {total}: {_measured(found)}"


def _measured(found: Measurement) -> str:
    return f"{found.step:.2g} s a step and {found.validation:.2g} s a validation, measured on {found.device}"


def _needs(found: Measurement) -> str:
    return f"needs about {found.memory / 2**30:.1f} GiB of memory and {found.disk / 2**20:.0f} MiB on the disk"
