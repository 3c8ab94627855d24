"""The entries of other commands' documents that are read; a damaged document is found before a page is written."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monai_app.domain.phase import Phase


class Read(BaseModel):
    """A part of a document; undefined numbers are ``nan``, and other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _ScoredStack(Read):
    folder: str
    store: str
    stack_identity: str
    stack_ingested: str
    slices: list[int]


class _Phase(Read):
    phase: str
    iou: float
    dice: float
    precision: float
    recall: float
    support: float
    fraction_true: float
    fraction_predicted: float


class _IntervalOfPhase(Read):
    reliable: bool


class _MeanInterval(Read):
    iou_low: float
    iou_high: float
    pixel_accuracy_low: float
    pixel_accuracy_high: float


class _Intervals(Read):
    phases: list[_IntervalOfPhase]
    mean: _MeanInterval


class _Boundary(Read):
    phases: list[dict[str, float | str]]
    mean: dict[str, float]


class _DistancesOfPhase(Read):
    mean_nm: float
    hausdorff95_nm: float


class _Surface(Read):
    phases: list[_DistancesOfPhase]


class _StructureOfPhase(Read):
    perimeter_true_per_um: float
    perimeter_predicted_per_um: float
    perimeter_ratio: float
    components_true: float
    components_predicted: float
    components_ratio: float


class _Structure(Read):
    slices: int
    of_slices: int
    area_um2: float
    phases: list[_StructureOfPhase]


class _Reliability(Read):
    ece: float
    pixels: list[int]
    right: list[float]
    confidence: list[float]


class _Confidence(Read):
    temperature: float
    uncalibrated: _Reliability
    calibrated: _Reliability


class _Unlike(Read):
    reasons: list[str] = []


class PooledScores(Read):
    """``scores.json`` of all stacks together."""

    stacks: list[_ScoredStack]
    phases: list[_Phase]
    mean_iou: float
    pixel_accuracy: float
    confusion: list[list[int]]
    intervals: _Intervals
    boundary: _Boundary
    surface: _Surface
    confidence: _Confidence
    structure: _Structure | None = None
    unlike_training: _Unlike = _Unlike()


class _PartIntervals(Read):
    mean: dict[str, float] = {}


class _SliceScores(Read):
    slice: int
    mean_iou: float
    pixel_accuracy: float
    intervals: _PartIntervals = _PartIntervals()


class StackScores(Read):
    """``scores.json`` of one stack."""

    parts: list[_SliceScores]


class _Number(Read):
    value: float | None
    unit: str
    interval: tuple[float, float] | None
    unreliable: str | None


class _Figure(Read):
    title: str
    x: str
    y: str
    curves: dict[str, tuple[list[float | None], list[float | None]]]
    kind: str
    log_x: bool


class _Measured(Read):
    quantities: dict[str, Annotated[dict[str, _Number], Field(min_length=1)]]
    tables: dict[str, Any]
    figures: list[_Figure] = []


class _MeasuredStack(Read):
    name: str
    ingested: str


class _MeasuredLabels(Read):
    name: str
    made_by: dict[str, Any]
    sha256: str | None = None


class _Mask(Read):
    source: str


class _MeasuredPhase(Phase):
    model_config = ConfigDict(extra="ignore")


class QuantitiesDocument(Read):
    """``quantities.json``; stack, labels, region and mask are absent if an array was measured."""

    software: str
    versions: dict[str, str]
    voxel_nm: tuple[float, float, float]
    phases: list[_MeasuredPhase]
    measures: dict[str, _Measured]
    stack: _MeasuredStack | None = None
    labels: _MeasuredLabels | None = None
    region: dict[str, tuple[int, int]] | None = None
    mask: _Mask | None = None

    @model_validator(mode="after")
    def _check_origin(self) -> Self:
        origin = {name: getattr(self, name) for name in ("stack", "labels", "region")}
        given = [name for name, value in origin.items() if value is not None]
        if given != [name for name in origin if name in self.model_fields_set] or len(given) not in (0, len(origin)):
            raise ValueError("stack, labels and region do not belong together")
        return self
