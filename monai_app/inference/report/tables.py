"""The tables of a result."""

from collections.abc import Sequence
from typing import Any

from monai_app.inference.model import Model
from monai_app.inference.report.confidence import CONFIDENCE, report_confidence
from monai_app.inference.report.familiarity import Familiarity
from monai_app.progress import LoggedProgress
from monai_app.stack.label_images.resumable import Result


def write_tables(
    result: Result, slices: Sequence[int], familiarity: Familiarity | None, model: Model
) -> dict[str, Any]:
    """Write what is known of a result when all of it is computed.

    Args:
        result: not finished yet.
        slices: z of the slices that were segmented.
        familiarity: how they look; None if the model has nothing to compare them with.
        model: the model.

    Returns:
        What to record with the labels: ``unlike_training``, if there is something to compare; with maps ``calibrated``,
        the temperature that they were made with, None for none; and ``confidence``, where it is stored.

    Raises:
        StackError: a chunk is damaged, or the disk cannot write.
    """
    entries: dict[str, Any] = {}
    if familiarity is not None:
        entries["unlike_training"] = familiarity.attributes
    if len(result.arrays.levels) > 1:
        entries["calibrated"] = None if model.calibration is None else model.temperature
    if CONFIDENCE in result.arrays.levels:
        progress = LoggedProgress("confidence")
        entries[CONFIDENCE] = report_confidence(result.arrays, result.folder, slices, progress)
    return entries
