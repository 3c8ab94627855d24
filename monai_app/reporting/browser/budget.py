"""How large and how well pictures may be kept so that all of them stay below a number of bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from monai_app.progress import Progress, silent

_MARGIN = 1.03
"""What slices may take more than those that were tried."""

_EACH = 100
"""Bytes around a slice: its element, and its number in the page's list."""

_TRIED = 8
"""Slices that are tried."""


@dataclass(frozen=True)
class Detail:
    """How a slice is kept.

    Args:
        side: pixels of its longer side, at most.
        quality: of its JPEGs.
        step: every which slice is shown.
    """

    side: int
    quality: int
    step: int = 1


DETAILS = (
    Detail(1024, 85),
    Detail(1024, 70),
    Detail(1024, 55),
    Detail(1024, 45),
    Detail(896, 45),
    Detail(800, 45),
    Detail(704, 45),
    Detail(640, 45),
    Detail(576, 45),
    Detail(512, 45),
    Detail(448, 40),
    Detail(384, 35),
    Detail(320, 30),
    Detail(256, 30),
)
"""From the best to the worst that one can still see something in."""

Encode = Callable[[int, Detail], str]
"""Gives slice z as it is embedded."""


def spread(slices: int, count: int) -> list[int]:
    """At most ``count`` slices, spread over all of them.

    Example:
        >>> spread(156, 4), spread(3, 8)
        ([19, 58, 97, 136], [0, 1, 2])
    """
    count = min(slices, count)
    return [(2 * n + 1) * slices // (2 * count) for n in range(count)]


def within(slices: int, budget: int, encode: Encode, progress: Progress = silent) -> tuple[Detail, dict[int, str]]:
    """Encode slices as well as a budget allows.

    Args:
        slices: their number.
        budget: bytes that they may have together.
        encode: encodes one slice.
        progress: called while they are encoded; from 0 again where they took more than was expected.

    Returns:
        How they are kept, and z -> what it gave. One slice is kept whatever it takes.
    """
    least = replace(DETAILS[-1], step=slices)
    for detail in _details(slices, budget, encode):
        shown, encoded, left = range(0, slices, detail.step), dict[int, str](), budget
        progress(0, len(shown))
        for done, z in enumerate(shown, 1):
            encoded[z] = encode(z, detail)
            left -= len(encoded[z]) + _EACH
            if left < 0 and detail != least:
                break
            progress(done, len(shown))
        else:
            break
    return detail, encoded


def _details(slices: int, budget: int, encode: Encode) -> Iterator[Detail]:
    """What may fit, by some slices that are tried: of all slices, and then of every second, third, ..."""
    tried = spread(slices, _TRIED)
    for detail in DETAILS:
        each = _MARGIN * sum(len(encode(z, detail)) + _EACH for z in tried) / len(tried)
        if each * slices <= budget:
            yield detail
    for step in range(2, slices):
        if each * len(range(0, slices, step)) <= budget:
            yield replace(DETAILS[-1], step=step)
    yield replace(DETAILS[-1], step=slices)
