"""What is said about models on samples that they were not trained on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from monai_app.metrics import Counts, score
from monai_app.pictures import as_png
from monai_app.stack import Stack
from monai_app.study import Design, Outcome, StudyRun
from monai_app.study.report.section import Section
from monai_app.study.transfer.measuring import Transferred
from monai_app.study.transfer.section import transfer_section
from monai_app.study.variants import read_study_variant

VARIANTS = ("unet_ICE_1", "forest_ICE_1")
SAMPLES = ("a", "b", "c")


def counts_of(iou: float) -> Counts:
    """Pixels of two phases of equal area, each with this IoU."""
    wrong = round(10**6 * (1 - iou) / (1 + iou))
    return np.array([[10**6 - wrong, wrong], [wrong, 10**6 - wrong]])


class Named:
    """A stack of which the name alone matters."""

    def __init__(self, name: str) -> None:
        self.store_name = name


def section(
    scores: Mapping[tuple[str, str, str], float], stack: Stack, samples: tuple[str, ...] = SAMPLES
) -> Section | None:
    """The section of scores: (variant, trained on, tested on) -> IoU; what is left out is not done."""
    outcomes, transferred = [], []
    for variant in VARIANTS:
        for sample in samples:
            own = scores.get((variant, sample, sample))
            if own is None:
                continue
            run = StudyRun(read_study_variant(variant), 0, sample, stack, Path(sample))
            counts = counts_of(own)
            outcomes.append(Outcome(run, counts[np.newaxis], score(counts, ["one", "two"]), own, None, None))
            others = {tested: counts_of(scores[variant, sample, tested]) for tested in samples if tested != sample}
            transferred.append(Transferred(run, others))
    stacks = [Named(name) for name in samples]
    return transfer_section(Design(variants=VARIANTS, seeds=(0,)), outcomes, transferred, stacks)  # type: ignore[arg-type]


def of_all(own: Mapping[str, float], lost: Mapping[str, tuple[float, ...]]) -> dict[tuple[str, str, str], float]:
    """Scores of models that lose so much on each sample that they were not trained on."""
    return {
        (variant, trained, tested): own[variant] - (lost[variant][place] if trained != tested else 0)
        for variant in VARIANTS
        for trained in SAMPLES
        for place, tested in enumerate(SAMPLES)
    }


def test_a_loss_is_that_of_models_of_other_samples_on_the_same_slices(tiny_stack: Stack) -> None:
    lost = {"unet_ICE_1": (0.01, 0.02, 0.03), "forest_ICE_1": (0.2, 0.0, 0.1)}
    found = section(of_all({"unet_ICE_1": 0.8, "forest_ICE_1": 0.7}, lost), tiny_stack)
    assert found is not None
    text = "\n".join(found.lines)
    assert "| `unet_ICE_1` | 0.800 | 0.780 | **+0.020** | +0.010 to +0.030 | -0.005 to +0.045 |" in text
    assert "| `forest_ICE_1` | 0.700 | 0.600 | **+0.100** | +0.000 to +0.200 |" in text
    assert "On other samples `unet_ICE_1` is best, 0.780, as on its own sample." in text
    assert "`unet_ICE_1` loses least, 0.020; `forest_ICE_1` most, 0.100." in text
    assert "is significant for no variant" in text
    assert found.figure is not None
    assert as_png(found.figure).startswith(b"\x89PNG")
    assert len(found.rows) == 2 * 9
    assert dict(found.rows[1]) | {"mean_iou_std": None} == {
        "variant": "unet_ICE_1",
        "trained_on": "a",
        "tested_on": "b",
        "runs": 1,
        "mean_iou_mean": pytest.approx(0.78, abs=1e-3),
        "mean_iou_std": None,
        "mean_iou_least": pytest.approx(0.78, abs=1e-3),
        "mean_iou_greatest": pytest.approx(0.78, abs=1e-3),
    }


def test_a_loss_that_scatters_little_is_shown(tiny_stack: Stack) -> None:
    lost = {"unet_ICE_1": (0.0, 0.1, 0.0), "forest_ICE_1": (0.05, 0.051, 0.052)}
    found = section(of_all({"unet_ICE_1": 0.7, "forest_ICE_1": 0.71}, lost), tiny_stack)
    assert found is not None
    assert "significant for `forest_ICE_1`." in found.lines[-1]
    assert "`unet_ICE_1` is best, 0.667, on its own sample `forest_ICE_1`." in "\n".join(found.lines)


def test_variants_that_are_not_done_on_every_sample_are_left_out(tiny_stack: Stack) -> None:
    lost = {"unet_ICE_1": (0.01, 0.01, 0.01), "forest_ICE_1": (0.0, 0.0, 0.0)}
    scores = of_all({"unet_ICE_1": 0.8, "forest_ICE_1": 0.7}, lost)
    del scores["forest_ICE_1", "b", "b"]
    found = section(scores, tiny_stack)
    assert found is not None
    assert {row["variant"] for row in found.rows} == {"unet_ICE_1"}
    assert section({}, tiny_stack) is None
    assert section(scores, tiny_stack, SAMPLES[:1]) is None


def test_two_samples_have_no_interval(tiny_stack: Stack) -> None:
    lost = {"unet_ICE_1": (0.01, 0.02, 0.0), "forest_ICE_1": (0.1, 0.1, 0.0)}
    found = section(of_all({"unet_ICE_1": 0.8, "forest_ICE_1": 0.7}, lost), tiny_stack, SAMPLES[:2])
    assert found is not None
    text = "\n".join(found.lines)
    assert "With fewer than 3 samples there is no interval" in text
    assert "is significant for" not in text
    assert "**+0.015** | +0.010 to +0.020 |  |" in text
