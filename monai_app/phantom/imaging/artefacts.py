"""What the instrument does to a signal: shadowing, charging, flicker and noise. Each function is one artefact.

Images are (rows, columns) float32 in 8-bit grey levels unless stated otherwise.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr
from scipy.stats import poisson

from monai_app.artefacts import lost_light
from monai_app.phantom.resample import Floats, look_up
from monai_app.phantom.structure.phases import CHARGING

_CHARGE_NM = 1400.0
"""Decay length of charge along the fast scan."""
_CHARGE_GREY = 9.0
"""Grey levels lost at a full charge."""
_CHARGE_BLOCK = 8
_SLICE_FLICKER, _ROW_FLICKER = 0.02, 0.004
_UNIFORMS = 4096
_GREYS = np.arange(256)
_MANY_ELECTRONS = 4000.0
"""Above this a Poisson distribution is a Gaussian to 8 bits."""


def shadow(rows: int, columns: int, strength: float) -> Floats:
    """Factor (rows, columns) of the light that is left in the trench, 1 where nothing shades.

    The signal is ``S = S0 ((1 - a) + a f)``, f the open share of the sky (see `lost_light`) and ``a`` the strength,
    about 0.5 side-mounted, 0.2 in-lens.
    """
    return np.maximum(1 - strength * lost_light(rows, columns), 0.05).astype(np.float32)


def charge(material: NDArray[np.uint8], pixel_nm: float) -> Floats:
    """Grey levels lost to charge, at strength 1: a leaky integrator along the fast scan.

    ``q_{n+1} = lam q_n + c_material, I -= g q, lam = exp(-1 / tau)``; insulators charge most (Fager, Chalmers 2020).
    ``material`` is (rows, columns) of `Material`.
    """
    columns = material.shape[1]
    left = CHARGING[material[:, ::_CHARGE_BLOCK]]
    decay = float(np.exp(-_CHARGE_BLOCK * pixel_nm / _CHARGE_NM))
    stored = lfilter([1 - decay], [1, -decay], left, axis=1).astype(np.float32) * np.float32(_CHARGE_GREY)
    wide = np.repeat(stored, _CHARGE_BLOCK, axis=1)[:, :columns]
    return np.ascontiguousarray(wide)


def flicker(rows: int, strength: float, rng: np.random.Generator) -> Floats:
    """Factor (rows, 1): one change for the slice and a small one for every row."""
    slice_gain = 1 + strength * _SLICE_FLICKER * rng.standard_normal()
    row_gain = 1 + strength * _ROW_FLICKER * rng.standard_normal((rows, 1))
    return (slice_gain * row_gain).astype(np.float32)


@lru_cache(maxsize=8)
def noise_table(electrons: float, read_noise: float, strength: float) -> NDArray[np.uint8]:
    """Quantiles (256, 4096) of a recorded pixel, one row for every clean grey level.

    ``I = 255 Poisson(N s / 255) / N + Normal(0, r^2)`` with N ``electrons`` for white: shot noise and electronics
    (variance of SE noise: doi 10.1093/jmicro/dfi044; nearly Gaussian at dwell times above 500 ns: openreview
    0Uyso40ak5). The strength scales the standard deviation, so N is divided by its square. Drawing from the table is
    exact to 1/4096 and much faster than drawing Poisson numbers.
    """
    if strength == 0:
        table = np.repeat(_GREYS.astype(np.uint8)[:, None], _UNIFORMS, axis=1)
    else:
        below = _chance_below(electrons / strength**2, max(read_noise * strength, 1e-3))
        uniform = (np.arange(_UNIFORMS) + 0.5) / _UNIFORMS
        table = np.stack([np.searchsorted(row, uniform) for row in below]).astype(np.uint8)
    table.setflags(write=False)  # the cache hands the same table to every stack
    return table


def _chance_below(electrons: float, read_noise: float) -> NDArray[np.float64]:
    """Chance (256, 255) that a pixel of clean grey level i is recorded at most as j."""
    edges = np.arange(255) + 0.5
    if electrons > _MANY_ELECTRONS:
        spread = np.sqrt(_GREYS * 255 / electrons + read_noise**2)
        below = ndtr((edges[None, :] - _GREYS[:, None]) / spread[:, None])
    else:
        counts = np.arange(int(electrons + 8 * np.sqrt(electrons) + 20))
        chance = poisson.pmf(counts[None, :], electrons * _GREYS[:, None] / 255)
        below = chance @ ndtr((edges[None, :] - 255 * counts[:, None] / electrons) / read_noise)
    rising: NDArray[np.float64] = np.maximum.accumulate(below, axis=1)
    return rising


def record(image: Floats, table: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the recorded 8-bit image (rows, columns) from a clean one and its `noise_table`."""
    place = np.clip(image + np.float32(0.5), 0, 255).astype(np.uint32)
    place *= np.uint32(_UNIFORMS)
    place += rng.integers(0, _UNIFORMS, size=image.shape, dtype=np.uint16)
    return look_up(table.ravel(), place)
