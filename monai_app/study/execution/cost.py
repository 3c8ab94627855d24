"""What predicting costs: timed after all trainings, one run after the other, so that none disturbs another."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from monai_app.files import file_sha256, write_json
from monai_app.progress import Progress, silent
from monai_app.study.prediction import slice_predictor
from monai_app.study.runs import StudyRun

_REPEATS, _MOST_SECONDS = 5, 10
"""A slice is predicted so often, or until so much time is over; the fastest counts."""


@dataclass(frozen=True)
class Cost:
    """What predicting costs.

    Attributes:
        seconds_per_megapixel: of a slice.
        threads: of the processor that it was predicted with.
    """

    seconds_per_megapixel: float
    threads: int


def measure_costs(runs: Sequence[StudyRun], progress: Progress = silent) -> None:
    """Time how long runs that are done take for a test slice, where that is not known of what they learned.

    One seed of each variant is enough, as all do the same work.
    """
    first = {(run.sample, run.variant.name): run for run in reversed(runs)}
    unknown = [run for run in reversed(first.values()) if read_cost(run) is None]
    progress(0, len(unknown))
    for number, run in enumerate(unknown, 1):
        write_json(run.cost, {**asdict(_measured(run)), "learned_sha256": file_sha256(run.learned)})
        progress(number, len(unknown))


def read_cost(run: StudyRun) -> Cost | None:
    """Return what a run was timed at; None where it was not, or before it learned what it knows now."""
    try:
        record = json.loads(run.cost.read_text(encoding="utf8"))
    except FileNotFoundError:
        return None
    if record.pop("learned_sha256") != file_sha256(run.learned):
        return None
    return Cost(**record)


def _measured(run: StudyRun) -> Cost:
    predict, z = slice_predictor(run), run.stack.test_slices[0]
    seconds: list[float] = []
    while len(seconds) < _REPEATS and sum(seconds) < _MOST_SECONDS:
        begin = time.perf_counter()
        predict(run.stack, z)
        seconds.append(time.perf_counter() - begin)
    _, rows, columns = run.stack.shape
    return Cost(min(seconds) / (rows * columns / 1e6), torch.get_num_threads())
