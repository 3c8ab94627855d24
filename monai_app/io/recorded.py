"""Metadata of a file about its image: voxel size, detector, stage position, microscope settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monai_app.io.grid import Extent

Size = tuple[float | None, float | None, float | None]
"""Lengths along z, y, x; None if the file does not say one."""

UNKNOWN: Size = (None, None, None)

NANOMETRES: Mapping[str, float] = {
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "cm": 1e7,
    "centimeter": 1e7,
    "mm": 1e6,
    "millimeter": 1e6,
    "um": 1e3,
    "µm": 1e3,  # micro sign
    "μm": 1e3,  # Greek letter
    "\\u00b5m": 1e3,  # as ImageJ escapes it
    "micron": 1e3,
    "microns": 1e3,
    "micrometer": 1e3,
    "nm": 1.0,
    "nanometer": 1.0,
    "å": 0.1,
    "angstrom": 0.1,
    "a": 0.1,
    "pm": 1e-3,
    "picometer": 1e-3,
    "fm": 1e-6,
}
"""Name of a unit, in lower case -> nanometres."""

_VOLUME_UNITS: Mapping[str, tuple[float, ...]] = {
    "unknown": (1.0, 1e3, 1e6),
    "nm": (1.0,),
    "micron": (1e3,),
    "mm": (1e6, 1e3),
}
"""Unit that a volume file names -> what its numbers may mean: many programs call micrometres mm, or name no unit."""

OTHER_SIZE = 0.01
"""By which part two sizes of a voxel may differ and still be the same."""

_PRINTED_NM = 1000.0
"""A pixel of a print is larger: resolutions in dots per inch below 25400 say nothing about the microscope."""


@dataclass(frozen=True)
class Recorded:
    """What a file says of its own image; None and empty if it says nothing.

    Args:
        size: voxel size z, y, x, in the unit of ``factors``.
        factors: what one unit may be, in nm; the size is certain if there is one possibility only.
        detector: the detector's name.
        stage_nm: z of the stage in nm.
        details: other entries as text, such as microscope, voltage, current, dwell time and tilt.
        origin: where all this stands, for messages.
    """

    size: Size = UNKNOWN
    factors: tuple[float, ...] = (1.0,)
    detector: str | None = None
    stage_nm: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    origin: str = "its metadata"

    @property
    def voxel_nm(self) -> Size:
        """Voxel size z, y, x in nm; None if the file does not say it, or names no unit that is certain."""
        if len(self.factors) != 1:
            return UNKNOWN
        z, y, x = (None if length is None else length * self.factors[0] for length in self.size)
        return z, y, x


def from_extent(extent: Extent) -> Recorded:
    """What the geometry of a volume says of the voxel size; 1 x 1 x 1 is what programs write that know none."""
    found = [float(length) for length in np.linalg.norm(extent.affine[:3, :3], axis=0)[::-1]]
    if all(length == 1 for length in found) or extent.unit not in _VOLUME_UNITS:
        return Recorded(origin="its header")
    z, y, x = found
    size = (None if extent.shape[0] == 1 else z, y, x)  # one slice has no distance to another
    return Recorded(size, _VOLUME_UNITS[extent.unit], origin=f"its header, unit {extent.unit}")


def length_nm(value: object, unit: object) -> float | None:
    """A length in nm; None if it is not a positive number, or the unit is not known.

    Example:
        >>> length_nm("0.005", "µm"), length_nm(5, "pixel"), length_nm("bad", "nm")
        (5.0, None, None)
    """
    factor = NANOMETRES.get(str(unit).strip().casefold())
    number = positive(value)
    return None if factor is None or number is None else number * factor


def positive(value: object) -> float | None:
    """A positive, finite number; None if the value is none."""
    number = finite(value)
    return number if number is not None and number > 0 else None


def finite(value: object) -> float | None:
    """A finite number; None if the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | np.number):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def from_resolution(per_unit: float | None, unit_nm: float) -> float | None:
    """Pixel size in nm by a resolution; None if it is that of a print or a screen.

    Args:
        per_unit: pixels per unit.
        unit_nm: the unit in nm.
    """
    size = None if per_unit is None or per_unit <= 0 else unit_nm / per_unit
    return size if size is not None and size < _PRINTED_NM else None


def agreed(*sizes: Size) -> Size:
    """A voxel size that several places say; None along an axis of which none says it, or two say different ones.

    Example:
        >>> agreed((None, 5.0, 5.0), (20.0, 5.0, 7.0))
        (20.0, 5.0, None)
    """
    lengths = [[each for each in along if each is not None] for along in zip(*sizes, strict=True)] or [[], [], []]
    z, y, x = (found[0] if found and max(found) <= min(found) * (1 + OTHER_SIZE) else None for found in lengths)
    return z, y, x


def merged(parts: Sequence[Recorded]) -> Recorded:
    """What several places in a file say together: the first that says something counts; sizes have to agree."""
    if not parts:
        return Recorded()
    details = {name: text for part in reversed(parts) for name, text in part.details.items()}
    return Recorded(
        agreed(*(part.voxel_nm for part in parts)),
        detector=next((part.detector for part in parts if part.detector), None),
        stage_nm=next((part.stage_nm for part in parts if part.stage_nm is not None), None),
        details=dict(sorted(details.items())),
        origin=" and ".join(part.origin for part in parts),
    )
