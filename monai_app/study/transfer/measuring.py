"""Label the test slices of the other samples with every run, and count what is right."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.metrics import Counts, mean_iou
from monai_app.progress import Progress, silent
from monai_app.stack import Stack
from monai_app.study.cache import count, read_cached, write_cached
from monai_app.study.execution import is_done
from monai_app.study.prediction import SlicePredictor, as_seen, slice_predictor
from monai_app.study.runs import StudyRun

NAME = "transfer"
"""Of the files beside the runs, and of the section."""


@dataclass(frozen=True)
class Transferred:
    """What a run reaches on the test slices of the samples that it was not trained on.

    Attributes:
        run: the run.
        counts: name of a sample's store -> pixels (K, K), [true][predicted], of all of its test slices.
    """

    run: StudyRun
    counts: Mapping[str, Counts]

    def score(self, sample: str) -> float:
        """Mean IoU on a sample."""
        return mean_iou(self.counts[sample])


def measure_transfer(runs: Sequence[StudyRun], stacks: Sequence[Stack], progress: Progress = silent) -> None:
    """Score the runs that are done on the samples that they were not trained on, and keep that in a file beside each.

    What a file holds of the same model and the same annotations is not measured again. Grey values are scaled as those
    of the training, and variants that see cleaned images see all samples cleaned with the strengths that were chosen
    on the one that they were trained on.

    Args:
        runs: the study's.
        stacks: all samples, raw.
        progress: called for every slice that is labelled.

    Raises:
        AppError: a run folder or a slice is damaged.
    """
    done = [run for run in runs if is_done(run)] if len(stacks) > 1 else []
    work = [(run, missing) for run in done if (missing := _missing(run, stacks))]
    total = sum(len(stack.test_slices) for _, missing in work for stack in missing)
    labelled = 0
    for run, missing in work:
        progress(labelled, total)
        predict = slice_predictor(run)
        found = _read(run, stacks)
        for stack in missing:
            found[stack.store_name] = _count(run, predict, stack)
            labelled += len(stack.test_slices)
            progress(labelled, total)
        _write(run, {stack.store_name: stack for stack in stacks}, found)


def read_transferred(runs: Sequence[StudyRun], stacks: Sequence[Stack]) -> Iterator[Transferred]:
    """Give the runs that were scored on all samples that they were not trained on, as these are annotated now."""
    for run in runs:
        if len(stacks) > 1 and is_done(run) and not _missing(run, stacks):
            yield Transferred(run, _read(run, stacks))


def _missing(run: StudyRun, stacks: Sequence[Stack]) -> list[Stack]:
    known = _read(run, stacks)
    return [stack for stack in stacks if stack.store_name not in (run.sample, *known)]


def _count(run: StudyRun, predict: SlicePredictor, stack: Stack) -> Counts:
    images = as_seen(run, stack)
    return count(predict, lambda z: images, stack)


def _read(run: StudyRun, stacks: Sequence[Stack]) -> dict[str, Counts]:
    """Read what is measured: name of a sample's store -> counts; nothing of other models or annotations."""
    now = {stack.store_name: stack.identity for stack in stacks}
    return {
        each["sample"]: np.array(each["confusion"], np.int64)
        for each in read_cached(run, NAME) or ()
        if now.get(each["sample"]) == each["identity"]
    }


def _write(run: StudyRun, stacks: Mapping[str, Stack], found: Mapping[str, Counts]) -> None:
    rows = [
        {"sample": name, "identity": stacks[name].identity, "confusion": counts.tolist()}
        for name, counts in found.items()
    ]
    write_cached(run, NAME, rows)
