"""Proposals as files that `monai-app annotate` takes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from monai_app.domain.region import Span
from monai_app.files import atomic_file, check_file_target
from monai_app.io import Grid
from monai_app.io.writers.content import Content
from monai_app.io.writers.registry import writer_of
from monai_app.progress import Progress, silent
from monai_app.proposals.examples import Labels
from monai_app.proposals.forest import Forest, Proposal, check_target
from monai_app.stack import Stack
from monai_app.stack.places import check_outside_stores


def check_file(stack: Stack, slices: Span, target: Path, *, overwrite: bool) -> None:
    """Refuse what `write_proposals` would, before a forest is trained.

    Raises:
        StackError: the file's suffix is of no format that is written, or there is no such slice.
        AnnotationError: one of the slices is to test on.
        ConfigError: the file lies in a store.
        TargetExistsError: it exists and may not be replaced.
    """
    writer_of(target)
    check_outside_stores(target)
    check_file_target(target, overwrite=overwrite)
    for z in slices.range:
        check_target(stack, z)


def write_proposals(
    forest: Forest,
    slices: Span,
    target: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    report: Callable[[Proposal], None] = lambda proposal: None,
) -> None:
    """Write what a forest proposes for consecutive slices as one file, placed in the stack as `save` places labels.

    Args:
        forest: the forest.
        slices: the slices.
        target: the file; its suffix says the format (`monai_app.io.writers.registry.WRITERS`).
        overwrite: replace an existing file.
        progress: called for every slice.
        report: called with every proposal, in the order of the slices.

    Raises:
        AppError: see `check_file`, or the stack was replaced or annotated meanwhile.
    """
    stack = forest.stack
    check_file(stack, slices, target, overwrite=overwrite)

    def planes() -> Iterator[Labels]:
        progress(0, len(slices))
        for done, z in enumerate(slices.range, 1):
            proposal = forest.propose(z)
            report(proposal)
            yield proposal.labels
            progress(done, len(slices))

    shape = (len(slices), *stack.shape[1:])
    z, y, x = (length / 1000 for length in stack.voxel_nm)
    content = Content(
        shape,
        np.dtype(np.uint8),
        planes(),
        Grid(shape, (z, y, x), (slices.start * z, 0.0, 0.0)).affine,
        phases=stack.phases,
        slice_names=tuple(stack.slice_names[slices.index]),
        title=f"labels proposed for {stack.name}",
    )
    with atomic_file(target) as partial:
        writer_of(target).write(partial, content)
        stack.check_unchanged()
