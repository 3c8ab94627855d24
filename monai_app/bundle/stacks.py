"""Stacks and models: whether a model can be trained on stacks, what it takes from them, and how others differ."""

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from monai_app.bundle.configs.settings import check_literal
from monai_app.domain.appearance import ranges_of
from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.region import Rect
from monai_app.domain.training_stack import MOST_VOXEL_RATIO, TrainingStack, differences, voxel_ratio, voxel_text
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.inspection.appearance import measure_appearance
from monai_app.progress import counted
from monai_app.stack import Stack
from monai_app.training.split import split_stack
from monai_app.transforms import annotated_items, measure_greys, measure_scaling


def common_detectors(stacks: Sequence[Stack]) -> list[str]:
    """Return the default detectors of a training: those that every stack has.

    Raises:
        ConfigError: the stacks have different sets of detectors.
    """
    first = stacks[0]
    for other in stacks[1:]:
        odd = sorted({*first.detectors} ^ {*other.detectors})
        if odd:
            common = [name for name in first.detectors if all(name in each.detectors for each in stacks)]
            remedy = (
                f"give --detectors {','.join(common)} to use those that all stacks have"
                if common
                else "train on one stack only"
            )
            raise ConfigError(
                f"{first.path} has the detectors {', '.join(first.detectors)} and {other.path} has "
                f"{', '.join(other.detectors)}: a model needs detectors that every stack has; {remedy}"
            )
    return list(first.detectors)


def check_stacks(stacks: Sequence[Stack], detectors: Sequence[str], slices: int) -> None:
    """Check that a model can be trained on all stacks; warn of different voxel sizes.

    Raises:
        ConfigError: a stack lacks a detector or has too few slices, or two stacks are the same or have the same name.
        StackError: the pixel types differ.
        AnnotationError: the phases differ in name or order.
    """
    for stack in stacks:
        if slices > stack.shape[0]:
            raise ConfigError(
                f"slices {slices}: {stack.path} has {counted(stack.shape[0], 'slice')}, which is the most a slab can "
                "have; lower it"
            )
        missing = [name for name in detectors if name not in stack.detectors]
        if missing and len(stacks) > 1:
            raise ConfigError(
                f"detector {missing[0]!r} does not exist in {stack.path}, which has {', '.join(stack.detectors)}: a "
                "model needs detectors that every stack has; choose others (--detectors), or leave this stack out"
            )
        stack.read_slab(0, detectors, slices, Rect.whole((1, 1)))  # raises if it does not exist
    check_different(stacks)
    for one, other in combinations(stacks, 2):
        _check_pair(one, other)


def check_different(stacks: Sequence[Stack]) -> None:
    """Check that no two stacks are the same or have the same name.

    Raises:
        ConfigError: two are the same or have the same name.
    """
    for one, other in combinations(stacks, 2):
        if one.ingested == other.ingested:
            raise ConfigError(f"{one.path} and {other.path} are the same stack; give each stack once")
        if one.store_name.casefold() == other.store_name.casefold():
            raise ConfigError(
                f"{one.path} and {other.path} have the same name, so their scores would be indistinguishable; rename "
                "one of the folders"
            )


def _check_pair(one: Stack, other: Stack) -> None:
    if one.dtype != other.dtype:
        raise StackError(
            f"the pixels of {one.path} are {one.dtype} and those of {other.path} are {other.dtype}: the same grey "
            "would have another value; convert one and ingest it again, or train two models"
        )
    phases = [[phase.name for phase in stack.phases] for stack in (one, other)]
    if phases[0] != phases[1]:
        raise AnnotationError(
            f"the phases of {one.path} are {phases[0]} and those of {other.path} are {phases[1]}: they must agree in "
            "name and order; list the same phases in both descriptions, where 'mapping' assigns the values of the "
            "label files to phases, and ingest again"
        )
    if (ratio := voxel_ratio(one.voxel_nm, other.voxel_nm)) > MOST_VOXEL_RATIO:
        logging.getLogger(__name__).warning(
            "the voxels of %s are %s (z, y, x) and those of %s are %s, up to a factor of %.3g in size: structures "
            "differ in pixel size between them",
            *(one.path, voxel_text(one.voxel_nm), other.path, voxel_text(other.voxel_nm), ratio),
        )


