"""Scores as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from monai_app.metrics.blocks import LEAST_BLOCKS
from monai_app.progress import counted


def pooled_lines(scores: Mapping[str, Any]) -> Iterator[str]:
    """The scores of every slice and stack, then those of all together, from the document of `write_evaluation`."""
    yield from _part_lines(scores["parts"])
    number = len(scores["stacks"])
    yield f"all together, {number} stack{'' if number == 1 else 's'}:"
    yield from _table(scores)


def leave_one_out_lines(scores: Mapping[str, Any]) -> Iterator[str]:
    """The scores of every slice, then those of all together, from the document of `write_leave_one_out`."""
    yield from _part_lines([{**part, "stack": scores["store"]} for part in scores["parts"]])
    yield f"all together, {counted(len(scores['slices']), 'slice')}, each by a model that was trained on the others:"
    yield from _table(scores)
    over = scores["over_slices"]
    spreads = (
        f"{text} {_number(over[name]['mean'])} +- {_number(over[name]['std'])}" for name, text in _SPREAD.items()
    )
    yield f"mean and standard deviation over the slices: {', '.join(spreads)}"


_MOST_REASONS = 10

_SPREAD = {"mean_iou": "mean IoU", "pixel_accuracy": "pixel accuracy"}


def _part_lines(parts: list[dict[str, Any]]) -> Iterator[str]:
    for part in parts:
        place = part["stack"] if part["slice"] is None else f"{part['stack']}, slice {part['slice']}"
        yield f"{place}: {_summary(part)}"


def _table(scores: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'phase':<16}{'IoU':>8}{'95 % interval':>20}{'Dice':>8}{'precision':>11}{'recall':>8}{'fraction error':>16}"
    for row, ends in zip(scores["phases"], scores["intervals"]["phases"], strict=True):
        iou, dice, *others = (_number(row[key]) for key in ("iou", "dice", "precision", "recall", "fraction_error"))
        precision, recall, error = others
        interval = _interval(ends, "iou") + ("" if ends["reliable"] else " *")
        yield f"{row['phase']:<16}{iou:>8}{interval:>20}{dice:>8}{precision:>11}{recall:>8}{error:>16}"
    mean = scores["intervals"]["mean"]
    yield f"{_summary(scores)}; 95 % intervals {_interval(mean, 'iou')}, {_interval(mean, 'pixel_accuracy')}"
    if not all(row["reliable"] for row in scores["intervals"]["phases"]):
        yield f"* the phase occurs in fewer than {LEAST_BLOCKS} blocks, too few for a reliable interval"
    yield from _structure_lines(scores)
    yield from _confidence_lines(scores)
    reasons = scores["unlike_training"]["reasons"]
    yield from (f"different from the training slices: {reason}" for reason in reasons[:_MOST_REASONS])
    if len(reasons) > _MOST_REASONS:
        yield f"{len(reasons) - _MOST_REASONS} more of these are in scores.json"


def _structure_lines(scores: Mapping[str, Any]) -> Iterator[str]:
    found = scores.get("structure")  # of slices that an earlier version scored there is none
    if found is None:
        return
    if not found["area_um2"]:
        yield "boundary length and components are not compared: no scored slice is labelled without holes"
        return
    yield f"boundary length per area (1/um) and components, on {_complete(found)}:"
    yield "phase                predicted annotated   ratio   predicted annotated    ratio"
    for row in found["phases"]:
        length, number = row["perimeter_predicted_per_um"], row["components_predicted"]
        lengths = f"{length:>14.4f}{row['perimeter_true_per_um']:>10.4f}{_number(row['perimeter_ratio']):>8}"
        yield (
            f"{row['phase']:<16}{lengths}{number:>12}{row['components_true']:>10}{_number(row['components_ratio']):>9}"
        )


def _complete(found: Mapping[str, Any]) -> str:
    return f"{found['slices']} of {found['of_slices']} slices, labelled without holes"


def _confidence_lines(scores: Mapping[str, Any]) -> Iterator[str]:
    found = scores["confidence"]
    without, error = (_number(found[kind]["ece"]) for kind in ("uncalibrated", "calibrated"))
    if found["temperature"] == 1:
        yield f"calibration error of the confidence {without}: the model is not calibrated"
    else:
        value = "" if found["temperature"] is None else f" of {found['temperature']:.3f}"
        yield f"calibration error of the confidence {error}; without the temperature{value} {without}"


def _summary(scores: Mapping[str, Any]) -> str:
    return f"mean IoU {_number(scores['mean_iou'])}, pixel accuracy {_number(scores['pixel_accuracy'])}"


def _interval(ends: dict[str, Any], name: str) -> str:
    return f"{_number(ends[f'{name}_low'])} to {_number(ends[f'{name}_high'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
