"""Scores of a variant on every sample, trained on every sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_app.study.design import Design
from monai_app.study.outcomes import Outcome
from monai_app.study.runs import StudyRun
from monai_app.study.transfer.measuring import Transferred

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TransferScores:
    """Mean IoU of a variant.

    Attributes:
        variant: its name.
        samples: names of the samples' stores.
        scores: (seeds, samples trained on, samples tested on).
    """

    variant: str
    samples: Sequence[str]
    scores: Floats

    @property
    def own(self) -> Floats:
        """Of models of the tested sample itself, mean over the seeds: (samples,)."""
        means: Floats = self.scores.mean(axis=0).diagonal()
        return means

    @property
    def other(self) -> Floats:
        """Of models of the other samples, mean over them and the seeds: (samples,)."""
        means: Floats = (self.scores.mean(axis=0).sum(axis=0) - self.own) / (len(self.samples) - 1)
        return means

    @property
    def losses(self) -> Floats:
        """What models of other samples lose on a tested sample: (samples,)."""
        return self.own - self.other


def gathered(
    design: Design, outcomes: Sequence[Outcome], transferred: Sequence[Transferred], samples: Sequence[str]
) -> list[TransferScores]:
    """Gather the scores of the variants, of the seeds with which every sample was trained on and tested on."""
    scores = {(*_key(each.run), each.run.sample): each.scores.mean_iou for each in outcomes}
    scores |= {(*_key(each.run), sample): each.score(sample) for each in transferred for sample in each.counts}
    found = []
    for variant in design.variants:
        tables = [[[scores.get((variant, seed, a, b)) for b in samples] for a in samples] for seed in design.seeds]
        whole = [table for table in tables if not any(None in row for row in table)]
        if whole:
            found.append(TransferScores(variant, samples, np.array(whole, np.float64)))
    return found


def _key(run: StudyRun) -> tuple[str, int, str]:
    return run.variant.name, run.seed, run.sample
