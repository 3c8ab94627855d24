"""A study as a source of a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.metrics import read_scores
from monai_app.reporting.documents import Read
from monai_app.study.report.folder import DOCUMENT


@dataclass(frozen=True)
class Study:
    """A study: its folder and its document, with ``nan`` for undefined values."""

    path: Path
    document: Mapping[str, Any]

    def file(self, name: str) -> Path | None:
        """Return a file of the folder; None if it does not exist or its name leads out of the folder."""
        path = self.path / name
        return path if path.parent == self.path and path.is_file() and not path.is_symlink() else None


def read_study(path: Path) -> Study:
    """Read the results of a study.

    Raises:
        ConfigError: its document is damaged.
    """
    file, remedy = path / DOCUMENT, "run monai-app study again to rewrite it"
    try:
        document = read_scores(file)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is damaged ({error}); {remedy}") from None
    validated(_StudyDocument, document, file, remedy)
    return Study(path.absolute(), document)


class _StudiedStack(Read):
    store: str
    identity: str


class _StudiedRun(Read):
    stack: str
    variant: str
    mean_iou: float


class _Difference(Read):
    claim: str
    better: str
    worse: str
    value: float
    low: float
    high: float
    corrected_low: float
    corrected_high: float
    samples_low: float
    samples_high: float
    samples_corrected_low: float
    samples_corrected_high: float
    verdict: Literal["shown", "the opposite is shown", "not shown"]
    unreliable: str


class _StudyPart(Read):
    title: str
    lines: list[str]
    figure: str


_NUMBERS = (
    "runs",
    "seeds",
    "iou_mean",
    "iou_least",
    "iou_greatest",
    "boundary_iou_mean",
    "fraction_error_mean",
    "seconds_mean",
    "seconds_per_megapixel_mean",
)
"""The entries of a variant's scores that are read, and the mean IoU of each phase."""


class _StudyDocument(Read):
    """``results.json`` of a study."""

    stacks: list[_StudiedStack]
    phases: list[str]
    seeds_compared: list[int]
    missing: list[str]
    variants: Annotated[list[dict[str, float | str]], Field(min_length=1)]
    runs: list[_StudiedRun]
    differences: list[_Difference]
    sections: dict[str, _StudyPart]

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        names = (*_NUMBERS, *(f"iou_{phase}_mean" for phase in self.phases))
        for row in self.variants:
            odd = [name for name in names if not isinstance(row.get(name), float)]
            if odd or not isinstance(row.get("variant"), str):
                raise ValueError(f"a variant has no {', '.join(odd) or 'name'}")
        return self
