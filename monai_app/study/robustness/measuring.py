"""Label the test slices with artefacts laid over them, and count what is right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.files import file_sha256, write_json
from monai_app.metrics import count_pixels, mean_iou
from monai_app.progress import Progress, silent
from monai_app.stack import Stack
from monai_app.study.baselines.cleaned_stack import cleaning_of
from monai_app.study.baselines.process import RESULT
from monai_app.study.execution import is_done
from monai_app.study.prediction import SlicePredictor, slice_predictor
from monai_app.study.robustness.images import AlteredStack
from monai_app.study.robustness.strengths import UNCHANGED, Condition
from monai_app.study.runs import StudyRun

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """What a run reaches where artefacts are laid over its test slices.

    Attributes:
        run: the run.
        counts: condition -> pixels (K, K), [true][predicted], of all test slices; `UNCHANGED` is one of them.
    """

    run: StudyRun
    counts: Mapping[Condition, Counts]

    def loss(self, condition: Condition) -> float:
        """Mean IoU that is lost against unchanged images."""
        return mean_iou(self.counts[UNCHANGED]) - self.score(condition)

    def score(self, condition: Condition) -> float:
        """Mean IoU."""
        return mean_iou(self.counts[condition])


def measure(
    runs: Sequence[StudyRun],
    conditions: Sequence[Condition],
    stacks: Mapping[str, Stack],
    progress: Progress = silent,
) -> None:
    """Measure what is missing of the runs that are done, and keep it in a file beside each.

    A model is loaded once, and its file is written when all of its conditions are measured. Every run sees the same
    artefacts. Those of variants that see cleaned images are laid over the raw ones, and cleaned afterwards as theirs
    were.

    Args:
        runs: the study's.
        conditions: that are asked for.
        stacks: name of a sample's store -> the raw images.
        progress: called for every slice that is labelled.

    Raises:
        AppError: a run folder or a slice is damaged.
    """
    work = []
    for run in runs if conditions else ():
        if is_done(run):
            known = _read(run, stacks[run.sample])
            missing = [each for each in (UNCHANGED, *conditions) if each not in known]
            work += [(run, known, missing)] if missing else []
    total = sum(len(missing) * len(stacks[run.sample].test_slices) for run, _, missing in work)
    labelled = 0
    for run, known, missing in work:
        counter = _Counter(run, stacks[run.sample])
        found = dict(known)
        for condition in missing:
            progress(labelled, total)
            found[condition] = counter.count(condition)
            labelled += len(counter.stack.test_slices)
        _write(run, counter.stack, found)
        progress(labelled, total)


def read_measured(
    runs: Sequence[StudyRun], conditions: Sequence[Condition], stacks: Mapping[str, Stack]
) -> Iterator[Measured]:
    """Give the runs of which all conditions are measured, of their models and stacks as they are now."""
    for run in runs:
        found = _read(run, stacks[run.sample]) if conditions and is_done(run) else {}
        if all(each in found for each in (UNCHANGED, *conditions)):
            yield Measured(run, found)


class _Counter:
    """Labels a run's test slices and compares them with the annotations."""

    def __init__(self, run: StudyRun, stack: Stack) -> None:
        self.stack = stack
        self._predict: SlicePredictor = slice_predictor(run)
        self._cleaning = cleaning_of(run.stack) if run.variant.cleaned else None

    def count(self, condition: Condition) -> Counts:
        """Return the pixels of all test slices: (K, K), [true][predicted]."""
        phases = len(self.stack.phases)
        total: Counts = np.zeros((phases, phases), np.int64)
        for z in self.stack.test_slices:
            labels = self._predict(AlteredStack(self.stack, condition, z, self._cleaning), z)
            total += count_pixels(self.stack.read_annotation(z), labels, phases)
        return total


def _file(run: StudyRun) -> Path:
    return run.folder.with_name(f"{run.folder.name}_robustness.json")


def _of(run: StudyRun, stack: Stack) -> dict[str, str]:
    """What the numbers are of: the model, what it was trained on, and what it is tested on."""
    model = run.folder / ("models/model.pt" if run.variant.is_network else RESULT)
    return {
        "model_sha256": file_sha256(model),
        "trained_on": run.stack.identity,
        "tested_on": stack.identity,
    }


def _read(run: StudyRun, stack: Stack) -> dict[Condition, Counts]:
    """Read what is measured; nothing where it is of another model or stack."""
    try:
        document: dict[str, Any] = json.loads(_file(run).read_text(encoding="utf8"))
    except FileNotFoundError:
        return {}
    if document["of"] != _of(run, stack):
        return {}
    return {
        Condition(each["artefact"], each["strength"]): np.array(each["confusion"], np.int64)
        for each in document["measured"]
    }


def _write(run: StudyRun, stack: Stack, found: Mapping[Condition, Counts]) -> None:
    rows = [
        {"artefact": each.artefact, "strength": each.strength, "confusion": counts.tolist()}
        for each, counts in found.items()
    ]
    write_json(_file(run), {"of": _of(run, stack), "measured": rows})
