"""Data items for MONAI datasets: which slices of a stack train, test or are segmented."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import AnnotationError
from monai_app.stack import Stack


def annotated_items(
    stack: str,
    role: Literal["train", "test"],
    spec: ModelSpec | None = None,
    trained_on: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return one item per training or per test slice of a stack; it names the stack's identity, which is held to.

    Args:
        stack: path of the stack.
        role: which slices.
        spec: of the model, whose phases must be the stack's; None where there is none yet.
        trained_on: ``identity`` of a stack at its ingestion and its ``slices`` that a model has seen; they are no test
            of it.

    Raises:
        AnnotationError: the stack's phases are not the model's, it has no such slice, or the model was trained on one.
    """
    source = Stack.open(stack)
    if spec is not None:
        spec.check_phases(source.phases, source.path)
    slices = source.train_slices if role == "train" else source.test_slices
    if not slices:
        raise AnnotationError(
            f"{stack} has no {role} slice: list at least one under 'annotations: {role}' in its description "
            "and ingest it again"
        )
    if trained_on is not None and trained_on["identity"] == source.ingested:
        seen = sorted(set(slices) & set(trained_on["slices"]))
        if seen:
            raise AnnotationError(f"the model was trained on slice {seen[0]}, so it is no test; test on another slice")
    return [{"image": stack, "label": stack, "z": z, "identity": source.identity} for z in slices]


def repeat_items(items: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return ``count`` items that go round ``items``: an epoch of random crops from a few slices."""
    return [items[i % len(items)] for i in range(count)]


def share_items(items: Sequence[dict[str, Any]], rank: int, processes: int) -> list[dict[str, Any]]:
    """Return the items that are a process's share: every ``processes``-th, from the ``rank``-th on.

    Engines refuse to run on nothing. A process without a share gets a spare item, which :class:`LoadAnnotationd` leaves
    unlabelled, so that it counts for nothing.
    """
    return list(items[rank::processes]) or [{**items[0], "spare": True}]
