"""Results of a study as text, tables and a figure."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_app import __version__
from monai_app.files import atomic_file
from monai_app.metrics import without_nan
from monai_app.pictures import as_png
from monai_app.progress import duration
from monai_app.study.comparison import Difference
from monai_app.study.findings import Findings, VariantScores
from monai_app.study.outcomes import Outcome

DOCUMENT, TABLE, RUNS, COMPARISONS, PAGE, FIGURE = (
    "results.json",
    "variants.csv",
    "runs.csv",
    "comparisons.csv",
    "results.md",
    "results.png",
)
"""Files in a study's folder."""

_QUESTIONS = {
    "detectors": "Do all detectors together beat fewer?",
    "slices": "Do neighbouring slices help?",
    "both": "Does another network on neighbouring slices beat the U-Net on one?",
    "network": "Does another network beat the U-Net on the same slices?",
    "cleaning": "Does it help networks to clean the images?",
    "baselines": "Do networks on raw images beat other methods on cleaned ones?",
}

_INTERVALS = (
    "Differences in mean IoU. The intervals cover chance in the training (seeds) and in where was scored (blocks of "
    "the test slices) on these stacks, not on others; those in brackets are so wide that all comparisons of a "
    "question hold together with 95 %."
)


def write_results(found: Findings, folder: Path) -> None:
    """Write ``results.json``, ``variants.csv``, ``runs.csv``, ``comparisons.csv``, ``results.md``, ``results.png``."""
    _write_csv(folder / TABLE, [_variant_row(each) for each in found.variants])
    _write_csv(folder / RUNS, [_run_row(each) for each in found.outcomes])
    _write_csv(folder / COMPARISONS, [_difference_row(each) for each in (*found.differences, *found.pairs)])
    with atomic_file(folder / FIGURE) as temporary:
        temporary.write_bytes(as_png(_figure(found)))
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text("\n".join(page_lines(found)) + "\n", encoding="utf8")
    with atomic_file(folder / DOCUMENT) as temporary:
        temporary.write_text(
            json.dumps(without_nan(_document(found)), indent=1, allow_nan=False) + "\n", encoding="utf8"
        )


def page_lines(found: Findings) -> Iterator[str]:
    """The results as Markdown."""
    phases = [*found.variants[0].phases] if found.variants else []
    columns = ["variant", *phases, "mean IoU", "over seeds", "boundary IoU", "fraction error", "trained"]
    yield from _table(columns, [_cells(each, phases) for each in found.variants])
    yield ""
    yield f"![mean IoU of the variants, and differences with intervals]({FIGURE})"
    for claim, question in _QUESTIONS.items():
        own = [each for each in found.differences if each.contrast.claim == claim]
        if own:
            yield from ("", f"## {question}", "")
            yield from (f"- {verdict(each)}" for each in own)
    yield from ("", _INTERVALS)
    if found.missing:
        yield from ("", f"{len(found.missing)} runs are not done; differences are of seeds {_listed(found.seeds)}.")


def verdict(difference: Difference) -> str:
    """Say in a sentence what a difference shows."""
    contrast = difference.contrast
    told = {
        "shown": f"{contrast.better} is better than {contrast.worse}",
        "the opposite is shown": f"{contrast.better} is worse than {contrast.worse}",
        "not shown": f"that {contrast.better} is better than {contrast.worse} is not shown",
    }[difference.verdict]
    why = f"; {'; '.join(difference.unreliable)}" if difference.unreliable else ""
    return f"{told}: {difference.value:+.3f}, {_interval(difference)}{why}"


def _interval(difference: Difference) -> str:
    if np.isnan(difference.low):
        return "without an interval"
    ends = (difference.low, difference.high), (difference.corrected_low, difference.corrected_high)
    single, corrected = (f"{low:+.3f} to {high:+.3f}" for low, high in ends)
    return f"95 % interval {single} [{corrected}]"


