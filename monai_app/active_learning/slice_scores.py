"""Scores of slices for choosing the next one to label: appearance and model uncertainty."""

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError
from monai_app.progress import Progress, silent
from monai_app.stack import SlabSource

if TYPE_CHECKING:
    from monai_app.inference import Predictor

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class SliceScore:
    """The appearance of a slice and the uncertainty of a model on it.

    Attributes:
        z: the slice.
        appearance: how it looks: for each detector five quantiles of the grey values and the mean step between
            neighbouring pixels, on the smallest level of the pyramid, as shares of the highest grey value.
        fractions: share of each phase in what the model labelled; empty if there is no model.
        uncertainty: mean of the entropy / log K over the sampled pixels, 0..1; None if there is no model.
        region: rows and columns of the window with the highest mean; None if there is no model.
    """

    z: int
    appearance: tuple[float, ...]
    fractions: tuple[float, ...] = ()
    uncertainty: float | None = None
    region: Rect | None = None

    @property
    def features(self) -> tuple[float, ...]:
        """The features by which slices are compared."""
        return (*self.appearance, *self.fractions)


@dataclass(frozen=True)
class Sampling:
    """The windows of a slice that the model is applied to.

    Small slices, up to twice the area of the sampled windows, are looked at whole. Of larger ones it is a regular grid
    of windows: 9 windows of 256 x 256 are 4 % of a slice of 3868 x 4062, and every slice has the same ones.

    Args:
        window: side of a window in pixels; it is the size of the region that is proposed.
        grid: windows along rows, and along columns.

    Raises:
        ConfigError: a number below 1.
    """

    window: int = 256
    grid: int = 3

    def __post_init__(self) -> None:
        for name in ("window", "grid"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be 1 or more")

    def parts(self, rows: int, columns: int) -> list[Rect]:
        """Return the parts of a slice that are labelled in one go."""
        if rows * columns <= 2 * (self.window * self.grid) ** 2:
            return [Rect.whole((rows, columns))]
        return _pairs(_sampled(rows, self.window, self.grid), _sampled(columns, self.window, self.grid))

    def windows(self, part: Rect) -> list[Rect]:
        """Return the windows that a part is compared by, side by side; the last ones overlap where they do not fit."""
        return _pairs(_covering(part.y, self.window), _covering(part.x, self.window))


def score_slices(
    stack: SlabSource,
    slices: Collection[int],
    predictor: "Predictor | None" = None,
    sampling: Sampling | None = None,
    progress: Progress = silent,
) -> Iterator[SliceScore]:
    """Score slices, one after the other.

    Args:
        stack: the stack.
        slices: z of the slices.
        predictor: the model; None if nothing is trained yet.
        sampling: which windows the model looks at.
        progress: called for every slice.

    Yields:
        The score of each slice, in the order given.

    Raises:
        ConfigError: the stack lacks a detector of the model.
        StackError: there is no such slice, or its pixels are of another type than the model's.
    """
    detectors = stack.detectors if predictor is None else predictor.model.spec.detectors
    progress(0, len(slices))
    for number, z in enumerate(slices):
        look = appearance(stack.read_overview(z, detectors))
        if predictor is None:
            yield SliceScore(z, look)
        else:
            yield _with_model(stack, z, look, predictor, sampling or Sampling())
        progress(number + 1, len(slices))


def appearance(planes: npt.NDArray[np.integer]) -> tuple[float, ...]:
    """Describe how a slice looks, six numbers a detector; see `SliceScore`.

    Args:
        planes: (detectors, rows, columns), uint8 or uint16.
    """
    values: list[float] = []
    for plane in planes.astype(np.float32) / np.iinfo(planes.dtype).max:
        steps = [np.abs(np.diff(plane, axis=axis)) for axis in (0, 1)]
        texture = sum(float(step.sum(dtype=np.float64)) for step in steps) / max(1, sum(step.size for step in steps))
        values += [*np.quantile(plane, _QUANTILES).tolist(), texture]
    return tuple(values)


def _with_model(
    stack: SlabSource, z: int, look: tuple[float, ...], predictor: "Predictor", sampling: Sampling
) -> SliceScore:
    counts = np.zeros(len(predictor.model.spec.phases) + 1, np.int64)
    unsure: list[tuple[float, Rect]] = []
    total, pixels = 0.0, 0
    for part in sampling.parts(*stack.shape[1:]):
        labels, entropy = _labelled(stack, z, part, predictor)
        counts += np.bincount(labels.ravel(), minlength=len(counts))
        total, pixels = total + float(entropy.sum()), pixels + int((labels > 0).sum())
        for window in sampling.windows(part):
            unsure.append((float(entropy[window.relative_to(part).index].mean()), window))
    _, region = max(unsure, key=lambda entry: entry[0])
    fractions = tuple((counts[1:] / max(1, counts[1:].sum())).tolist())
    return SliceScore(z, look, fractions, total / max(1, pixels), region)


def _labelled(
    stack: SlabSource, z: int, part: Rect, predictor: "Predictor"
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Labels and entropy / log K, (rows, columns) of a part of slice z; both are 0 outside a picture that was moved."""
    from monai_app.inference import Outputs  # imports torch, which what has no model does without

    with closing(predictor.predict(stack, [z], part, Outputs("entropy"))) as found:
        ((_, planes),) = found
    return planes["labels"], np.where(planes["labels"] > 0, 1 - planes["confidence"] / 255, 0.0)


def _sampled(length: int, window: int, count: int) -> list[Span]:
    """``count`` windows, their middles evenly spread."""
    side = min(window, length)
    starts = ((2 * number + 1) * length // (2 * count) - side // 2 for number in range(count))
    clipped = (min(max(start, 0), length - side) for start in starts)
    return [Span(start, start + side) for start in dict.fromkeys(clipped)]


def _covering(span: Span, window: int) -> list[Span]:
    side = min(window, len(span))
    return [
        Span(min(start, span.stop - side), min(start + side, span.stop)) for start in range(span.start, span.stop, side)
    ]


def _pairs(rows: list[Span], columns: list[Span]) -> list[Rect]:
    return [Rect(row, column) for row in rows for column in columns]
