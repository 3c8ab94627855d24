"""Data items for MONAI datasets: which slices of a stack train, test or are segmented."""

from collections.abc import Sequence
from typing import Any, Literal

from monai_app.errors import AnnotationError
from monai_app.stack import Phase, Stack


def annotated_items(stack: str, phases: Sequence[Phase], role: Literal["train", "test"]) -> list[dict[str, Any]]:
    """Return one item per training or per test slice of a stack.

    Raises:
        AnnotationError: the stack's phases are not the model's, or it has no such slice.
    """
    source = Stack.open(stack)
    expected, found = ([phase.name for phase in each] for each in (phases, source.phases))
    if expected != found:
        raise AnnotationError(
            f"the phases of {stack} are {found}, the model's are {expected}: they must agree in name and order; "
            "use a model trained on these phases, or ingest the annotations with the model's"
        )
    slices = source.train_slices if role == "train" else source.test_slices
    if not slices:
        raise AnnotationError(
            f"{stack} has no {role} slice: list at least one under 'annotations: {role}' in its description "
            "and ingest it again"
        )
    return [{"image": stack, "label": stack, "z": z} for z in slices]


def repeat_items(items: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return ``count`` items that go round ``items``: an epoch of random crops from a few slices."""
    return [items[i % len(items)] for i in range(count)]


def all_items(stack: str) -> list[dict[str, Any]]:
    """Return one item per slice, without labels."""
    return [{"image": stack, "z": z} for z in range(Stack.open(stack).shape[0])]
