"""The results of a study as a document, the source of page, figure and ``results.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from monai_app import __version__
from monai_app.device.machine import machine
from monai_app.study.comparison import Difference
from monai_app.study.findings import Findings, VariantScores
from monai_app.study.outcomes import Outcome
from monai_app.study.report.section import Section

Document = Mapping[str, Any]
"""Undefined values are ``nan``, and null in the file."""


def document_of(found: Findings, sections: Sequence[Section], command: str) -> Document:
    """Return the document of a study.

    Args:
        found: what it found.
        sections: its further parts.
        command: that was given.
    """
    stacks = {each.run.stack.store_name: each.run.stack for each in found.outcomes}
    return {
        "monai_app": __version__,
        "command": command,
        "machine": machine(),
        "design": found.design.model_dump(mode="json"),
        "stacks": [
            {"store": name, "name": stack.name, "identity": stack.identity, "test_slices": list(stack.test_slices)}
            for name, stack in stacks.items()
        ],
        "phases": list(found.variants[0].phases),
        "seeds_compared": list(found.seeds),
        "missing": [run.name for run in found.missing],
        "variants": [_variant_row(each) for each in found.variants],
        "runs": [_run_row(each) for each in found.outcomes],
        "differences": [difference_row(each) for each in found.differences],
        "pairs": [difference_row(each) for each in found.pairs],
        "sections": {
            each.name: {
                "title": each.title,
                "lines": list(each.lines),
                "rows": list(each.rows),
                "figure": "" if each.figure is None else f"{each.name}.png",
            }
            for each in sections
        },
    }


def _variant_row(scores: VariantScores) -> dict[str, Any]:
    named = {"iou": scores.mean_iou, "boundary_iou": scores.boundary_iou, "fraction_error": scores.fraction_error}
    named |= {"seconds": scores.seconds, "seconds_per_megapixel": scores.seconds_per_megapixel}
    named |= {f"iou_{phase}": own for phase, own in scores.phases.items()}
    flat = {f"{name}_{key}": value for name, own in named.items() for key, value in own.items() if key != "number"}
    return {"variant": scores.variant, "runs": scores.runs, "seeds": scores.mean_iou["number"], **flat}


def _run_row(outcome: Outcome) -> dict[str, Any]:
    run = outcome.run
    return {
        "stack": run.sample,
        "variant": run.variant.name,
        "seed": run.seed,
        "mean_iou": outcome.scores.mean_iou,
        "boundary_iou": outcome.boundary_iou,
        "fraction_error": outcome.fraction_error,
        "seconds": outcome.seconds,
        "seconds_per_megapixel": outcome.cost and outcome.cost.seconds_per_megapixel,
        "threads_predicting": outcome.cost and outcome.cost.threads,
        **{f"iou_{phase.phase}": phase.iou for phase in outcome.scores.phases},
    }


def difference_row(difference: Difference) -> dict[str, Any]:
    """Return a difference as the row that tables and sentences are made from."""
    contrast, numbers = difference.contrast, asdict(difference)
    del numbers["contrast"], numbers["unreliable"]
    words = {"claim": contrast.claim, "better": contrast.better, "worse": contrast.worse, "pairs": len(contrast.pairs)}
    return {**words, **numbers, "verdict": difference.verdict, "unreliable": "; ".join(difference.unreliable)}
