"""What an alignment found and did, as the store keeps it."""

from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from monai_app.domain.region import Rect
from monai_app.domain.validation import Items, Strict
from monai_app.errors import ConfigError
from monai_app.stack.alignment.drift import Keep
from monai_app.stack.alignment.motion import COUNT, Kind, Numbers
from monai_app.stack.alignment.placing import Placement
from monai_app.stack.alignment.request import What


class DetectorPlace(Strict):
    """How a detector's pictures lie against those of the reference."""

    transform: Items[float]
    """The transform of all its slices."""
    slices: Items[int]
    """The slices in which it was measured."""
    residuals: Items[float]
    """By how much each of them misses it, px."""


class Alignment(Strict):
    """How pixels were moved when they were ingested.

    A transform says where the picture has what belongs at a place: rows and columns in pixels, then the turn in radians
    (rigid) or how rows and columns move per row and column from the middle (affine: yy, yx, xy, xx).
    """

    what: What
    """What was aligned."""
    transform: Kind
    """What transforms may do."""
    keep: Keep
    """What of the drift was kept as structure that leans."""
    reference: str
    """The detector that the others were moved upon."""
    measured: Items[Items[float]] = ()
    """Where every slice lay, the first one at 0; empty if slices were not aligned."""
    slices: Items[Items[float]] = ()
    """The transform that was undone in every slice."""
    residuals: Items[float | None] = ()
    """By how much neighbours miss the place of every slice, px; null where no neighbour could be compared."""
    flagged: Items[int] = ()
    """Slices whose neighbours do not agree on their place; they were put between them."""
    breaks: Items[int] = ()
    """Slices that could not be compared with those before them; the two parts lie as they lay."""
    detectors: dict[str, DetectorPlace] = Field(default_factory=dict)
    """The other detectors; empty if detectors were not aligned."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        lists = [*self.measured, *self.slices, *(place.transform for place in self.detectors.values())]
        if any(len(numbers) != COUNT[self.transform] for numbers in lists):
            raise ConfigError(f"alignment: a {self.transform} has {COUNT[self.transform]} numbers; ingest again")
        if len({len(self.measured), len(self.slices), len(self.residuals)}) > 1:
            raise ConfigError("alignment: lists of slices differ in length; ingest again")
        return self

    def placement(self, z: int, detector: str, shape: tuple[int, int]) -> Placement:
        """Where a detector's picture of slice z lies.

        Args:
            z: the slice.
            detector: its name.
            shape: (rows, columns).
        """
        place = self.detectors.get(detector)
        numbers: Numbers = np.zeros(COUNT[self.transform])
        numbers = numbers + (self.slices[z] if self.slices else 0) + (place.transform if place else 0)
        return Placement(numbers, shape)

    def inside(self, z: int, shape: tuple[int, int], rect: Rect) -> npt.NDArray[np.bool_]:
        """Where in a rectangle of slice z every detector has pixels: (rows, columns)."""
        found = self.placement(z, self.reference, shape).inside(rect)
        for detector in self.detectors:
            found &= self.placement(z, detector, shape).inside(rect)
        return found
