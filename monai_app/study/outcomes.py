"""What the runs of a study reached."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.errors import ConfigError, StackError
from monai_app.metrics import Counts, Document, Scores, score
from monai_app.study.baselines.process import read_result
from monai_app.study.execution import Cost, read_cost, seconds_of
from monai_app.study.runs import StudyRun
from monai_app.training.evaluation import SECTIONS, Boundaries, block_counts, read_stack_scores

_BAND = "iou_2px"
"""Boundary IoU that is compared: in bands of 2 pixels."""


@dataclass(frozen=True)
class Outcome:
    """What one run reached on the test slices of its stack.

    Attributes:
        run: the run.
        blocks: (blocks, K, K) pixels, ``[true][predicted]``, of the spatial blocks of the test slices; of single
            micrographs each is one block, because what makes one of them hard is hard all over it.
        scores: of all of them together.
        boundary_iou: mean over the phases of the Boundary IoU at 2 pixels.
        seconds: that the training took; None if it was resumed.
        cost: of predicting; None if it was not measured.
    """

    run: StudyRun
    blocks: Counts
    scores: Scores
    boundary_iou: float
    seconds: float | None
    cost: Cost | None

    @property
    def fraction_error(self) -> float:
        """Mean over the phases of the absolute difference between predicted and true share of the area."""
        return float(np.nanmean([phase.fraction_error for phase in self.scores.phases]))


def read_outcomes(runs: Sequence[StudyRun]) -> list[Outcome]:
    """Read the scores of the runs that are done and whose files are whole.

    Raises:
        StackError: two runs of one stack were not scored on the same pixels.
    """
    found = [outcome for run in runs if (outcome := _read(run)) is not None]
    first: dict[str, Outcome] = {}
    for each in found:
        other = first.setdefault(each.run.sample, each)
        if not np.array_equal(each.blocks.sum(axis=-1), other.blocks.sum(axis=-1)):
            raise StackError(
                f"{each.run.folder} and {other.run.folder} were scored on different pixels; remove the "
                "one of annotations that are no more, and give the same command"
            )
    return found


def _read(run: StudyRun) -> Outcome | None:
    try:
        return _read_whole(run)
    except ConfigError:  # carrying the runs out says what is damaged
        return None


def _read_whole(run: StudyRun) -> Outcome | None:
    if not run.variant.is_network:
        document = read_result(run.folder, run.stack.identity)
        return None if document is None else _outcome(run, document["slices"], document["seconds"])
    found = read_stack_scores(run.folder, run.stack.identity, SECTIONS) if run.folder.is_dir() else None
    if found is None:
        return None
    return _outcome(run, [{"confusion": each.confusion, **each.sections} for each in found.slices], seconds_of(run))


def _outcome(run: StudyRun, slices: Sequence[Document], seconds: float | None) -> Outcome:
    confusion = np.sum([each["confusion"] for each in slices], axis=0)
    boundary = Boundaries().pooled([each["boundary"] for each in slices])
    blocks = block_counts([each["intervals"] for each in slices])
    if len(run.stack.gaps) == run.stack.shape[0] - 1:  # single micrographs, which are drawn as wholes
        blocks = np.array([each["confusion"] for each in slices], np.int64)
    scores = score(confusion, [phase.name for phase in run.stack.phases])
    return Outcome(run, blocks, scores, boundary["mean"][_BAND], seconds, read_cost(run))
