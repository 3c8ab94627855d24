"""Curtains: streaks that the ion beam mills below phase edges, at the two angles of a rocking mill.

A rocking mill leaves straight streaks at two discrete angles, about 0 and 7 degrees to the milling direction
(McMaster concrete data: Schankula, Anand, Bassim 2018), caused by differences of density and milling rate; they are
multiplicative. Here the height profile of a streak starts at an edge, decays downwards and has a Gaussian
cross-section,

    h = sum_j A_j exp(-s_j^2 / (2 w_j^2)) H(y - y_j) exp(-(y - y_j) / L_j),      I_c = I (1 + k dh/ds),

with ``s`` across the streak. Amplitudes follow the hardness step at the edge times a random field that lives on
over several slices, so streaks persist along z and fade. Widths and lengths come in three classes.
"""

from functools import lru_cache, partial

import numpy as np
from scipy.ndimage import gaussian_filter1d

from monai_app.artefacts.arrays import Floats

_STREAM = 30
_ANGLES_DEG = (0.0, 7.0)
_ANGLE_SCATTER_DEG = 0.3
_STEP = 8
"""Rows per step of the recursion: streaks change slowly along y."""
_CLASSES_NM = ((14.0, 2500.0, 0.55), (38.0, 6000.0, 0.85), (110.0, 12000.0, 0.5))
"""Half width, decay length and weight of fine, middle and broad streaks."""
_PERSISTENCE_NM = 160.0
"""Depth over which the amplitude of a streak is replaced by another."""
_SHARE = (1.0, 0.9)
"""Strength of the two angles: the first passes of a rocking mill are rarely balanced."""
_SCALE = 0.032
"""Brings the brightness change of a typical streak to a few per cent."""
_TOP = 0.16
"""Strength of streaks that start above the field, as a hardness step."""


class Curtains:
    """Curtains of one stack.

    Args:
        shape: rows and columns of its slices.
        pixel_nm: height and width of a pixel.
        seed: determines the curtains.
    """

    def __init__(self, shape: tuple[int, int], pixel_nm: tuple[float, float], seed: int) -> None:
        self._shape = shape
        self._height, self._width = pixel_nm
        scatter = np.random.default_rng([seed, _STREAM]).normal(0, _ANGLE_SCATTER_DEG, len(_ANGLES_DEG))
        self._slopes = np.tan(np.deg2rad(np.array(_ANGLES_DEG) + scatter)) * self._height / self._width
        self._knot = lru_cache(2 * len(_ANGLES_DEG))(partial(_white, seed))

    def brightness(self, hardness: Floats, depth_nm: float) -> Floats:
        """Relative change of brightness (rows, columns) of the slice at ``depth_nm``, a few per cent.

        Args:
            hardness: (rows, columns); differences of it start curtains.
            depth_nm: along the slice axis.
        """
        edges = _edges(hardness)
        total = np.zeros(self._shape, dtype=np.float32)
        for angle, (slope, share) in enumerate(zip(self._slopes, _SHARE, strict=True)):
            sheared = self._profile(edges, angle, slope, depth_nm)
            _add_sheared(total, sheared, slope, self._margin(slope), np.float32(share * _SCALE))
        return total

    def _margin(self, slope: float) -> int:
        """Columns that a streak may come in from the side."""
        return int(abs(slope) * self._shape[0]) + 2

    def _profile(self, edges: Floats, angle: int, slope: float, depth_nm: float) -> Floats:
        """dh/ds (steps, margin + columns + margin) in sheared coordinates, where a streak is one column."""
        margin = self._margin(slope)
        amplitude = self._amplitude(angle, depth_nm, (len(edges) + 1, edges.shape[1] + 2 * margin))
        source = 0.7 * amplitude**3
        source[0] *= _TOP
        source[1:, :margin] *= 0.1
        source[1:, -margin:] *= 0.1
        source[1:, margin:-margin] *= edges
        lengths = np.array([length / self._height for _, length, _ in _CLASSES_NM], dtype=np.float32)
        decay = np.exp(-_STEP / lengths)[:, None]
        state = source[0] / np.sqrt(1 - decay**2)
        classes = np.empty((len(_CLASSES_NM), *source.shape), dtype=np.float32)
        for step, row in enumerate(source):
            state = decay * state + np.roll(row, -round(slope * step * _STEP))
            classes[:, step] = state
        return self._cross_section(classes)

    def _cross_section(self, classes: Floats) -> Floats:
        """Turn heights into slopes across the streaks and join the classes."""
        total = np.zeros(classes.shape[1:], dtype=np.float32)
        for heights, (width, _, weight) in zip(classes, _CLASSES_NM, strict=True):
            sigma = max(width / self._width, 0.7)
            # The slope of a Gaussian falls with its width squared; the factor keeps all widths equally visible.
            gain = weight * sigma**1.5
            total += np.float32(gain) * gaussian_filter1d(heights, sigma, axis=1, order=1, mode="nearest")
        return total

    def _amplitude(self, angle: int, depth_nm: float, shape: tuple[int, int]) -> Floats:
        """Random amplitude of unit variance that changes over `_PERSISTENCE_NM`."""
        cell = int(np.floor(depth_nm / _PERSISTENCE_NM))
        part = depth_nm / _PERSISTENCE_NM - cell
        mixed: Floats = np.float32(1 - part) * self._knot(angle, cell, shape)
        mixed += np.float32(part) * self._knot(angle, cell + 1, shape)
        mixed *= np.float32(1 / np.hypot(part, 1 - part))
        return mixed


def _white(seed: int, angle: int, cell: int, shape: tuple[int, int]) -> Floats:
    return np.random.default_rng([seed, _STREAM, angle, cell]).standard_normal(shape, dtype=np.float32)


def _edges(hardness: Floats) -> Floats:
    """Summed hardness steps down the rows, (rows / step rounded up, columns)."""
    rows, columns = hardness.shape
    steps = np.zeros((-(-rows // _STEP) * _STEP, columns), dtype=np.float32)
    np.abs(np.diff(hardness, axis=0), out=steps[1:rows])
    summed: Floats = steps.reshape(-1, _STEP, columns).sum(axis=1)
    return summed


def _add_sheared(total: Floats, sheared: Floats, slope: float, margin: int, gain: np.float32) -> None:
    """Add ``gain * sheared``, (steps, columns + 2 margins), to ``total`` (rows, columns), sheared back row by row."""
    columns = total.shape[1]
    scaled = sheared * gain
    for row, target in enumerate(total):
        step, part = row // _STEP, np.float32(row % _STEP / _STEP)
        place = margin - slope * row
        left = int(np.floor(place))
        right = np.float32(place - left)
        line = scaled[step, left : left + columns + 1] * (1 - part)
        line += scaled[step + 1, left : left + columns + 1] * part
        target += line[:-1] * (1 - right)
        target += line[1:] * right