def from_stacks(stacks: Sequence[Stack], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config ids that come from the training stacks.

    Args:
        stacks: checked by `check_stacks`.
        chosen: the bundle's settings; ``scaling_of`` decides whether each stack has its own scaling.

    Raises:
        AnnotationError: a stack cannot be trained on.
        ConfigError: a config cannot contain a name.
    """
    detectors = chosen["detectors"]
    train = [(stack, [item["z"] for item in annotated_items(str(stack.path), "train")]) for stack in stacks]
    _check_annotations(train, chosen)
    trained_on = [{"identity": stack.ingested, "slices": slices} for stack, slices in train]
    apart = chosen["scaling_of"] == "stack" and len(stacks) > 1
    found = {
        "phases": [phase.model_dump(mode="json") for phase in stacks[0].phases],
        "scaling": _measured([(stack, z) for stack, slices in train for z in slices], detectors),
        "dtype": stacks[0].dtype.name,
        "trained_on": trained_on[0] if len(stacks) == 1 else trained_on,
        "training_stacks": [
            describe_stack(stack, detectors, slices).model_dump(mode="json", exclude_none=True)
            | ({"scaling": _measured([(stack, z) for z in slices], detectors)} if apart else {})
            for stack, slices in train
        ],
    }
    check_literal(found)
    return found


def describe_stack(stack: Stack, detectors: Sequence[str], slices: Sequence[int] = ()) -> TrainingStack:
    """Return what a model records about a stack and the appearance of these slices."""
    looks = [measure_appearance(stack, z, detectors) for z in slices]
    return TrainingStack(
        name=re.sub(r"[#$@%]", "_", stack.store_name),  # which configs cannot contain
        identity=stack.ingested,
        voxel_nm=stack.voxel_nm,
        greys=measure_greys(stack, detectors),
        appearance=ranges_of(looks) if looks else None,
    )


def _measured(slices: Sequence[tuple[Stack, int]], detectors: Sequence[str]) -> dict[str, dict[str, float]]:
    return {name: stats.model_dump() for name, stats in measure_scaling(slices, detectors).items()}


def _check_annotations(train: Sequence[tuple[Stack, Sequence[int]]], chosen: Mapping[str, Any]) -> None:
    """Check that stacks can be trained on, and warn of phases that occur in no training slice."""
    present: set[int] = set()
    for stack, slices in train:
        if len(stack.phases) < 2:
            raise AnnotationError(f"{stack.path} has one phase, but a model needs at least two; describe more phases")
        split_stack(stack, chosen["validation_fraction"], chosen["validation_block"])  # raises if it cannot be split
        present = present.union(*(np.unique(stack.read_annotation(z)).tolist() for z in slices))
    for phase in train[0][0].phases:
        if phase.value not in present:
            logging.getLogger(__name__).warning(
                "no training slice contains phase %r, so the model cannot learn it", phase.name
            )


def warn_if_unfamiliar(spec: ModelSpec, stack: Stack) -> None:
    """Warn if a stack differs from all training stacks of a model; models of earlier versions record none.

    Args:
        spec: of the model; detectors that the stack lacks are ignored.
        stack: the stack to segment.
    """
    shared = [name for name in spec.detectors if name in stack.detectors]
    if not spec.training_stacks or not shared:
        return
    scaling = {name: stats for name, stats in spec.scaling.items() if name in shared}
    for line in differences(spec.training_stacks, scaling, describe_stack(stack, shared)):
        logging.getLogger(__name__).warning(
            "%s; check the result, and if it is poor, also train on an annotated slice of this stack", line
        )
