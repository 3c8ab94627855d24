"""Phase fractions corrected with the test slices of the stack."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, StoredLabels, Voxels
from monai_app.quantities.quantity import Cell, Measured, Quantity, Table

if TYPE_CHECKING:
    from monai_app.quantities.uncertainty.segmentation import CorrectedFraction

_NO_LABELS = "the label image has no labels on the test slices"

_NO_TEST = (
    "there is no test slice to show how often labels are wrong; give that role to an annotated slice that was not "
    "trained on (monai-app annotations STACK --move N=test)"
)


def measure(labels: Labels, progress: Progress) -> Measured:
    """Correct fractions by the annotations of the test slices, as `correct_fractions` does.

    Test slices count with the labels of this label image, within the measured rows, columns and mask and at any z.
    Training slices never count.
    """
    # The metrics' sub-package imports torch, which nothing else here needs.
    from monai_app.quantities.uncertainty.segmentation import correct_fractions, gather_evidence

    names = [phase.name for phase in labels.phases]
    progress(0, len(labels.stack.test_slices) if labels.stack else 0)
    if not isinstance(labels, StoredLabels) or not labels.stack.test_slices:
        return _uncorrected(names, _NO_TEST)
    if names != [phase.name for phase in labels.stack.phases]:
        return _uncorrected(names, "the phases of the labels differ from those of the stack's annotations")
    evidence = gather_evidence(_test_slices(labels, progress), len(names), labels.voxel_nm)
    if not evidence.slices:
        planes = (labels.stack.read_labels(labels.name, z, labels.region.rect) for z in labels.stack.test_slices)
        if not any(plane.any() for plane in planes):
            return _uncorrected(names, _NO_LABELS)
        return _uncorrected(names, "the test slices have no annotated pixel in the measured region")
    found = correct_fractions(labels.count()[:, 1:], evidence)
    rows: list[list[Cell]] = [[name, *row] for name, row in zip(names, evidence.blocks.sum(0).tolist(), strict=True)]
    return Measured(
        {"corrected_fraction": {name: _quantity(each) for name, each in zip(names, found, strict=True)}},
        {"confusion": Table(("annotated", *names), rows)},
        settings={"test_slices": list(labels.stack.test_slices), "blocks": len(evidence.blocks)},
    )


def _test_slices(labels: StoredLabels, progress: Progress) -> Iterator[tuple[int, Voxels, Voxels]]:
    """Give z, annotation and labels (rows, columns) of the test slices."""
    stack, rect = labels.stack, labels.region.rect
    for done, z in enumerate(sorted(stack.test_slices), 1):
        annotation, kept = stack.read_annotation(z, rect), labels.mask.read(z, rect)
        if kept is not None:
            annotation *= kept
        yield z, annotation, stack.read_labels(labels.name, z, rect)
        progress(done, len(stack.test_slices))


def _uncorrected(names: list[str], reason: str) -> Measured:
    return Measured({"corrected_fraction": {name: Quantity(None, "1", unreliable=reason) for name in names}})


def _quantity(found: "CorrectedFraction") -> Quantity:
    interval = None if np.isnan(found.low) else (found.low, found.high)
    return Quantity(found.corrected, "1", interval, "; ".join(found.unreliable) or None)
