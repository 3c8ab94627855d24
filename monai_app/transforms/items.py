"""Data items for MONAI datasets: which slices of a stack train, test or are segmented."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import AnnotationError
from monai_app.stack import Stack
from monai_app.stack.annotations.listing import slices_of_role


def annotated_items(
    stacks: str | Sequence[str],
    role: Literal["train", "test"],
    spec: ModelSpec | None = None,
    trained_on: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return one item per training or per test slice of stacks; it names the stack's identity, which is held to.

    Args:
        stacks: path of a stack, or of several.
        role: which slices.
        spec: of the model, whose phases must be the stacks'; None if there is none yet.
        trained_on: ``identity`` of a stack at its ingestion and its ``slices`` that a model has seen, or several of
            these; such slices cannot test it.

    Raises:
        AnnotationError: a stack's phases are not the model's, it has no such slice, or the model was trained on one.
    """
    seen = [trained_on] if isinstance(trained_on, Mapping) else trained_on or []
    paths = [stacks] if isinstance(stacks, str) else stacks
    return [item for path in paths for item in _items_of(path, role, spec, seen)]


def _items_of(
    stack: str, role: Literal["train", "test"], spec: ModelSpec | None, trained_on: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    source = Stack.open(stack)
    if spec is not None:
        spec.check_phases(source.phases, source.path)
    slices = slices_of_role(source, role)
    known = {z for each in trained_on if each["identity"] == source.ingested for z in each["slices"]}
    seen = sorted(known.intersection(slices))
    if seen:
        raise AnnotationError(
            f"the model was trained on slice {seen[0]} of {source.path}, so it cannot test it; test on another slice"
        )
    return [{"image": stack, "label": stack, "z": z, "identity": source.identity} for z in slices]


def repeat_items(items: Sequence[dict[str, Any]], count: int, balanced: bool = True) -> list[dict[str, Any]]:
    """Return ``count`` items that go round ``items``: an epoch of random crops from a few slices.

    Args:
        items: of one stack or several.
        count: how many are wanted.
        balanced: take every stack equally often (or once more), and of each its slices in turn; else every slice.
    """
    if not balanced:
        return [items[i % len(items)] for i in range(count)]
    stacks: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        stacks.setdefault(item["image"], []).append(item)
    turns = list(stacks.values())
    return [(of := turns[i % len(turns)])[i // len(turns) % len(of)] for i in range(count)]


def share_items(items: Sequence[dict[str, Any]], rank: int, processes: int) -> list[dict[str, Any]]:
    """Return a process's share of the items: every ``processes``-th, from the ``rank``-th on.

    Engines refuse to run on nothing. A process without a share gets a spare item, which :class:`LoadAnnotationd` leaves
    unlabelled, so that it counts for nothing.
    """
    return list(items[rank::processes]) or [{**items[0], "spare": True}]
