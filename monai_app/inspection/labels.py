"""What is annotated: pixels per slice and phase."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monai_app.inspection.images import Images
from monai_app.stack import Role


@dataclass(frozen=True)
class LabelCount:
    """The labelled pixels of a slice.

    Args:
        z: the slice.
        role: what it is for.
        pixels: phase name -> pixels.
        unlabelled: pixels without a label.
    """

    z: int
    role: Role
    pixels: Mapping[str, int]
    unlabelled: int


def count_labels(images: Images) -> tuple[LabelCount, ...]:
    """Count the labelled pixels of every annotated slice.

    Raises:
        AnnotationError: an annotation has values without a meaning.
    """
    return tuple(_count(images, z, role) for z, role in sorted(images.roles.items()))


def _count(images: Images, z: int, role: Role) -> LabelCount:
    counts = np.bincount(images.labels(z).ravel(), minlength=len(images.phases) + 1).tolist()
    pixels = {phase.name: counts[phase.value] for phase in images.phases}
    return LabelCount(z, role, pixels, counts[0])


def per_role(counts: tuple[LabelCount, ...]) -> dict[Role, dict[str, int]]:
    """Add up the pixels of all slices of a role: role -> phase name -> pixels."""
    total: dict[Role, dict[str, int]] = {}
    for count in counts:
        sums = total.setdefault(count.role, {})
        for name, pixels in count.pixels.items():
            sums[name] = sums.get(name, 0) + pixels
    return total
