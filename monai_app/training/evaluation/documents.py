"""Reading score files."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.errors import BusyError
from monai_app.metrics import Document, read_scores, score

_ROUNDING = 1e-9
"""Relative tolerance of numbers from another machine."""


def read_document(path: Path) -> dict[str, Any]:
    """Read scores that were just written; undefined ones are None.

    Raises:
        BusyError: another evaluation of the run has started and removed them.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise BusyError(
            f"{path} has been removed by another evaluation of this run folder; wait for it, and evaluate one at a time"
        ) from None
    return document


def is_evaluation(path: Path, sha256: str) -> bool:
    """Whether a file holds scores of weights, and its numbers follow from its confusion matrices.

    Args:
        path: the document.
        sha256: SHA-256 of the weights.
    """
    try:
        document = read_scores(path)
        parts = [document, *document["parts"]]
        return bool(document["weights_sha256"] == sha256 and all(_follows(each) for each in parts))
    except (OSError, ValueError, KeyError, TypeError, IndexError):  # whatever damage makes of it
        return False


def _follows(scores: Document) -> bool:
    computed = score(np.array(scores["confusion"]), [row["phase"] for row in scores["phases"]])
    pairs = zip(_numbers(asdict(computed)), _numbers(scores), strict=True)
    return all(np.isclose(one, other, rtol=_ROUNDING, atol=0, equal_nan=True) for one, other in pairs)


def _numbers(scores: Document) -> Iterator[float]:
    yield from (scores["mean_iou"], scores["pixel_accuracy"])
    for row in scores["phases"]:
        yield from (value for name, value in row.items() if name != "phase")
