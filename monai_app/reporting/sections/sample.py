"""The sample: recorded data, annotations and alignment."""

from collections.abc import Iterator

import numpy as np

from monai_app.domain.training_stack import voxel_text
from monai_app.reporting.content import Block, Cell, Facts, Legend, Note, Plot, Section, Table
from monai_app.reporting.figures import RED, figure, line
from monai_app.reporting.formatting import length, listed, percent, slices, times
from monai_app.reporting.sources import Sources
from monai_app.stack import Stack

_DIGITS = 12
"""Of an identity."""


def sample(sources: Sources) -> Section | None:
    """Describe the stack."""
    if sources.store is None:
        return None
    stack = sources.store.stack
    return Section(
        "sample",
        "Sample",
        "What the microscope recorded, its physical size, and which slices were labelled by a person.",
        [Facts(list(_facts(stack))), Legend(stack.phases), *_annotations(stack), *_alignment(stack)],
    )


def _facts(stack: Stack) -> Iterator[tuple[str, str]]:
    sides = [side * voxel for side, voxel in zip(stack.shape, stack.voxel_nm, strict=True)]
    yield "name", stack.name
    yield "store", stack.path.name
    yield "detectors", listed(stack.detectors)
    yield "slices × rows × columns", times(stack.shape)
    yield "voxel (z, y, x)", voxel_text(stack.voxel_nm).replace(" x ", " × ")
    yield "size (z, y, x)", " × ".join(map(length, sides))
    yield "grey values", f"{8 * stack.dtype.itemsize} bit"
    if stack.gaps:
        yield "missing slices", f"before {slices(sorted(stack.gaps))}; structures are not connected across these gaps"
    yield "identity (SHA-256)", f"{stack.identity[:_DIGITS]}…"


def _annotations(stack: Stack) -> Iterator[Block]:
    if not stack.roles:
        yield Note("No slice is annotated.", "missing")
        return
    pixels = stack.shape[1] * stack.shape[2]
    rows = []
    for z, role in sorted(stack.roles.items()):
        counts = np.bincount(stack.read_annotation(z).ravel(), minlength=len(stack.phases) + 1)
        labelled = int(counts[1:].sum())
        shares = [percent(int(counts[phase.value]) / labelled if labelled else None) for phase in stack.phases]
        rows.append([str(z), role, stack.annotated_by(z) or "ingested", percent(labelled / pixels), *shares])
    columns: list[Cell] = ["slice", "for", "from", "labelled", *stack.phases]
    yield Table("Annotated slices, and the share of each phase among the labelled pixels", columns, rows)
    if not stack.test_slices:
        yield Note("There are no test slices, so it is unknown how good a model is on this stack.", "missing")


def _alignment(stack: Stack) -> Iterator[Block]:
    found = stack.alignment
    if found is None:
        yield Note("Slices and detectors are as recorded: nothing was aligned.")
        return
    yield Facts([("aligned", found.what), ("motion", found.transform), ("reference", found.reference)])
    for name, place in found.detectors.items():
        y, x = place.transform[:2]
        yield Note(f"{name} was moved by {y:.2f} px in y and {x:.2f} px in x to match {found.reference}.")
    if found.slices:
        zs, moved = list(range(len(found.slices))), np.array(found.slices)[:, :2]
        curves = [
            line("rows (y)", (zs, moved[:, 0].tolist())),
            line("columns (x)", (zs, moved[:, 1].tolist()), RED, "dash"),
        ]
        farthest = float(np.abs(moved).max())
        yield Plot(
            "Displacement of every slice",
            f"Two curves over the slices; no slice was moved by more than {farthest:.1f} pixels.",
            figure(curves, "slice", "displacement, pixels"),
        )
    for what, zs_of in (
        ("could not be aligned with their neighbours", found.flagged),
        ("start a new part", found.breaks),
    ):
        if zs_of:
            yield Note(f"Slices {slices(zs_of)} {what}.", "warning")
