"""The trainings of a study, and where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_app.stack import Stack
from monai_app.study.design import Design


@dataclass(frozen=True)
class StudyRun:
    """One training.

    Attributes:
        variant: its name.
        seed: of the training.
        stack: that it is trained and scored on.
        folder: its run folder, ``<study>/runs/<stack>/<variant>/seed_<seed>``.
    """

    variant: str
    seed: int
    stack: Stack
    folder: Path

    @property
    def name(self) -> str:
        """The run for people."""
        return f"{self.variant}, seed {self.seed}, {self.stack.store_name}"

    @property
    def record(self) -> Path:
        """File beside the folder that says how long the training took."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def log(self) -> Path:
        """File beside the folder with all that training and evaluation say."""
        return self.folder.with_name(f"{self.folder.name}.log")


def runs_of(design: Design, stacks: Sequence[Stack], output: Path) -> list[StudyRun]:
    """List the trainings, all of one seed before those of the next, so that what is complete can be compared."""
    return [
        StudyRun(variant, seed, stack, output / "runs" / stack.store_name / variant / f"seed_{seed}")
        for seed in design.seeds
        for stack in stacks
        for variant in design.variants
    ]
