"""How slices and detectors lie, from one pass over the images; memory does not grow with the slices."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from monai_app.errors import StackError
from monai_app.io.sources import Source
from monai_app.progress import Progress
from monai_app.stack.alignment.drift import DISTANCES, Positions, kept, solve
from monai_app.stack.alignment.features import DETECTORS, SLICES
from monai_app.stack.alignment.matching import LEAST, Picture, match, roughly
from monai_app.stack.alignment.motion import COUNT, Numbers, lengths
from monai_app.stack.alignment.record import Alignment, DetectorPlace
from monai_app.stack.alignment.request import Align

_SAMPLED = 25
"""Slices in which detectors are compared: they were recorded together, so one place is right for all."""

_LEAST_FOUND = 0.25
"""Share of them in which two detectors must have something in common."""

_AGREE = 2.0
"""Pixels within which half of them must agree."""

_GLANCES = 5
"""Slices that a glance compares."""

APART_PX = 2.0
"""Offset of two detectors, in pixels, from which a warning is given: phase boundaries then differ visibly."""


def steps_of(align: Align, slices: int) -> int:
    """How many slices are read for an alignment."""
    return slices if align.moves_slices else min(slices, _SAMPLED)


def estimate(
    detectors: Mapping[str, Source], align: Align, progress: Progress, gaps: Collection[int] = ()
) -> Alignment:
    """Find out how slices and detectors lie.

    Args:
        detectors: the images, detector name -> source, which agree in slices and shape.
        align: what is asked, and fits them (`Align.check`).
        progress: called with the slices compared and their total.
        gaps: slices before which others are missing, or another series ends: none is moved upon those before them.

    Raises:
        StackError: pictures that have nothing in common, or cannot be read.
    """
    reference = align.reference or next(iter(detectors))
    sources = {reference: detectors[reference], **detectors}
    slices, shape = len(sources[reference]), sources[reference].shape
    sampled = spread(slices, _SAMPLED) if align.moves_detectors else []
    pairs: dict[tuple[int, int], Numbers] = {}
    places: dict[str, dict[int, Numbers]] = {}
    if align.moves_detectors:
        places = {name: {} for name in sources if name != reference}
    window: deque[tuple[int, Picture]] = deque(maxlen=max(DISTANCES))
    total = steps_of(align, slices)
    progress(0, total)
    for done, (z, planes) in enumerate(_read(list(sources.values()), range(slices) if align.moves_slices else sampled)):
        if align.moves_slices:
            if z in gaps:
                window.clear()
            picture = Picture(planes, SLICES)
            for earlier, other in window:
                if z - earlier in DISTANCES and (found := match(other, picture, align.transform)) is not None:
                    pairs[earlier, z] = found
            window.append((z, picture))
        if z in sampled:
            first = Picture(planes[:1], DETECTORS)
            for name, plane in zip(places, planes[1:], strict=True):  # the reference comes first
                if (found := match(first, Picture([plane], DETECTORS), align.transform)) is not None:
                    places[name][z] = found
        progress(done + 1, total)
    moved = (
        _slices(solve(slices, pairs, COUNT[align.transform], shape), pairs, align, gaps) if align.moves_slices else {}
    )
    return Alignment(
        what=align.what,
        transform=align.transform,
        keep=align.keep,
        reference=reference,
        detectors={name: _place((reference, name), found, sampled, shape) for name, found in places.items()},
        **moved,
    )


def _read(sources: Sequence[Source], slices: Sequence[int]) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Read slices of all detectors; all of them in one go, because some files can only be read so."""
    if len(slices) == len(sources[0]):
        yield from enumerate(map(list, zip(*(source.planes() for source in sources), strict=True)))
    else:
        yield from ((z, [source.plane(z) for source in sources]) for z in slices)


