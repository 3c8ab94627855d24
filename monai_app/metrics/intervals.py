"""95 % intervals of scores, from blocks of the scored slices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.metrics.blocks import LEAST_BLOCKS, Counts
from monai_app.metrics.bootstrap import Interval, block_interval

Values = npt.NDArray[np.float64]


def score_intervals(counts: Counts, phases: Sequence[str]) -> dict[str, Any]:
    """Return the 95 % intervals of scores, by a spatial block bootstrap (see `block_interval`).

    Args:
        counts: (blocks, K, K), ``[true][predicted]``, of one slice or of many.
        phases: names of the K phases.

    Returns:
        JSON values: ``blocks``, and ``reliable`` if there are enough of them; ``phases``, a row per phase with the same
        of the blocks in which it is annotated or predicted, and with both ends of its IoU and of
        ``fraction_difference``, the predicted less the true share; ``mean`` with those of mean IoU and pixel accuracy.
    """
    rows = [
        {
            "phase": name,
            **_reliability(int((counts[:, number].any(-1) | counts[:, :, number].any(-1)).sum())),
            **_ends("iou", block_interval(counts, _of_phase(_ious, number), bounds=(0, 1))),
            **_ends("fraction_difference", block_interval(counts, _of_phase(_differences, number), bounds=(-1, 1))),
        }
        for number, name in enumerate(phases)
    ]
    whole = {
        **_ends("iou", block_interval(counts, lambda drawn: _mean(_ious(drawn)), bounds=(0, 1))),
        **_ends("pixel_accuracy", block_interval(counts, _accuracy, bounds=(0, 1))),
    }
    return {**_reliability(len(counts)), "phases": rows, "mean": whole}


def _reliability(blocks: int) -> dict[str, Any]:
    return {"blocks": blocks, "reliable": blocks >= LEAST_BLOCKS}


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _of_phase(statistic: Callable[[Counts], Values], number: int) -> Callable[[Counts], Values]:
    return lambda drawn: statistic(drawn)[:, number]


def _ious(drawn: Counts) -> Values:
    """IoU of every phase: (repeats, K)."""
    hits = drawn.diagonal(axis1=1, axis2=2)
    return _divide(hits, drawn.sum(axis=1) + drawn.sum(axis=2) - hits)


def _differences(drawn: Counts) -> Values:
    """Predicted less true share of every phase: (repeats, K)."""
    return _divide(drawn.sum(axis=1) - drawn.sum(axis=2), drawn.sum(axis=(1, 2))[:, None])


def _accuracy(drawn: Counts) -> Values:
    return _divide(drawn.trace(axis1=1, axis2=2), drawn.sum(axis=(1, 2)))


def _mean(values: Values) -> Values:
    """Mean over the phases that have a value."""
    return _divide(np.nansum(values, axis=1), np.count_nonzero(~np.isnan(values), axis=1))


def _divide(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Values:
    """Divide; 0/0 is ``nan``."""
    with np.errstate(invalid="ignore"):
        quotient: Values = numerator / denominator
    return quotient
