"""Cleaning of images with established methods: curtains, shading, noise."""

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from monai_app.errors import ConfigError

Grey = npt.NDArray[np.floating]

_LEVELS = 5
"""Of the wavelet decomposition."""

_PATCH, _DISTANCE = 5, 6
"""Side of the patches of the non-local means, and how far others are looked for, in pixels."""


@dataclass(frozen=True)
class Cleaning:
    """How strongly images are cleaned; 0 leaves a step out.

    Attributes:
        destripe: width of the filter in the Fourier transform of the wavelet coefficients of vertical stripes.
        flatten: standard deviation of the Gaussian, in pixels, whose smoothing is taken for the shading.
        denoise: strength of the non-local means, in standard deviations of the noise.
    """

    destripe: float = 0
    flatten: float = 0
    denoise: float = 0


CHOICES = {"destripe": (0.0, 1.0, 3.0, 9.0), "flatten": (0.0, 32.0, 96.0), "denoise": (0.0, 0.6, 1.0, 1.6)}
"""Strengths that are tried of every step, in this order."""


def choices(best: Cleaning, step: str) -> list[Cleaning]:
    """Return a cleaning with every strength of one step."""
    return [replace(best, **{step: strength}) for strength in CHOICES[step]]


STEPS = tuple(field.name for field in fields(Cleaning))


def clean(plane: npt.NDArray[np.integer], cleaning: Cleaning) -> npt.NDArray[np.integer]:
    """Clean the image of one detector.

    Curtains by the wavelet-Fourier filter (Muench et al. 2009, doi 10.1364/OE.17.008567; algotom's), shading by
    division by the smoothed image, noise by non-local means (Buades et al. 2005, doi 10.1109/CVPR.2005.38;
    scikit-image's) with the noise estimated from the image.

    Args:
        plane: (rows, columns).
        cleaning: how strongly.

    Returns:
        The same shape and type; grey values beyond the type's range are clipped.

    Raises:
        ConfigError: algotom is not installed.
    """
    image: Grey = plane.astype(np.float64)
    if cleaning.destripe:
        image = _without_stripes(image, cleaning.destripe)
    if cleaning.flatten:
        shading = gaussian_filter(image, cleaning.flatten, mode="reflect")
        image = image * shading.mean() / np.maximum(shading, 1)
    if cleaning.denoise:
        image = _without_noise(image, cleaning.denoise)
    limits = np.iinfo(plane.dtype)
    return np.clip(np.round(image), limits.min, limits.max).astype(plane.dtype)


def _without_stripes(image: Grey, size: float) -> Grey:
    try:
        from algotom.prep.removal import remove_stripe_based_wavelet_fft
    except ImportError:
        raise ConfigError(
            "cleaned images need algotom, which is not installed: pip install 'monai-app[study]'"
        ) from None
    filtered: Grey = remove_stripe_based_wavelet_fft(image, level=_LEVELS, size=size)
    return filtered


def _without_noise(image: Grey, strength: float) -> Grey:
    from skimage.restoration import denoise_nl_means, estimate_sigma

    sigma = float(estimate_sigma(image))  # type: ignore[no-untyped-call]
    denoise = partial(denoise_nl_means, patch_size=_PATCH, patch_distance=_DISTANCE, fast_mode=True)
    denoised: Grey = denoise(image, h=strength * sigma, sigma=sigma)
    return denoised
