"""Adding artefacts to recorded images of any grey scale, with strengths that can be measured in an image.

Each function takes an `Image` and returns another of the same type. Grey 0 is no signal, and what is beyond the type's
range is clipped, as detectors do. The **grey range** of an image is that from the 1st to the 99th percentile of its
greys.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, shift

from monai_app.artefacts.arrays import Floats, Image
from monai_app.artefacts.shading import lost_light

_PERCENTILES = (1, 99)
_SMOOTHING = 2.0
"""Standard deviation, in pixels, of the smoothing that keeps noise from looking like edges."""


def curtained(image: Image, streaks: Floats, strength: float) -> Image:
    """Add curtains to an image, in proportion to its signal (Schankula, Anand, Bassim 2018): pores have few.

    Args:
        image: (rows, columns).
        streaks: (rows, columns), relative change of brightness in any scale, see `Curtains`.
        strength: standard deviation of the change, as a share of the grey range.
    """
    change = image * streaks
    spread = float(change.std())
    return image if spread == 0 else _recorded(image + change * (strength * _grey_range(image) / spread), image)


def apparent_hardness(images: npt.NDArray[np.integer]) -> Floats:
    """Estimate hardness from brightness if the materials are unknown: (rows, columns), in grey ranges.

    Pores, which curtains begin at, are dark, and dense phases are bright: an assumption, which `Curtains` needs.

    Args:
        images: (detectors, rows, columns) of one slice.
    """
    smooth = [gaussian_filter(image.astype(np.float32), _SMOOTHING) / max(_grey_range(image), 1) for image in images]
    mean: Floats = np.mean(smooth, axis=0, dtype=np.float32)
    return mean


def shaded(image: Image, strength: float) -> Image:
    """Shade an image towards the bottom and one side, see `lost_light`.

    Args:
        image: (rows, columns).
        strength: share of the light lost in the darkest corner.
    """
    lost = lost_light(*image.shape)
    return _recorded(image * (1 - strength * lost / lost[-1, -1]), image)


def noisy(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Add Poisson noise, whose variance is in proportion to the grey (SE noise: doi 10.1093/jmicro/dfi044).

    Args:
        image: (rows, columns).
        strength: standard deviation of the noise, root of the mean square over the image, as a share of the grey range.
        rng: of the noise.
    """
    spread = strength * _grey_range(image)
    if spread == 0:
        return image
    electrons = float(image.mean()) / spread**2
    return _recorded(rng.poisson(image * electrons) / electrons, image)


def displaced(image: Image, down: float, right: float) -> Image:
    """Shift an image by pixels with linear interpolation; its border is repeated."""
    return _recorded(shift(image.astype(np.float32), (down, right), order=1, mode="nearest"), image)


def amplified(image: Image, factor: float) -> Image:
    """Multiply the signal, as the gain of a detector does (its contrast knob)."""
    return _recorded(image * float(factor), image)


def brightened(image: Image, strength: float) -> Image:
    """Add a share of the grey range, as the offset of a detector does (its brightness knob)."""
    return _recorded(image + strength * _grey_range(image), image)


def _grey_range(image: Image) -> float:
    low, high = np.percentile(image, _PERCENTILES)
    return float(high - low)


def _recorded(values: npt.NDArray[np.floating], image: Image) -> Image:
    """Round and clip to the type of an image."""
    limits = np.iinfo(image.dtype)
    recorded: Image = np.clip(np.rint(values), limits.min, limits.max).astype(image.dtype)
    return recorded
