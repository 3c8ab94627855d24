"""The results as Markdown."""

from collections.abc import Iterator, Sequence

import numpy as np

from monai_app.progress import duration
from monai_app.study.comparison import Difference
from monai_app.study.findings import Findings, VariantScores
from monai_app.study.report.figure import FIGURE
from monai_app.study.report.over_samples import over_samples, samples_note
from monai_app.study.report.section import Section
from monai_app.study.report.tables import difference_row

PAGE = "results.md"

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


def page_lines(found: Findings, sections: Sequence[Section] = ()) -> Iterator[str]:
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
    yield from ("", _INTERVALS + samples_note([*map(difference_row, found.differences)]))
    if found.missing:
        yield from ("", f"{len(found.missing)} runs are not done; differences are of seeds {_listed(found.seeds)}.")
    for section in sections:
        yield from ("", f"## {section.title}", "", *section.lines)
        if section.figure is not None:
            yield from ("", f"![{section.title}]({section.name}.png)")


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
    return f"95 % interval {single} [{corrected}]{over_samples(difference_row(difference))}"


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
