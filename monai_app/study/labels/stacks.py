"""Stacks with a part of the annotations, on which variants are trained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from monai_app.errors import AnnotationError, ConfigError
from monai_app.files import write_json
from monai_app.stack import Stack, annotate, snapshot
from monai_app.study.design import Design, validation_of
from monai_app.study.labels.amount import Amount, read_amount
from monai_app.study.labels.drawing import Labels, draw
from monai_app.study.runs import StudyRun
from monai_app.study.variants import read_study_variant
from monai_app.training.split import split_blocks

_DRAWS = 50
"""Draws of blocks or scribbles among which one is looked for in which every phase trains and validates."""

_LEAST = 0.95
"""Of the area that scribbles are to cover."""

Validation = tuple[float, int]
"""Which share of the labelled area validates, and the side of its blocks in pixels."""


def check_labels(design: Design, stacks: Sequence[Stack], folder: Path) -> None:
    """Check that every amount of labels that a design asks for leaves every phase some to train and to validate on.

    Args:
        design: what is compared.
        stacks: the samples.
        folder: the study's; what it holds already was checked.

    Raises:
        ConfigError: a slice is not annotated for training, all of them are named, or the amount is too small.
    """
    if design.labels is None:
        return
    amounts = [read_amount(text) for text in design.labels.amounts]
    validation = validation_of(read_study_variant(design.variants[0]), design)
    for stack, amount, seed in product(stacks, amounts, design.seeds):
        if not _is_current(_target(stack, amount, seed, folder), stack):
            left_labels(stack, amount, seed, validation)


def with_fewer_labels(runs: Sequence[StudyRun], design: Design, folder: Path) -> list[StudyRun]:
    """Give the runs of variants that see fewer labels their stacks, ``<study>/stacks/<store>@labels=...ome.zarr``.

    They are snapshots: their images are links to those of the stack. Slices to test on stay as they are.

    Raises:
        AppError: as `left_labels`, `snapshot` and `annotate`.
    """
    validation = validation_of(read_study_variant(design.variants[0]), design)
    return [
        run
        if run.variant.labels is None
        else replace(run, stack=_reduced(run.stack, run.variant.labels, run.seed, validation, folder))
        for run in runs
    ]


def left_labels(stack: Stack, amount: Amount, seed: int, validation: Validation) -> dict[int, Labels]:
    """Return z -> labels of the slices to train on that an amount leaves any.

    A person who labels little sees to it that nothing is missing: of the draws of a seed the first one is taken in
    which every phase has pixels to train and to validate on.

    Args:
        stack: with all annotations.
        amount: how much of them.
        seed: of the run.
        validation: see `Validation`.

    Raises:
        ConfigError: as `check_labels`.
    """
    given = _given(stack, amount)
    phases = np.unique([phase for z in stack.train_slices for phase in np.unique(stack.read_annotation(z)) if phase])
    rng, fault = np.random.default_rng(seed), ""
    for _ in range(1 if amount.share is None else _DRAWS):
        drawn = {z: draw(plane, amount, rng) for z, plane in given.items()}
        left = {z: plane for z, plane in drawn.items() if plane.any()}
        lacking = _lacking(left, phases.tolist(), len(stack.phases), validation, seed)
        if lacking is None:
            break
        fault = fault or _told(stack, *lacking)
    else:
        raise ConfigError(f"labels {amount} of {stack.path.name}, seed {seed}: {fault}; ask for more")
    _check_covered(stack, amount, given, left)
    return left


def _given(stack: Stack, amount: Amount) -> dict[int, Labels]:
    train = stack.train_slices
    strange = [z for z in amount.slices if z not in train]
    if strange:
        raise ConfigError(
            f"labels {amount}: slice {strange[0]} of {stack.path.name} is not annotated for training; choose among "
            f"{', '.join(map(str, train))}"
        )
    if amount.share is None and set(amount.slices) == set(train):
        raise ConfigError(
            f"labels {amount} are all that {stack.path.name} has to train on, as without 'labels'; leave this out"
        )
    return {z: stack.read_annotation(z) for z in amount.slices or train}


def _lacking(
    left: Mapping[int, Labels], wanted: Sequence[int], phases: int, validation: Validation, seed: int
) -> tuple[list[int], str] | None:
    """Return the phases that have no pixel for something, and for what; None where nothing lacks."""
    try:
        split = split_blocks(left, phases, *validation, seed)
    except AnnotationError:  # too little for both
        return [*wanted], "train and to validate"
    for masks, purpose in ((split.training, "train"), (split.validation, "validate")):
        there = {phase for z, plane in left.items() for phase in np.unique(plane[masks[z]]).tolist()}
        missing = [phase for phase in wanted if phase not in there]
        if missing:
            return missing, purpose
    return None


def _told(stack: Stack, missing: Sequence[int], purpose: str) -> str:
    names = [phase.name for phase in stack.phases if phase.value in missing]
    return f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} no pixel to {purpose} on"


def _check_covered(stack: Stack, amount: Amount, given: Mapping[int, Labels], left: Mapping[int, Labels]) -> None:
    """Refuse scribbles that the phases have no room for."""
    if amount.share is None or amount.way != "scribbles":
        return
    area, labelled = (sum(map(np.count_nonzero, planes.values())) for planes in (left, given))
    if area < _LEAST * amount.share / 100 * labelled:
        raise ConfigError(
            f"labels {amount}: strokes along the middle of the phases cover {100 * area / labelled:.1f} % of the "
            f"labelled area of {stack.path.name} at most; ask for less, or for blocks"
        )


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
