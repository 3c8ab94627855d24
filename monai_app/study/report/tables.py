"""Rows of the tables: variants, runs, comparisons."""

from dataclasses import asdict
from typing import Any

from monai_app.study.comparison import Difference
from monai_app.study.findings import VariantScores
from monai_app.study.outcomes import Outcome


def variant_row(scores: VariantScores) -> dict[str, Any]:
    """The scores of a variant over its runs."""
    named = {"iou": scores.mean_iou, "boundary_iou": scores.boundary_iou, "fraction_error": scores.fraction_error}
    named |= {"seconds": scores.seconds, **{f"iou_{phase}": own for phase, own in scores.phases.items()}}
    flat = {f"{name}_{key}": value for name, own in named.items() for key, value in own.items() if key != "number"}
    return {"variant": scores.variant, "runs": scores.mean_iou["number"], **flat}


def run_row(outcome: Outcome) -> dict[str, Any]:
    """The scores of a run."""
    run = outcome.run
    return {
        "stack": run.sample,
        "variant": run.variant.name,
        "seed": run.seed,
        "mean_iou": outcome.scores.mean_iou,
        "boundary_iou": outcome.boundary_iou,
        "fraction_error": outcome.fraction_error,
        "seconds": outcome.seconds,
        **{f"iou_{phase.phase}": phase.iou for phase in outcome.scores.phases},
    }


def difference_row(difference: Difference) -> dict[str, Any]:
    """A difference with its intervals and verdict."""
    contrast, numbers = difference.contrast, asdict(difference)
    del numbers["contrast"], numbers["unreliable"]
    words = {"claim": contrast.claim, "better": contrast.better, "worse": contrast.worse, "pairs": len(contrast.pairs)}
    return {**words, **numbers, "verdict": difference.verdict, "unreliable": "; ".join(difference.unreliable)}
