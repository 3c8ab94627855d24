"""The curves of a training, from its TensorBoard events."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LOSS, VALIDATION = "train_loss", "val_mean_iou"
"""Names of the curves: the loss of every step, the mean IoU of every validation by its epoch."""


@dataclass(frozen=True)
class Curves:
    """The curves of a training.

    Attributes:
        loss: step -> loss.
        validation: epoch -> mean IoU on the validation blocks.
        seconds: duration of the training, without interruptions.
    """

    loss: dict[int, float]
    validation: dict[int, float]
    seconds: float

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the highest mean IoU, whose weights are kept; None without a validation."""
        return max(self.validation, key=lambda epoch: self.validation[epoch], default=None)


def read_curves(events: Path) -> Curves | None:
    """Read the finite values from the events in a run folder's ``eval/``; None if there are none.

    A resumed training has a file for every start. Repeated steps replace earlier ones.
    """
    loss: dict[int, float] = {}
    validation: dict[int, float] = {}
    seconds = 0.0
    for file in sorted(events.glob("events.out.tfevents.*")):
        read = EventAccumulator(str(file), size_guidance={"scalars": 0, "images": 1})
        read.Reload()
        times: list[float] = []
        for name, curve in ((LOSS, loss), (VALIDATION, validation)):
            if name in read.Tags()["scalars"]:
                own = read.Scalars(name)
                curve |= {each.step: each.value for each in own if math.isfinite(each.value)}
                times += [each.wall_time for each in own]
        seconds += max(times) - min(times) if times else 0.0
    return Curves(loss, validation, seconds) if loss else None


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of every value and those before it, ``window`` values at most."""
    sums = [0.0, *accumulate(values)]
    return [(sums[n] - sums[max(0, n - window)]) / min(n, window) for n in range(1, len(sums))]
