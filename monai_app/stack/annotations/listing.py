"""The annotated slices of a stack: what they hold, what they are for, and taking them back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.errors import AnnotationError
from monai_app.names import listed
from monai_app.stack.annotations.editing import Revision, check_phases, revise
from monai_app.stack.annotations.history import Role
from monai_app.stack.store import Stack


@dataclass(frozen=True)
class AnnotatedSlice:
    """An annotated slice.

    Args:
        z: the slice.
        name: its name.
        role: what it is for.
        pixels: number of unlabelled pixels, and of those of the phases 1..K.
        source: who set the annotation; None if the slice was ingested with it.
    """

    z: int
    name: str
    role: Role
    pixels: tuple[int, ...]
    source: str | None

    @property
    def labelled(self) -> float:
        """The share of its pixels that are labelled."""
        return 1 - self.pixels[0] / sum(self.pixels)


def slices_of_role(stack: Stack, role: Role) -> tuple[int, ...]:
    """Return the slices to train on, or to test on.

    Raises:
        AnnotationError: there is none, or the stack has no phases.
    """
    check_phases(stack)
    slices = stack.train_slices if role == "train" else stack.test_slices
    if slices:
        return slices
    others = f", or change the role of one before you train (monai-app annotations {stack.path} --move N={role})"
    raise AnnotationError(
        f"{stack.path} has no {role} slice; annotate one (monai-app annotate {stack.path} --from FILE --role {role})"
        + others * bool(stack.roles)
    )


def annotated_slices(stack: Stack, zs: Iterable[int]) -> Iterator[AnnotatedSlice]:
    """Read annotated slices of a stack, one after the other.

    Args:
        stack: the stack.
        zs: the slices.

    Raises:
        AnnotationError: one is not annotated.
        StackError: an annotation is damaged.
    """
    for z in zs:
        labels, role = stack.read_annotation(z), stack.roles[z]
        pixels = tuple(int(np.count_nonzero(labels == value)) for value in range(len(stack.phases) + 1))
        yield AnnotatedSlice(z, stack.slice_names[z], role, pixels, stack.annotated_by(z))


def change_annotations(stack: Stack, roles: Mapping[int, Role], removed: Sequence[int] = ()) -> Stack:
    """Say what annotated slices are for, and remove annotations, all in one step.

    Args:
        stack: the stack.
        roles: z -> what the slice is for from now on; its labels, and who set them, stay.
        removed: z of the slices whose annotation is removed.

    Returns:
        The stack, opened again.

    Raises:
        AnnotationError: a slice is not annotated, or is both moved and removed.
        StackError: see `annotate`.
    """
    if both := sorted(roles.keys() & set(removed)):
        raise AnnotationError(f"slice {both[0]} is both moved and removed; do only one of them")

    def decide(current: Stack) -> Revision:
        kept = {z: current.read_annotation(z) for z, role in roles.items() if current.roles.get(z) != role}
        for z in removed:
            if z not in current.roles:
                raise AnnotationError(
                    f"slice {z} is not annotated; the annotated slices are {listed(sorted(current.roles))}"
                )
        by = {z: current.annotated_by(z) or "" for z in kept}
        return Revision({**kept, **dict.fromkeys(removed)}, roles, by)

    return revise(stack, decide)
