"""How alike two slices are and how far apart, and whether two detectors see the same."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_gradient_magnitude

from monai_app.stack.alignment.correlation import Floats, Peak, Spectrum, correlate, find_peak, normalised

_COARSEST = 1 / 64
"""Cycles a pixel below which an image is left out: shading of the whole slice is alike in all of them."""

_FINEST = 0.2
"""Cycles a pixel above which noise prevails in an image made smaller."""

_CURTAINS = 10.0
"""Degrees around the horizontal axis that are left out: curtains persist from slice to slice at the same place."""

_LEVELS = 32
"""Grey levels of the joint histogram of two detectors."""

_SOFTNESS = 1.0
"""Width of the Gaussian of the gradients of which detectors are compared, pixels of the image made smaller."""


def spectrum_of(image: Floats) -> Spectrum:
    """Transform an image, (rows, columns), faded out at its edges and without shading, fine noise and curtains."""
    window, passed = _filters(*image.shape)
    transformed = scipy.fft.rfft2((image - image.mean()) * window)
    transformed *= passed
    return normalised(transformed, (image.shape[0], image.shape[1]))


def edges_of(image: Floats) -> Floats:
    """Gradient magnitude of an image: alike in two detectors, whichever phase is brighter in them."""
    edges: Floats = gaussian_gradient_magnitude(image, _SOFTNESS)
    return edges


def compare(first: Spectrum, second: Spectrum, columns: int) -> Peak:
    """Find the shift at which two images correlate best; the height of the peak is 1 for equal images.

    Args:
        first: of one image.
        second: of the other.
        columns: of both.
    """
    shape = (len(first), columns)
    return find_peak(correlate(first, second, shape), shape)


def mutual_information(first: Floats, second: Floats) -> float:
    """Normalised mutual information of two images of one shape: 0 if unrelated, 1 if one determines the other.

    ``2 I(A, B) / (H(A) + H(B))`` over `_LEVELS` grey levels of equal frequency. Mutual information needs no common
    contrast (Maes et al. 1997, doi:10.1109/42.563664).
    """
    places = (_levels(first) * _LEVELS + _levels(second)).ravel()
    joint = np.bincount(places, minlength=_LEVELS**2).reshape(_LEVELS, _LEVELS) / first.size
    one, other = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    both = _entropy(joint.ravel())
    return 2 * (one + other - both) / (one + other) if one + other > 0 else 0.0


def _levels(image: Floats) -> npt.NDArray[np.intp]:
    limits = np.quantile(image[::2, ::2], np.arange(1, _LEVELS) / _LEVELS)
    return np.searchsorted(limits, image.ravel()).reshape(image.shape)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    found = shares[shares > 0]
    return float(-(found * np.log(found)).sum())


@lru_cache(maxsize=4)
def _filters(rows: int, columns: int) -> tuple[Floats, Floats]:
    """A window that fades out at the edges, and which frequencies count."""
    window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]).astype(np.float32)
    down, along = scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(columns)[None]
    length = np.hypot(down, along)
    passed = (1 - np.exp(-((length / _COARSEST) ** 2))) * np.exp(-((length / _FINEST) ** 2))
    passed[np.degrees(np.arctan2(np.abs(down), along)) < _CURTAINS] = 0
    return window, passed.astype(np.float32)