def _cells(scores: VariantScores, phases: Sequence[str]) -> list[str]:
    low, high = scores.mean_iou["least"], scores.mean_iou["greatest"]
    seconds = scores.seconds["mean"]
    return [
        f"`{scores.variant}`",
        *(f"{scores.phases[phase]['mean']:.3f}" for phase in phases),
        f"**{scores.mean_iou['mean']:.3f}**",
        f"{low:.3f} to {high:.3f}" if scores.mean_iou["number"] > 1 else "one seed",
        f"{scores.boundary_iou['mean']:.3f}",
        f"{scores.fraction_error['mean']:.4f}",
        "resumed" if np.isnan(seconds) else duration(seconds),
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "none"


def _variant_row(scores: VariantScores) -> dict[str, Any]:
    named = {"iou": scores.mean_iou, "boundary_iou": scores.boundary_iou, "fraction_error": scores.fraction_error}
    named |= {"seconds": scores.seconds, **{f"iou_{phase}": own for phase, own in scores.phases.items()}}
    flat = {f"{name}_{key}": value for name, own in named.items() for key, value in own.items() if key != "number"}
    return {"variant": scores.variant, "runs": scores.mean_iou["number"], **flat}


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
        **{f"iou_{phase.phase}": phase.iou for phase in outcome.scores.phases},
    }


def _difference_row(difference: Difference) -> dict[str, Any]:
    contrast, numbers = difference.contrast, asdict(difference)
    del numbers["contrast"], numbers["unreliable"]
    words = {"claim": contrast.claim, "better": contrast.better, "worse": contrast.worse, "pairs": len(contrast.pairs)}
    return {**words, **numbers, "verdict": difference.verdict, "unreliable": "; ".join(difference.unreliable)}


def _document(found: Findings) -> dict[str, Any]:
    stacks = {each.run.stack.store_name: each.run.stack for each in found.outcomes}
    return {
        "monai_app": __version__,
        "design": found.design.model_dump(mode="json"),
        "stacks": [
            {"store": name, "name": stack.name, "identity": stack.identity, "test_slices": list(stack.test_slices)}
            for name, stack in stacks.items()
        ],
        "seeds_compared": list(found.seeds),
        "missing": [run.name for run in found.missing],
        "variants": [_variant_row(each) for each in found.variants],
        "runs": [_run_row(each) for each in found.outcomes],
        "differences": [_difference_row(each) for each in found.differences],
        "pairs": [_difference_row(each) for each in found.pairs],
    }


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _figure(found: Findings) -> Figure:
    rows = max(len(found.variants), len(found.differences), 1)
    figure = Figure(figsize=(12, 1.2 + 0.4 * rows), dpi=120, layout="constrained")
    scores, differences = figure.subplots(1, 2)
    _draw_scores(scores, found)
    _draw_differences(differences, found.differences)
    return figure


def _draw_scores(axes: Axes, found: Findings) -> None:
    names = [each.variant for each in found.variants]
    for each in found.outcomes:
        axes.plot(each.scores.mean_iou, names.index(each.run.variant.name), "o", color="#0072b2", alpha=0.5)
    for place, scores in enumerate(found.variants):
        axes.plot(scores.mean_iou["mean"], place, "|", color="black", markersize=16)
    axes.set(title="every seed, and their mean", xlabel="mean IoU", yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()


def _draw_differences(axes: Axes, differences: Sequence[Difference]) -> None:
    axes.axvline(0, color="#888888", linewidth=1)
    for place, each in enumerate(differences):
        axes.plot([each.corrected_low, each.corrected_high], [place, place], color="#d55e00", linewidth=1)
        axes.plot([each.low, each.high], [place, place], color="#d55e00", linewidth=4)
        axes.plot(each.value, place, "o", color="black")
    names = [f"{each.contrast.better}\nagainst {each.contrast.worse}" for each in differences]
    axes.set(title="95 % intervals; thin: for all together", xlabel="difference in mean IoU")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
