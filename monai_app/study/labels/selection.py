"""Select the labels of a stack to train on."""

from collections.abc import Mapping, Sequence

import numpy as np

from monai_app.errors import AnnotationError, ConfigError
from monai_app.stack import Stack
from monai_app.study.labels.amount import Amount
from monai_app.study.labels.drawing import Labels, draw
from monai_app.training.split import split_blocks

_DRAWS = 50
"""Draws of blocks or scribbles among which one is looked for in which every phase trains and validates."""

_LEAST = 0.95
"""Of the area that scribbles are to cover."""

Validation = tuple[float, int]
"""Which share of the labelled area validates, and the side of its blocks in pixels."""


def left_labels(stack: Stack, amount: Amount, seed: int, validation: Validation) -> dict[int, Labels]:
    """Return z -> labels of the slices to train on that an amount leaves any.

    A person who labels little still labels every phase: of the draws of a seed, the first one is used in which every
    phase has pixels for training and validation.

    Args:
        stack: with all annotations.
        amount: how much of them.
        seed: of the run.
        validation: see `Validation`.

    Raises:
        ConfigError: a slice is not annotated for training, all of them are named, or the amount is too small, or more
            than scribbles have room for.
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
            f"labels {amount} are all training labels of {stack.path.name}, as without 'labels'; leave this out"
        )
    return {z: stack.read_annotation(z) for z in amount.slices or train}


def _lacking(
    left: Mapping[int, Labels], wanted: Sequence[int], phases: int, validation: Validation, seed: int
) -> tuple[list[int], str] | None:
    """Return the phases that have no pixel for something, and for what; None if nothing lacks."""
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
            f"labels {amount}: scribbles fit on {100 * area / labelled:.1f} % of the labelled area of "
            f"{stack.path.name}; ask for less, or for blocks"
        )
