"""The trainings of a study, and where they lie."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from monai_app.stack import Stack
from monai_app.study.baselines.process import RESULT
from monai_app.study.design import Design
from monai_app.study.variants import StudyVariant, read_study_variant


@dataclass(frozen=True)
class StudyRun:
    """One training.

    Attributes:
        variant: what is trained.
        seed: of the training.
        sample: name of the store that the study was given.
        stack: that it is trained and scored on: this one, or its cleaned copy.
        folder: its run folder, ``<study>/runs/<stack>/<variant>/seed_<seed>``.
    """

    variant: StudyVariant
    seed: int
    sample: str
    stack: Stack
    folder: Path

    @property
    def study(self) -> Path:
        """The study's folder."""
        return self.folder.parents[3]

    @property
    def name(self) -> str:
        """The run for people."""
        return f"{self.variant.name}, seed {self.seed}, {self.sample}"

    @property
    def record(self) -> Path:
        """File beside the folder that says how long the training took."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def learned(self) -> Path:
        """File of the folder with what was learned: weights, or choices that another method learns the same from."""
        return self.folder / ("models/model.pt" if self.variant.is_network else RESULT)

    @property
    def log(self) -> Path:
        """File beside the folder with all that training and evaluation say."""
        return self.folder.with_name(f"{self.folder.name}.log")


def runs_of(
    design: Design, stacks: Sequence[Stack], output: Path, cleaned: Mapping[str, Stack] | None = None
) -> list[StudyRun]:
    """List the trainings, all of one seed before those of the next, so that what is complete can be compared.

    Args:
        design: what is compared.
        stacks: the samples.
        output: the study's folder.
        cleaned: name of a sample's store -> its cleaned copy, for variants that see it.
    """
    variants = [*map(read_study_variant, design.trained)]
    return [
        StudyRun(
            variant,
            seed,
            stack.store_name,
            (cleaned or {})[stack.store_name] if variant.cleaned else stack,
            output / "runs" / stack.store_name / variant.name / f"seed_{seed}",
        )
        for seed in design.seeds
        for stack in stacks
        for variant in variants
    ]


def complete_seeds(runs: Iterable[StudyRun], samples: int) -> set[int]:
    """Return the seeds of which there is a run of every sample; a mean over fewer samples is one of others.

    Args:
        runs: of one variant.
        samples: number of samples.
    """
    return {seed for seed, number in Counter(run.seed for run in runs).items() if number == samples}


def seed_means(values: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Return seed -> mean over the samples, from the seed and a value of each run of a variant.

    Example:
        >>> seed_means([(0, 0.5), (1, 0.7), (0, 1.0)])
        {0: 0.75, 1: 0.7}
    """
    found: dict[int, list[float]] = {}
    for seed, value in values:
        found.setdefault(seed, []).append(value)
    return {seed: fmean(own) for seed, own in found.items()}
