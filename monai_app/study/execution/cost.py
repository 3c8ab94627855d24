"""The cost of prediction, timed after all trainings, one run at a time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from monai_app.device.choose import chosen_device
from monai_app.progress import Progress, silent
from monai_app.stack import Stack
from monai_app.study.cache import read_cached, write_cached
from monai_app.study.execution.completion import is_done
from monai_app.study.prediction import as_seen, slice_predictor
from monai_app.study.runs import StudyRun

_REPEATS, _MOST_SECONDS = 5, 10
"""A slice is predicted so often, or until so much time is over; the fastest counts."""

_NAME = "cost"
"""Of the file beside a run."""


@dataclass(frozen=True)
class Cost:
    """What predicting costs.

    Attributes:
        seconds_per_megapixel: of a slice.
        threads: of the processor that it was predicted with.
        device: that networks were predicted on.
    """

    seconds_per_megapixel: float
    threads: int
    device: str


def measure_costs(runs: Sequence[StudyRun], stacks: Mapping[str, Stack], progress: Progress = silent) -> None:
    """Time how long runs that are done take for a test slice, where that is not known of what they learned.

    One seed of each variant is enough, as all do the same work. Variants that see cleaned images clean them first.

    Args:
        runs: the study's.
        stacks: name of a sample's store -> the raw images.
        progress: called for every variant.
    """
    first = {(run.sample, run.variant.name): run for run in reversed(runs) if is_done(run)}
    unknown = [run for run in reversed(first.values()) if read_cost(run) is None]
    progress(0, len(unknown))
    for number, run in enumerate(unknown, 1):
        write_cached(run, _NAME, asdict(_measured(run, stacks[run.sample])), **_here())
        progress(number, len(unknown))


def read_cost(run: StudyRun) -> Cost | None:
    """Return what a run was timed at; None if it was not, or elsewhere, or before it learned what it knows now."""
    found = read_cached(run, _NAME, **_here())
    return None if found is None else Cost(**found)


def _here() -> dict[str, Any]:
    return {"device": str(chosen_device()), "threads": torch.get_num_threads()}


def _measured(run: StudyRun, raw: Stack) -> Cost:
    predict, z = slice_predictor(run), raw.test_slices[0]
    seconds: list[float] = []
    while len(seconds) < _REPEATS and sum(seconds) < _MOST_SECONDS:
        begin = time.perf_counter()
        predict(as_seen(run, raw), z)
        seconds.append(time.perf_counter() - begin)
    _, rows, columns = raw.shape
    return Cost(min(seconds) / (rows * columns / 1e6), **_here())
