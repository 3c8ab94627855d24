"""Text, table and figure about the effect of artefacts on each variant."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from monai_app.metrics import spread
from monai_app.progress import counted
from monai_app.stack import Stack
from monai_app.study.comparison import LEAST_SEEDS, t_interval
from monai_app.study.design import Design
from monai_app.study.report.section import Section
from monai_app.study.robustness.figure import robustness_figure
from monai_app.study.robustness.measuring import NAME, Measured, read_measured, seed_scores
from monai_app.study.robustness.strengths import NEUTRAL, UNCHANGED, UNITS, Condition, readable
from monai_app.study.runs import StudyRun, complete_seeds, seed_means

_ABOUT = (
    "One artefact at a time is added to the test slices of the trained models; the annotations are unchanged. The "
    "tables show the mean IoU, as mean over the seeds ± standard deviation. There is one realisation of each "
    "artefact, the same for all runs. Intervals are 95 % intervals over the seeds (Student's t): they cover neither "
    "other realisations nor other scored areas, and are not corrected for multiple comparisons."
)

_Found = Mapping[str, Sequence[Measured]]
"""Variant -> its runs."""


class _Loss(NamedTuple):
    """Mean IoU that a variant loses, and its interval; ``nan`` of fewer than three seeds."""

    value: float
    low: float
    high: float


def robustness_section(design: Design, runs: Sequence[StudyRun], stacks: Mapping[str, Stack]) -> Section | None:
    """Return what artefacts cost each variant; None if no run is measured.

    Args:
        design: which artefacts are asked for.
        runs: the study's.
        stacks: name of a sample's store -> the raw images.
    """
    measured = [*read_measured(runs, design.robustness.conditions, stacks)]
    samples = len({run.sample for run in runs})
    grouped = {name: [each for each in measured if each.run.variant.name == name] for name in design.variants}
    found = {name: whole for name, own in grouped.items() if (whole := _complete(own, samples))}
    if not found:
        return None
    lines = [_ABOUT]
    if len(measured) < len(runs):
        lines += ["", f"Not measured: {counted(len(runs) - len(measured), 'run')}."]
    for artefact, strengths in design.robustness:
        lines += _lines(artefact, strengths, found) if strengths else []
        sides = [each for each in design.robustness.greatest if each.artefact == artefact]
        lines += ["", *(f"- {_sentence(each, found)}" for each in sides)] if sides else []
    rows = [_row(variant, each, own) for variant, own in found.items() for each in design.robustness.conditions]
    return Section(
        NAME, "How robust are the variants to artefacts?", lines, rows, robustness_figure(design.robustness, found)
    )


def _complete(own: Sequence[Measured], samples: int) -> list[Measured]:
    """Leave out the seeds with which a sample is not measured."""
    seeds = complete_seeds((each.run for each in own), samples)
    return [each for each in own if each.run.seed in seeds]


def _lines(artefact: str, strengths: Sequence[float], found: _Found) -> Iterator[str]:
    """The scores with one artefact as a table."""
    yield from ("", f"### {readable(artefact).capitalize()} ({UNITS[artefact]})", "")
    conditions = [UNCHANGED, *(Condition(artefact, each) for each in strengths)]
    yield f"| variant | unchanged | {' | '.join(f'{each:g}' for each in strengths)} |"
    yield f"|{'---|' * (len(conditions) + 1)}"
    for variant, own in found.items():
        yield f"| `{variant}` | {' | '.join(_cell(own, each) for each in conditions)} |"


def _cell(own: Sequence[Measured], condition: Condition) -> str:
    scores = spread([*seed_scores(own, condition).values()])
    return f"{scores['mean']:.3f}" + (f" ± {scores['std']:.3f}" if scores["number"] > 1 else "")


def _sentence(condition: Condition, found: _Found) -> str:
    """Return which variants lose least and most, and which is best."""
    losses = {variant: _loss(own, condition) for variant, own in found.items()}
    scores = {variant: float(np.mean([each.score(condition) for each in own])) for variant, own in found.items()}
    least, *others = sorted(losses, key=lambda name: losses[name].value)
    best = max(scores, key=scores.__getitem__)
    parts = [f"`{least}` loses least, {_loss_text(losses[least])}"]
    if others:
        parts.append(f"`{others[-1]}` most, {_loss_text(losses[others[-1]])}")
    if others and not np.isnan(losses[least].low):
        alike = [f"`{name}`" for name in others if not _differs(found[least], found[name], condition)]
        parts.append(
            f"not significantly different from the smallest loss: {', '.join(alike)}"
            if alike
            else "all others lose more"
        )
    parts.append(f"the best score is that of `{best}`, {scores[best]:.3f}")
    return f"{condition}: {'; '.join(parts)}"


def _loss_text(loss: _Loss) -> str:
    return f"{loss.value:.3f}" + ("" if np.isnan(loss.low) else f" ({loss.low:.3f} to {loss.high:.3f})")


def _loss(own: Sequence[Measured], condition: Condition) -> _Loss:
    return _interval([*_losses(own, condition).values()])


def _differs(least: Sequence[Measured], other: Sequence[Measured], condition: Condition) -> bool:
    """Whether the interval of the differences, seed by seed, lies above 0."""
    one, two = (_losses(own, condition) for own in (least, other))
    low, _ = t_interval(np.array([two[seed] - one[seed] for seed in one if seed in two]), LEAST_SEEDS)
    return low > 0


def _losses(own: Sequence[Measured], condition: Condition) -> dict[int, float]:
    return seed_means((each.run.seed, each.loss(condition)) for each in own)


def _interval(values: Sequence[float]) -> _Loss:
    return _Loss(float(np.mean(values)), *t_interval(np.array(values), LEAST_SEEDS))


def _row(variant: str, condition: Condition, own: Sequence[Measured]) -> dict[str, Any]:
    loss = _loss(own, condition)
    scores = spread([*seed_scores(own, condition).values()])
    return {
        "variant": variant,
        "artefact": condition.artefact,
        "strength": condition.strength,
        "unit": UNITS[condition.artefact],
        "changes_nothing": NEUTRAL.get(condition.artefact, 0.0),
        "seeds": scores["number"],
        **{f"mean_iou_{key}": value for key, value in scores.items() if key != "number"},
        "loss": loss.value,
        "loss_low": loss.low,
        "loss_high": loss.high,
    }
