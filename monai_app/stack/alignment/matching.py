"""How one picture lies against another: whole and small at first, then in tiles at full resolution."""

from dataclasses import replace
from itertools import product

import numpy as np

from monai_app.stack.alignment.correlation import Floats, Peak, Shape, correlate, find_peak, reduced
from monai_app.stack.alignment.features import Feature
from monai_app.stack.alignment.motion import Kind, Numbers, fit

LEAST = 32
"""Rows and columns of a picture that can be compared."""

_OVERVIEW = 512
"""Longest side of the small pictures."""

_NARROW = 64
"""Shortest side that they keep, where the others are much longer."""

_TILE, _TILES = 256, 4
"""Longest side of a tile, and the number of tiles along rows and columns."""

_REACH = 4
"""Pictures are searched for moves up to a ``_REACH``-th of their sides."""

_SHARP, _SHARP_TILE = 6.0, 5.0
"""Standard deviations by which the peak of a correlation must stand out. Pictures of different things reach 5; of tiles
some may be wrong."""

_FAR = 4.0
"""Pixels: tiles are searched around the move of the small pictures this far, times what those were made smaller by."""


class Picture:
    """What is kept of the pictures of one slice while others are compared with it.

    Args:
        planes: (rows, columns) of one detector or several, of one shape.
        feature: what is compared.
    """

    def __init__(self, planes: list[np.ndarray], feature: Feature) -> None:
        self.planes, self.feature = planes, feature
        self.shape: Shape = (planes[0].shape[0], planes[0].shape[1])
        self.factor = max(1, min(-(-max(self.shape) // _OVERVIEW), min(self.shape) // _NARROW))
        small = [reduced(plane, self.factor) for plane in planes]
        self.small: Shape = (small[0].shape[0], small[0].shape[1])
        self.spectra = [feature.spectrum(plane) for plane in small]


def roughly(first: Picture, second: Picture) -> Peak | None:
    """How far the second picture is moved, from small pictures alone, px; None if they have nothing in common."""
    total = np.zeros(first.small, np.float32)
    for one, other in zip(first.spectra, second.spectra, strict=True):
        total += correlate(one, other, first.small)
    peak = find_peak(total / np.float32(len(first.spectra)), (first.small[0] // _REACH, first.small[1] // _REACH))
    if peak.sharpness < _SHARP:
        return None
    return replace(peak, move=(peak.move[0] * first.factor, peak.move[1] * first.factor))


def match(first: Picture, second: Picture, kind: Kind = "translation") -> Numbers | None:
    """The transform by which the second picture lies against the first; None if they have nothing in common."""
    rough = roughly(first, second)
    if rough is None:
        return None
    move = (round(rough.move[0]), round(rough.move[1]))
    tiles = _Tiles(first.shape, move, kind)
    reach = round(_FAR * first.factor)
    if kind == "translation":
        surface = np.mean(_surfaces(first, second, tiles), axis=0)
        peak = find_peak(surface, (reach, reach))
        return np.add(move, peak.move)
    peaks = [find_peak(surface, tiles.edge) for surface in _surfaces(first, second, tiles)]
    sharp = [place for place, peak in enumerate(peaks) if peak.sharpness >= _SHARP_TILE]
    if len(sharp) < _FEWEST:
        return None
    moves = np.array([peaks[place].move for place in sharp]) + move
    return fit(kind, tiles.places[sharp], moves)


_FEWEST = 4
"""Tiles that must be found again for a transform with more than a translation."""


class _Tiles:
    """Where tiles lie that two pictures have in common when the second one is moved."""

    def __init__(self, shape: Shape, move: tuple[int, int], kind: Kind) -> None:
        self.move = move
        parts = 1 if kind == "translation" else 2
        common = [size - abs(by) for size, by in zip(shape, move, strict=True)]
        self.edge: Shape = (_edge(common[0], parts), _edge(common[1], parts))
        corners = [
            np.linspace(max(0, -by), max(0, -by) + length - edge, max(parts, min(_TILES, round(length / edge))))
            for by, length, edge in zip(move, common, self.edge, strict=True)
        ]
        self.corners = [(int(y), int(x)) for y, x in product(*corners)]
        self.places = np.array(self.corners) + (np.array(self.edge) - np.array(shape)) / 2


def _edge(length: int, parts: int) -> int:
    return min(_TILE, length // parts)


def _surfaces(first: Picture, second: Picture, tiles: _Tiles) -> list[Floats]:
    """The correlation of every tile, the mean of the detectors."""
    found = []
    for y, x in tiles.corners:
        total = np.zeros(tiles.edge, np.float32)
        for one, other in zip(first.planes, second.planes, strict=True):
            spectra = [
                first.feature.spectrum(_cut(plane, corner, tiles.edge))
                for plane, corner in ((one, (y, x)), (other, (y + tiles.move[0], x + tiles.move[1])))
            ]
            total += correlate(spectra[0], spectra[1], tiles.edge)
        found.append(total / np.float32(len(first.planes)))
    return found


def _cut(plane: np.ndarray, corner: tuple[int, int], edge: Shape) -> Floats:
    return plane[corner[0] : corner[0] + edge[0], corner[1] : corner[1] + edge[1]].astype(np.float32)
