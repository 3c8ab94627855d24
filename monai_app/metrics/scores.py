"""Scores of a segmentation, all derived from one confusion matrix.

The matrix accumulates over every labelled pixel of every slice or tile; scores are computed once, at the end. The mean
of per-tile scores would depend on the tiling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PhaseScore:
    """The scores of one phase; ``nan`` if a score is undefined (0/0).

    Attributes:
        phase: the phase's name.
        iou: intersection over union, TP / (TP + FP + FN).
        dice: 2 TP / (2 TP + FP + FN).
        precision: TP / (TP + FP).
        recall: TP / (TP + FN).
        support: labelled pixels of the phase, TP + FN.
        fraction_true: the phase's share of the labelled area.
        fraction_predicted: its share of the same area in the prediction.
        fraction_error: absolute difference of the two.
    """

    phase: str
    iou: float
    dice: float
    precision: float
    recall: float
    support: int
    fraction_true: float
    fraction_predicted: float
    fraction_error: float


@dataclass(frozen=True)
class Scores:
    """The scores of a segmentation.

    Attributes:
        phases: one entry per phase, in the order of their values.
        mean_iou: mean over the phases that occur in the annotation or the prediction.
        pixel_accuracy: share of correct pixels among the labelled ones.
        confusion: pixel counts, ``[true phase][predicted phase]``.
    """

    phases: tuple[PhaseScore, ...]
    mean_iou: float
    pixel_accuracy: float
    confusion: tuple[tuple[int, ...], ...]


def mean_iou(confusion: np.ndarray, annotated_only: bool = False) -> float:
    """Return the mean IoU of a confusion matrix; ``nan`` if no phase has one.

    Args:
        confusion: pixel counts (K, K), ``[true][predicted]``.
        annotated_only: leave out phases that are not annotated even if some pixels are predicted as one. Otherwise
            only those are left out that are neither annotated nor predicted: they have no IoU.
    """
    ious = _ious(confusion)
    counted = ~np.isnan(ious) & ((confusion.sum(axis=1) > 0) | (not annotated_only))
    return float(ious[counted].mean()) if counted.any() else float("nan")


def score(confusion: np.ndarray, phases: Sequence[str]) -> Scores:
    """Compute all scores of pixel counts (K, K), ``[true][predicted]``; ``phases`` are the names by value."""
    counts = np.asarray(confusion).astype(np.int64)
    hits, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    total = counts.sum()
    columns = {
        "iou": _ious(counts),
        "dice": _divide(2 * hits, true + predicted),
        "precision": _divide(hits, predicted),
        "recall": _divide(hits, true),
        "fraction_true": _divide(true, total),
        "fraction_predicted": _divide(predicted, total),
        "fraction_error": np.abs(_divide(predicted, total) - _divide(true, total)),
    }
    rows = tuple(
        PhaseScore(phase=name, support=int(true[k]), **{key: float(values[k]) for key, values in columns.items()})
        for k, name in enumerate(phases)
    )
    return Scores(
        phases=rows,
        mean_iou=mean_iou(counts),
        pixel_accuracy=float(_divide(hits.sum(), total)),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
    )


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, standard deviation (n - 1), least and greatest of the values that are defined, and their number."""
    found = np.array([value for value in values if not np.isnan(value)])
    if not len(found):
        return {"mean": np.nan, "std": np.nan, "least": np.nan, "greatest": np.nan, "number": 0}
    std = float(found.std(ddof=1)) if len(found) > 1 else np.nan
    ends = {"least": float(found.min()), "greatest": float(found.max())}
    return {"mean": float(found.mean()), "std": std, **ends, "number": len(found)}


def _ious(confusion: np.ndarray) -> np.ndarray:
    hits = np.diag(confusion)
    return _divide(hits, confusion.sum(axis=0) + confusion.sum(axis=1) - hits)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide counts; 0/0 is ``nan``."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    quotient = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom > 0)
    return quotient
