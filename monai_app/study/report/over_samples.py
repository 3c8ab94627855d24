"""Intervals of differences over samples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def over_samples(row: Mapping[str, Any]) -> str:
    """Return the intervals over samples of a comparison's row, to stand behind the others; of few stacks nothing."""
    if np.isnan(row["samples_low"]):
        return ""
    ends = [f"{row[f'samples_{kind}low']:+.3f} to {row[f'samples_{kind}high']:+.3f}" for kind in ("", "corrected_")]
    return f", over samples {ends[0]} [{ends[1]}]"


def samples_note(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how the intervals over samples of comparisons are to be read; nothing if there are none."""
    if not any(over_samples(row) for row in rows):
        return ""
    return " Intervals over samples apply to similar samples, if these were chosen at random."
