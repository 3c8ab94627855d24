"""Text, table and figure about scores on samples other than the training sample."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from monai_app.metrics import spread
from monai_app.stack import Stack
from monai_app.study.comparison import LEAST_SAMPLES, LEVEL, interval_over_samples
from monai_app.study.design import Design
from monai_app.study.outcomes import Outcome
from monai_app.study.report.section import Section
from monai_app.study.transfer.figure import transfer_figure
from monai_app.study.transfer.measuring import NAME, Transferred
from monai_app.study.transfer.scores import TransferScores, gathered

_ABOUT = (
    "Every model is also tested on the test slices of the other samples. The loss is the mean IoU of models trained "
    "on the tested sample minus that of models trained on other samples, on the same slices: mean, minimum and "
    "maximum over the samples."
)

_INTERVAL = (
    "Intervals are 95 % intervals over the samples (Student's t), not corrected for multiple comparisons; losses "
    "called significant hold for all variants together with 95 %."
)

_FEW = f"With fewer than {LEAST_SAMPLES} samples there is no interval."


def transfer_section(
    design: Design, outcomes: Sequence[Outcome], transferred: Sequence[Transferred], stacks: Sequence[Stack]
) -> Section | None:
    """Return what models are worth elsewhere; None if there is one sample, or no variant was tested on all.

    Args:
        design: what is compared.
        outcomes: of the runs on their own samples.
        transferred: the same runs on the others.
        stacks: the samples.
    """
    samples = [stack.store_name for stack in stacks]
    found = gathered(design, outcomes, transferred, samples) if len(samples) > 1 else []
    if not found:
        return None
    lines = [
        f"{_ABOUT} {_INTERVAL if len(samples) >= LEAST_SAMPLES else _FEW}",
        "",
        *_table(found),
        "",
        *_sentences(found),
    ]
    rows = [row for each in found for row in _rows(each)]
    return Section(NAME, "How good are models on other samples?", lines, rows, transfer_figure(found))


def _table(found: Sequence[TransferScores]) -> Iterator[str]:
    yield "| variant | own sample | other samples | loss | min to max | 95 % interval |"
    yield "|---|---|---|---|---|---|"
    for each in found:
        low, high = interval_over_samples(each.losses)
        cells = [
            f"`{each.variant}`",
            f"{each.own.mean():.3f}",
            f"{each.other.mean():.3f}",
            f"**{each.losses.mean():+.3f}**",
            f"{each.losses.min():+.3f} to {each.losses.max():+.3f}",
            "" if np.isnan(low) else f"{low:+.3f} to {high:+.3f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _sentences(found: Sequence[TransferScores]) -> Iterator[str]:
    at_home = max(found, key=lambda each: float(each.own.mean()))
    elsewhere = max(found, key=lambda each: float(each.other.mean()))
    same = "as on its own sample" if at_home is elsewhere else f"on its own sample `{at_home.variant}`"
    yield f"- On other samples `{elsewhere.variant}` is best, {elsewhere.other.mean():.3f}, {same}."
    if len(found) > 1:
        least, *_, most = sorted(found, key=lambda each: float(each.losses.mean()))
        yield (
            f"- `{least.variant}` loses least, {least.losses.mean():.3f}; `{most.variant}` most, "
            f"{most.losses.mean():.3f}."
        )
    if len(found[0].samples) >= LEAST_SAMPLES:
        level = 1 - (1 - LEVEL) / len(found)  # Bonferroni's
        shown = [f"`{each.variant}`" for each in found if interval_over_samples(each.losses, level)[0] > 0]
        yield f"- The loss on other samples is significant for {', '.join(shown) or 'no variant'}."


def _rows(found: TransferScores) -> Iterator[dict[str, Any]]:
    """The scores of every pair of samples, over the seeds."""
    for one, trained in enumerate(found.samples):
        for other, tested in enumerate(found.samples):
            scores = spread(found.scores[:, one, other].tolist())
            values = {f"mean_iou_{key}": value for key, value in scores.items() if key != "number"}
            pair = {"variant": found.variant, "trained_on": trained, "tested_on": tested}
            yield {**pair, "runs": scores["number"], **values}