def spread(slices: int, most: int) -> list[int]:
    """Up to so many slices, spread over a stack."""
    count = min(slices, most)
    return [(2 * number + 1) * slices // (2 * count) for number in range(count)]


def _slices(
    positions: Positions, pairs: Mapping[tuple[int, int], Numbers], align: Align, gaps: Collection[int]
) -> dict[str, Any]:
    """What is recorded of the slices."""
    if not pairs:
        raise StackError(
            "align: no two slices that follow each other have anything in common; are they from one stack, in order? "
            "Check them, or leave out --align"
        )
    slices, ends = len(positions.numbers), {*gaps, *positions.breaks}
    drift = positions.numbers - kept(positions, align.keep, ends)
    for start, stop in pairwise(sorted({0, slices, *ends})):  # nothing says how one part lies upon the next
        good = [z for z in range(start, stop) if z not in positions.flagged] or range(start, stop)
        drift[start:stop] -= np.median(drift[good], axis=0)  # the least is lost at the edges
    return {
        "measured": tuple(map(tuple, positions.numbers.round(4).tolist())),
        "slices": tuple(map(tuple, drift.round(4).tolist())),
        "residuals": tuple(None if np.isnan(value) else round(float(value), 4) for value in positions.residuals),
        "flagged": positions.flagged,
        "breaks": tuple(z for z in positions.breaks if not _is_declared(z, gaps, positions.flagged)),
    }


def _is_declared(z: int, gaps: Collection[int], flagged: Collection[int]) -> bool:
    """Whether a break is a gap, but for flagged slices between the two."""
    return any(gap <= z and set(range(gap, z)) <= {*flagged} for gap in gaps)


def _place(
    names: tuple[str, str], found: Mapping[int, Numbers], sampled: Sequence[int], shape: tuple[int, int]
) -> DetectorPlace:
    """Where a detector lies, from the slices in which it could be compared with the reference."""
    if len(found) < _LEAST_FOUND * len(sampled):
        raise StackError(
            f"align: {names[0]} and {names[1]} have nothing in common in {len(sampled) - len(found)} of {len(sampled)} "
            "slices that were compared; do they show the same field of view? Check them, or leave out --align detectors"
        )
    numbers = np.array([*found.values()])
    middle = np.median(numbers, axis=0)
    residuals = lengths(numbers - middle, shape)
    if np.median(residuals) > _AGREE:
        raise StackError(
            f"align: {names[0]} and {names[1]} lie {np.median(residuals):.1f} px (median) off their position in other "
            "slices, although they were recorded together; check them, or leave out --align detectors"
        )
    return DetectorPlace(
        transform=tuple(middle.round(4).tolist()), slices=tuple(found), residuals=tuple(residuals.round(4).tolist())
    )


def detectors_apart(detectors: Mapping[str, Source]) -> list[str]:
    """Say which detectors are visibly apart, from a glance at a few slices; nothing where that is not clear.

    Raises:
        StackError: a slice cannot be read.
    """
    (reference, first), *others = detectors.items()
    slices = spread(len(first), _GLANCES)
    if not others or min(first.shape) < LEAST:
        return []
    lines = []
    pictures = {z: Picture([first.plane(z)], DETECTORS) for z in slices}
    for name, source in others:
        found = [roughly(picture, Picture([source.plane(z)], DETECTORS)) for z, picture in pictures.items()]
        moves = np.array([peak.move for peak in found if peak is not None]).reshape(-1, 2)
        middle = np.median(moves, axis=0) if len(moves) > len(slices) / 2 else np.zeros(2)
        near = np.linalg.norm(moves - middle, axis=1) <= 1 + pictures[slices[0]].factor
        if np.hypot(*middle) >= APART_PX and near.sum() > len(slices) / 2:
            lines.append(
                f"warning: detectors {reference} and {name} are {np.hypot(*middle):.1f} px apart (y {middle[0]:.1f}, "
                f"x {middle[1]:.1f}); use --align detectors to align them"
            )
    return lines
