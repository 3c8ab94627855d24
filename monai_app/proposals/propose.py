"""Propose labels of one slice."""

from collections.abc import Mapping

from monai_app.progress import Progress, silent
from monai_app.proposals.forest import Labels, Proposal, check_target, train_forest
from monai_app.stack import Stack


def propose(
    stack: Stack, z: int, *, labels: Mapping[int, Labels] | None = None, seed: int = 0, progress: Progress = silent
) -> Proposal:
    """Train a forest on what is painted, and propose labels of a slice.

    Args:
        stack: the stack.
        z: the slice.
        labels: z -> (rows, columns), uint8, in place of the stored annotations; see `train_forest`.
        seed: see `train_forest`.
        progress: called for every tile of the slice.

    Raises:
        StackError: there is no such slice.
        AnnotationError: it is a slice to test on, or fewer than two phases are painted.
    """
    check_target(stack, z)
    return train_forest(stack, labels, seed).propose(z, progress)
