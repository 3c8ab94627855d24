"""Label the test slices with added artefacts, and count correct pixels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from monai_app.metrics import Counts, mean_iou
from monai_app.progress import Progress, silent
from monai_app.stack import SlabSource, Stack
from monai_app.study.cache import count, read_cached, write_cached
from monai_app.study.execution import is_done
from monai_app.study.prediction import as_seen, slice_predictor
from monai_app.study.robustness.images import AlteredStack
from monai_app.study.robustness.strengths import UNCHANGED, Condition
from monai_app.study.runs import StudyRun, seed_means

NAME = "robustness"
"""Of the files beside the runs, and of the section."""


@dataclass(frozen=True)
class Measured:
    """Scores of a run on its test slices with added artefacts.

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


def seed_scores(own: Sequence[Measured], condition: Condition) -> dict[int, float]:
    """Return seed -> mean IoU of a variant, mean over the samples."""
    return seed_means((each.run.seed, each.score(condition)) for each in own)


def measure_robustness(
    runs: Sequence[StudyRun],
    conditions: Sequence[Condition],
    stacks: Mapping[str, Stack],
    progress: Progress = silent,
) -> None:
    """Measure what is missing of the runs that are done, and keep it in a file beside each.

    A model is loaded once, and its file is written when all of its conditions are measured. Every run sees the same
    artefacts. For variants that see cleaned images, they are added to the raw ones, which are then cleaned in the same
    way.

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
        stack, predict, found = stacks[run.sample], slice_predictor(run), dict(known)
        for condition in missing:
            progress(labelled, total)
            images = partial(_altered, run, stack, condition)
            found[condition] = count(predict, images, stack)
            labelled += len(stack.test_slices)
        _write(run, stack, found)
        progress(labelled, total)


def read_measured(
    runs: Sequence[StudyRun], conditions: Sequence[Condition], stacks: Mapping[str, Stack]
) -> Iterator[Measured]:
    """Give the runs of which all conditions are measured, of their models and stacks as they are now."""
    for run in runs:
        found = _read(run, stacks[run.sample]) if conditions and is_done(run) else {}
        if all(each in found for each in (UNCHANGED, *conditions)):
            yield Measured(run, found)


def _altered(run: StudyRun, stack: Stack, condition: Condition, z: int) -> SlabSource:
    return as_seen(run, AlteredStack(stack, condition, z))


def _read(run: StudyRun, stack: Stack) -> dict[Condition, Counts]:
    """Read what is measured; nothing where it is of another model or stack."""
    return {
        Condition(each["artefact"], each["strength"]): np.array(each["confusion"], np.int64)
        for each in read_cached(run, NAME, tested_on=stack.identity) or ()
    }


def _write(run: StudyRun, stack: Stack, found: Mapping[Condition, Counts]) -> None:
    rows = [
        {"artefact": each.artefact, "strength": each.strength, "confusion": counts.tolist()}
        for each, counts in found.items()
    ]
    write_cached(run, NAME, rows, tested_on=stack.identity)
