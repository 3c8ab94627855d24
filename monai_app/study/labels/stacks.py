"""Stacks with a part of the annotations, on which variants are trained."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from monai_app.files import write_json
from monai_app.stack import Stack, annotate, snapshot
from monai_app.study.design import Design, validation_of
from monai_app.study.labels.amount import Amount, read_amount
from monai_app.study.labels.selection import Validation, left_labels
from monai_app.study.runs import StudyRun
from monai_app.study.variants import read_study_variant


def check_labels(design: Design, stacks: Sequence[Stack], folder: Path) -> None:
    """Check that every amount of labels that a design asks for leaves every phase some to train and to validate on.

    Args:
        design: what is compared.
        stacks: the samples.
        folder: the study's; what it holds already was checked.

    Raises:
        ConfigError: see `left_labels`.
    """
    if design.labels is None:
        return
    amounts = [read_amount(str(text)) for text in design.labels.amounts]
    validation = validation_of(read_study_variant(design.variants[0]), design)
    for stack, amount, seed in product(stacks, amounts, design.seeds):
        if not _is_current(_target(stack, amount, seed, folder), stack):
            left_labels(stack, amount, seed, validation)


def with_fewer_labels(runs: Sequence[StudyRun], design: Design, folder: Path) -> list[StudyRun]:
    """Give the runs of variants that see fewer labels their stacks, ``<study>/stacks/<store>@labels=...ome.zarr``.

    They are snapshots: their images are links to those of the stack. Slices to test on stay as they are.

    Raises:
        AppError: see `left_labels`, `snapshot` and `annotate`.
    """
    validation = validation_of(read_study_variant(design.variants[0]), design)
    return [
        run
        if run.variant.labels is None
        else replace(run, stack=_reduced(run.stack, run.variant.labels, run.seed, validation, folder))
        for run in runs
    ]


def _target(stack: Stack, amount: Amount, seed: int, folder: Path) -> Path:
    drawn = "" if amount.share is None else f"_seed_{seed}"
    return folder / "stacks" / f"{stack.store_name}@labels={amount}{drawn}.ome.zarr"


def _record(target: Path) -> Path:
    return target.with_name(target.name.removesuffix(".ome.zarr") + ".json")


def _is_current(target: Path, stack: Stack) -> bool:
    """Whether a snapshot is complete, and of this stack as it is annotated, where it lies."""
    if not _record(target).is_file() or (target / "0").resolve() != (stack.path / "0").resolve():
        return False
    return bool(json.loads(_record(target).read_text(encoding="utf8"))["stack_identity"] == stack.identity)


def _reduced(stack: Stack, amount: Amount, seed: int, validation: Validation, folder: Path) -> Stack:
    target = _target(stack, amount, seed, folder)
    if _is_current(target, stack):
        return Stack.open(target)
    left = left_labels(stack, amount, seed, validation)
    _record(target).unlink(missing_ok=True)  # of a snapshot that is replaced
    taken = snapshot(stack, target, overwrite=True)
    stack.check_unchanged()
    made = annotate(taken, {z: left.get(z) for z in stack.train_slices}, source="study")
    write_json(_record(target), {"stack_identity": stack.identity})
    return made
