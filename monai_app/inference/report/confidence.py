"""Confidence of a result: shares of pixels below thresholds, per slice and in total."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.files import atomic_file
from monai_app.progress import Progress
from monai_app.stack.label_images.arrays import LABELS, ResultArrays
from monai_app.stack.ngff import layout

CONFIDENCE = "confidence"
"""Name of the map that is counted, and of the entry of a label image's attributes that says what was found."""

TABLE = "confidence.csv"
"""File with the confidence of a result: one row per slice, then one for all slices."""

THRESHOLDS = (0.5, 0.7, 0.9)

_VALUES = np.arange(256) / 255

_Counts = npt.NDArray[np.int64]
"""(256,), labelled pixels by the byte that their confidence is stored as."""


def report_confidence(arrays: ResultArrays, folder: Path, slices: Sequence[int], progress: Progress) -> dict[str, Any]:
    """Count the confidence of every labelled pixel, and write `TABLE`.

    Args:
        arrays: of a result with the map `CONFIDENCE`, all written.
        folder: where the table goes.
        slices: z of the slices that were segmented.
        progress: called for every slice.

    Returns:
        Of all slices together the number of labelled ``pixels``, the ``mean`` confidence and the shares
        ``below_<threshold>``; the last two None without a labelled pixel.

    Raises:
        StackError: a chunk is damaged, or the disk cannot write.
    """
    total, rows = np.zeros(256, np.int64), []
    progress(0, len(slices))
    for number, z in enumerate(slices, 1):
        counts = _count(arrays, z)
        rows.append({"slice": z, **_shares(counts)})
        total += counts
        progress(number, len(slices))
    summary = _shares(total)
    with atomic_file(folder / TABLE) as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
        writer = csv.DictWriter(handle, ["slice", *summary])
        writer.writeheader()
        writer.writerows([*rows, {"slice": "all", **summary}])
    _log_summary(summary, rows)
    return summary


def _count(arrays: ResultArrays, z: int) -> _Counts:
    labels, confidence = (arrays.levels[name][0] for name in (LABELS, CONFIDENCE))
    counts = np.zeros(256, np.int64)
    for part in Rect.whole(arrays.shape).split(layout.CHUNK, layout.CHUNK):
        labelled = layout.read(labels, (z, *part.index)) > 0
        counts += np.bincount(layout.read(confidence, (z, *part.index))[labelled], minlength=256)
    return counts


def _shares(counts: _Counts) -> dict[str, Any]:
    pixels = int(counts.sum())
    found = {"mean": _VALUES} | {f"below_{each:g}": each > _VALUES for each in THRESHOLDS}
    return {"pixels": pixels} | {name: float(counts @ of / pixels) if pixels else None for name, of in found.items()}


def _log_summary(summary: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    if not summary["pixels"]:
        return
    shares = ", ".join(f"{summary[f'below_{each:g}']:.1%} of the pixels below {each:g}" for each in THRESHOLDS)
    least = min((row for row in rows if row["pixels"]), key=lambda row: row["mean"])
    logging.getLogger(__name__).info(
        "confidence: mean %.3f, %s; lowest in slice %d, mean %.3f",
        summary["mean"],
        shares,
        least["slice"],
        least["mean"],
    )
