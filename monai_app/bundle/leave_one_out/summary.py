"""Summary of the folds of a leave-one-slice-out evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_app import __version__
from monai_app.metrics import Scores, score, spread
from monai_app.stack import Stack
from monai_app.training.evaluation import SECTIONS, StackScores, write_leave_one_out

_MODEL = ("weights_sha256", "temperature")


def write_summary(run: Path, stack: Stack, found: Sequence[StackScores]) -> Path:
    """Write the scores of all folds to a run's ``eval/leave_one_out``, with mean and deviation over the slices.

    Args:
        run: run folder whose settings were used.
        stack: the stack.
        found: the scores of every fold, each for one slice.

    Returns:
        The document.
    """
    phases = [phase.name for phase in stack.phases]
    slices = [each for fold in found for each in fold.slices]
    record = {
        "stack": stack.name,
        "store": stack.store_name,
        "stack_identity": stack.identity,
        "stack_ingested": stack.ingested,
        "run": run.name,
        "monai_app": __version__,
        "models": [{"slice": fold.slices[0].z, **{name: fold.record[name] for name in _MODEL}} for fold in found],
        "over_slices": _over_slices([score(each.confusion, phases) for each in slices]),
    }
    pictures = {name: content for fold in found for name, content in fold.pictures.items()}
    return write_leave_one_out(run / "eval", StackScores(record, slices, pictures), phases, SECTIONS)


def _over_slices(scores: Sequence[Scores]) -> dict[str, Any]:
    rows = zip(*(each.phases for each in scores), strict=True)
    return {
        "mean_iou": spread([each.mean_iou for each in scores]),
        "pixel_accuracy": spread([each.pixel_accuracy for each in scores]),
        "phases": [
            {
                "phase": of[0].phase,
                "iou": spread([row.iou for row in of]),
                "fraction_difference": spread([row.fraction_predicted - row.fraction_true for row in of]),
            }
            for of in rows
        ],
    }
